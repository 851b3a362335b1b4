// What is remembered, what came of it in the last hour, taking it back, and looking one request up.

import { post, useJson } from '../lib/api.js';
import { bytes, count, millis, percent, plural, seconds, title, usd, words } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Fault, Waiting } from '../parts/empty.js';
import { Facts, Table } from '../parts/table.js';
import { Bar, Meter, State, Tile, Tiles } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

export default function Cache() {
  const { data, error, loading, reload } = useJson('/admin/cache', { every: 3000 });
  if (loading) return html`<${Waiting} rows=${8} />`;
  if (!data) return html`<${Fault} error=${error} reload=${reload} />`;
  const hour = data.last_hour;
  const hits = Object.values(hour.hits).reduce((sum, hits) => sum + hits, 0);
  return html`
    <${Fault} error=${error} reload=${reload} />
    ${!data.enabled && html`<p class="notice warn">The cache is switched off (<code>cache.enabled</code>). What follows is what was.</p>`}
    <${Tiles} label="The last hour">
      <${Tile} name="hit_rate" label="Hit rate" value=${percent(hour.hit_rate)} note="of what was looked up, in the last hour" />
      <${Tile} name="hits" label="Hits" value=${count(hits)} note=${`${count(hour.misses)} misses, ${count(hour.bypassed)} not looked up`} />
      <${Tile} name="saved_usd" label="Saved" value=${usd(hour.saved.usd)} note=${`${count(hour.saved.tokens)} tokens, where prices are known`} />
      <${Tile} name="entries" label="In memory" value=${count(data.memory.entries)} note=${`${bytes(data.memory.weight_bytes)} of ${bytes(data.memory.bytes_max)}`} />
    <//>
    <div class="columns">
      <section><h2>Where hits came from</h2><${Sources} hits=${hour.hits} misses=${hour.misses} /></section>
      <section><h2>Tiers</h2><${Tiers} data=${data} /></section>
    </div>
    <section><h2>By model</h2><${Models} models=${data.models} /></section>
    ${data.semantic.lookups > 0 && html`<section><h2>Questions that mean the same</h2><${Semantic} of=${data.semantic} /></section>`}
    <div class="columns">
      <section><h2>Take back</h2><${Invalidate} done=${reload} /></section>
      <section><h2>Look one up</h2><${Lookup} /></section>
    </div>`;
}

function Sources({ hits, misses }) {
  const order = ['memory', 'redis', 'disk', 'semantic', 'coalesced'];
  const rows = [...order.map((name) => [name, hits[name] ?? 0]), ['misses', misses]];
  const all = rows.reduce((sum, [, count]) => sum + count, 0);
  return html`<table class="plain"><tbody>${rows.map(([name, of]) => html`
    <tr key=${name}><th scope="row">${{ coalesced: 'An answer under way', misses: 'Asked a provider', semantic: 'Another question' }[name] ?? title(name)}</th>
      <td class="number" data-figure=${`from_${name}`}>${count(of)}</td><td class="bar"><${Bar} share=${all ? of / all : 0} label=${percent(all ? of / all : 0)} /></td><td class="number">${percent(all ? of / all : 0)}</td></tr>`)}</tbody></table>`;
}

function Tiers({ data: { memory, redis, disk, flights, tiers_last_hour: tiers } }) {
  const state = (name) => html`<${State} kind=${{ closed: 'ok', half_open: 'warn', open: 'bad' }[name]}>${words(name)}<//>`;
  return html`<${Facts} rows=${[
    ['Memory', html`${count(memory.entries)} of ${count(memory.entries_max)} answers <${Meter} share=${memory.weight_bytes / memory.bytes_max} label="memory used" />`],
    ['Redis', redis ? html`breaker ${state(redis.breaker)}, ${count(redis.connections)} connections` : html`<span class="help">not configured: replicas do not share answers</span>`],
    redis?.invalidations_not_yet_told > 0 && ['Not yet told', `${count(redis.invalidations_not_yet_told)} invalidations`],
    ['Disk', disk ? html`<${State} kind=${disk.state === 'open' ? 'ok' : 'warn'}>${words(disk.state)}<//>${disk.bytes_max ? `, up to ${bytes(disk.bytes_max)}` : ''}` : html`<span class="help">not configured: a restart forgets</span>`],
    ['Under way', `${plural(flights.under_way, 'answer')}, ${bytes(flights.bytes)}`],
    ['Reads beyond memory', mean(tiers.reads, tiers.read_seconds_mean)],
    ['Writes', mean(tiers.writes, tiers.write_seconds_mean)],
  ]} />`;
}

const mean = (of, seconds) => (of > 0 ? `${count(of)}, ${millis(seconds * 1000)} on average` : 'none in the last hour');

const MODELS = [
  { name: 'Model', value: (row) => row.name, show: (row) => html`<b>${row.name}</b>` },
  { name: 'Hit rate', number: true, value: (row) => row.hit_rate, show: (row) => percent(row.hit_rate) },
  { name: 'Hits', number: true, value: (row) => row.all, show: (row) => count(row.all) },
  { name: 'Misses', number: true, value: (row) => row.misses, show: (row) => count(row.misses) },
  { name: 'Not looked up', number: true, value: (row) => row.bypassed, show: (row) => count(row.bypassed) },
  { name: 'Tokens saved', number: true, value: (row) => row.saved.tokens, show: (row) => count(row.saved.tokens) },
  { name: 'Saved', number: true, value: (row) => row.saved.usd, show: (row) => usd(row.saved.usd) },
];

function Models({ models }) {
  const rows = Object.entries(models).map(([name, hour]) => ({ name, ...hour, all: Object.values(hour.hits).reduce((sum, hits) => sum + hits, 0) }));
  const empty = html`<p class="help">Nothing was asked in the last hour. Only answers at temperature 0 are kept, unless an alias says <code>cache = { any_temperature = true }</code>.</p>`;
  return html`<${Table} label="By model" columns=${MODELS} rows=${rows} keyed=${(row) => row.name} sorted=${{ name: 'Hits', down: true }} empty=${empty} />`;
}

function Semantic({ of }) {
  const interval = of.precision;
  return html`<${Facts} rows=${[
    ['Looked up', count(of.lookups)], ['Hits', `${count(of.hits)} (${percent(of.hit_rate)})`],
    ['Right, as audited', interval ? `${percent(interval.rate)}, between ${percent(interval.low_95)} and ${percent(interval.high_95)}` : 'not yet known'],
    ['Candidates', `${count(of.candidates)}, ${count(of.vetoed)} vetoed, ${count(of.refused)} refused`], ['Questions kept', count(of.questions)],
  ]} />`;
}

const WHAT = [
  { id: 'everything', label: 'Everything', fields: [] },
  { id: 'provider', label: 'A provider, or a model of it', fields: ['provider', 'model', 'operation', 'tenant'] },
  { id: 'tenant', label: 'A tenant', fields: ['tenant'] },
  { id: 'tag', label: 'A tag', fields: ['tag', 'tenant'], own: true },
  { id: 'dependency', label: 'What it was made from', fields: ['dependency', 'tenant'], own: true },
  { id: 'key', label: 'One answer by its key', fields: ['key'] },
];

function Invalidate({ done }) {
  const [what, setWhat] = useState(WHAT[1]);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const given = what.fields.map((field) => [field, form.get(field)?.trim()]).filter(([, value]) => value);
    const body = what.id === 'everything' ? { everything: true } : Object.fromEntries(given);
    const named = what.id === 'everything' ? 'everything' : given.map(([field, value]) => `${field} ${value}`).join(', ');
    if (!named) return complain(new Error('Name what is to be taken back.'));
    const wanted = await confirm({
      title: `Take back ${named}?`,
      words: 'These answers are not served again, here or by any replica. They are fetched anew when they are asked for.',
      action: 'Take back',
      danger: true,
    });
    if (!wanted) return undefined;
    try {
      const said = await post('/admin/cache/invalidate', body);
      const late = Object.keys(said.not_yet_told ?? {});
      say(late.length ? `Taken back here; ${late.join(' and ')} will be told later.` : `Taken back: ${named}.`);
      done();
    } catch (error) {
      complain(error);
    }
    return undefined;
  };
  const clear = async () => {
    try {
      const { cleared } = await post('/admin/cache/clear-expired');
      say(`${count(cleared)} expired answers were dropped.`);
      done();
    } catch (error) {
      complain(error);
    }
  };
  return html`
    <form class="ask" onSubmit=${submit}>
      <label>What<select value=${what.id} onChange=${(event) => setWhat(WHAT.find((what) => what.id === event.target.value))}>${WHAT.map((row) => html`<option key=${row.id} value=${row.id}>${row.label}</option>`)}</select></label>
      ${what.fields.map((field, at) => html`<label key=${what.id + field}>${title(field)}${at > 0 ? (what.own ? ' (none where keys are not used)' : ' (may be left out)') : ''}<input name=${field} required=${at === 0} /></label>`)}
      <p class="actions"><button class="danger">Take back…</button> <button type="button" onClick=${clear}>Drop what has expired</button></p>
    </form>`;
}

function Lookup() {
  const [shown, show] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      show({ said: await post('/admin/cache/lookup', { tenant: form.get('tenant'), body: JSON.parse(form.get('body')) }) });
    } catch (error) {
      show({ error: error instanceof SyntaxError ? new Error(`The body is no JSON: ${error.message}`) : error });
    }
  };
  const { said, error } = shown;
  return html`
    <form class="ask" onSubmit=${submit}>
      <label>Body of a chat<textarea name="body" rows="5" spellcheck="false">${'{\n  "model": "sim/fast", "temperature": 0,\n  "messages": [{ "role": "user", "content": "hello" }]\n}'}</textarea></label>
      <label>Tenant (none where keys are not used)<input name="tenant" /></label>
      <p class="actions"><button>Look up</button></p>
    </form>
    <${Fault} error=${error} />
    ${said && html`<${Facts} rows=${[
      ['Found', html`<${State} kind=${said.cache === 'hit' ? 'ok' : undefined}>${said.cache}<//>`], ['Target', said.target], said.key && ['Key', html`<code class="key">${said.key}</code>`],
      said.answer && ['Tier', said.answer.tier], said.answer && ['Age', seconds(said.answer.age_seconds)], said.answer && ['Fresh for', seconds(said.answer.fresh_for_seconds)],
      said.answer && ['Size', `${bytes(said.answer.text_bytes)}${said.answer.compressed ? `, held as ${bytes(said.answer.held_bytes)}` : ''}`],
    ]} />`}`;
}
