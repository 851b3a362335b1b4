// What would become of a request: whose it is, what limits it, whether it is remembered, whom it goes to. Nobody is asked.

import { post, useJson } from '../lib/api.js';
import { count, millis, percent, seconds, usd, words } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { Empty, Fault } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { Meter, State } from '../parts/tile.js';

const PATHS = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings'];
const bodyOf = (path, model) => {
  if (path === PATHS[2]) return { model, input: 'hello' };
  if (path === PATHS[1]) return { model, prompt: 'hello', temperature: 0 };
  return { model, temperature: 0, messages: [{ role: 'user', content: 'hello' }] };
};

/** Every name that the configuration offers. */
export function modelsOf(config) {
  const providers = Object.entries(config?.providers ?? {});
  const listed = providers.flatMap(([name, provider]) => (provider.models ?? []).map((model) => `${name}/${model}`));
  const simulated = config?.providers?.sim ? ['instant', 'fast', 'slow', 'flaky'].map((model) => `sim/${model}`) : [];
  return [...new Set([...Object.keys(config?.models ?? {}), ...listed, ...simulated])];
}

export default function Routing({ asked }) {
  const { data: config } = useJson('/admin/config', { every: 0 });
  const [path, setPath] = useState(PATHS[0]);
  const [body, setBody] = useState();
  const [shown, show] = useState({});
  const models = modelsOf(config);
  const first = asked.model ?? models[0] ?? 'sim/fast';
  const written = body ?? JSON.stringify(bodyOf(path, first), null, 2);
  const explain = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      const headers = Object.fromEntries((form.get('headers') ?? '').split('\n').filter(Boolean).map((line) => line.split(/:\s*/, 2)));
      show({ said: await post('/admin/explain', { path, key: form.get('key') || undefined, headers, body: JSON.parse(form.get('body')) }) });
    } catch (error) {
      show({ error: error instanceof SyntaxError ? new Error(`The body is no JSON: ${error.message}`) : error });
    }
  };
  const choose = (model) => {
    try {
      setBody(JSON.stringify({ ...JSON.parse(written), model }, null, 2));
    } catch {
      setBody(JSON.stringify(bodyOf(path, model), null, 2));
    }
  };
  return html`
    <div class="split">
      <form class="ask" onSubmit=${explain}>
        <label>Endpoint<select value=${path} onChange=${(event) => { setPath(event.target.value); setBody(undefined); }}>${PATHS.map((path) => html`<option key=${path}>${path}</option>`)}</select></label>
        <label>Model<select value=${models.find((model) => written.includes(JSON.stringify(model))) ?? ''} onChange=${(event) => choose(event.target.value)}>
          <option value="">as written below</option>${models.map((model) => html`<option key=${model}>${model}</option>`)}</select></label>
        ${config?.keys?.length > 0 && html`
          <label>Caller's key<select name="key">${config.keys.map((key) => html`<option key=${key.id}>${key.id}</option>`)}</select></label>`}
        <label>Body<textarea name="body" rows="9" spellcheck="false" data-search value=${written} onInput=${(event) => setBody(event.target.value)}></textarea></label>
        <label>Headers, one a line<textarea name="headers" rows="2" spellcheck="false" placeholder="cache-control: no-cache"></textarea></label>
        <p class="actions"><button class="primary">Explain</button></p>
        <p class="help">No provider is asked, nothing is counted, and nothing is remembered of it.</p>
      </form>
      <div aria-live="polite">
        <${Fault} error=${shown.error} />
        ${shown.said ? html`<${Said} said=${shown.said} />` : !shown.error && html`
          <${Empty} title="Ask what would become of a request">
            <p>Whose it would be and what limits it, whether it may be answered from memory and under which key, and whom it would go to,
              in which order: by weight, health, load, and whose conversation it is.</p>
          <//>`}
      </div>
    </div>`;
}

function Said({ said }) {
  return html`
    <ol class="way">
      <li><h2>Whose it is</h2>
        <p>${said.caller.key ? html`Key <code>${said.caller.key}</code> of tenant <code>${said.caller.tenant}</code>.` : 'Nobody has keys here: anyone may ask.'}</p>
        ${said.caller.refused && html`<p><${State} kind="bad">${said.caller.refused}<//></p>`}</li>
      <li><h2>What limits it</h2>${said.limits.length === 0 ? html`<p>Nothing: neither its caller, nor the alias, nor the provider has a limit.</p>` : html`<${Limits} rows=${said.limits} />`}</li>
      <li><h2>Whether it is remembered</h2><${Cache} cache=${said.cache} /></li>
      <li><h2>Whom it goes to</h2>
        <p>${alias(said)} At most ${count(said.tries)} ${said.tries === 1 ? 'try' : 'tries'}, in this order as things stand:</p>
        <${Table} label="Targets in the order of their turn" rows=${said.targets.map((row, at) => ({ ...row, turn: at + 1 }))} columns=${COLUMNS} keyed=${(row) => row.target} /></li>
    </ol>`;
}

function alias({ alias, model, targets }) {
  if (!alias) return `“${model}” names its target itself.`;
  const how = alias.balance === 'weights' ? 'by weight' : 'the less loaded of two drawn by weight';
  const draw = alias.drawn_by === 'conversation' ? 'and the same conversation stays where it is' : 'by chance';
  return `“${model}” is an alias for ${targets.length}: ${how}, ${draw}.${alias.hedge ? ' A slow try is made a second time elsewhere.' : ''}`;
}

const REASONS = {
  disabled: 'The cache is switched off, for all or for this alias.',
  'no-store': 'The caller says no-store.',
  'no-cache': 'The caller says no-cache: the answer is fetched anew, and kept.',
  temperature: 'Its temperature is above 0 or not given, and the alias does not opt in (cache.any_temperature).',
  stateful: 'It leaves something behind, or its answer depends on more than itself.',
  'no-scope': 'The alias keeps answers to one user, and it names none.',
};

function Cache({ cache }) {
  if (!cache.eligible) return html`<p><${State}>not looked up<//> ${REASONS[cache.reason] ?? words(cache.reason)}</p>`;
  return html`
    <p>${cache.hit ? html`<${State} kind="ok">a hit in ${cache.hit}<//>, ${seconds(cache.age_seconds)} old` : html`<${State}>a miss<//>: a provider is asked, and the answer kept`}.
      ${cache.compared_with_other_questions && ' It is compared with questions that mean the same.'}</p>
    <p class="key">Key <code>${cache.key}</code></p>`;
}

const COLUMNS = [
  { name: 'Turn', number: true, show: (row) => row.turn },
  { name: 'Target', show: (row) => html`<b>${row.target}</b>${row.first_choice && html`<small>first choice</small>`}` },
  { name: 'Part', show: (row) => (row.part ? html`${row.part.role}${row.part.role === 'target' && html`<small>weight ${count(row.part.weight)}, ${percent(row.part.share)} of its group${row.part.priority > 0 ? `, group ${row.part.priority}` : ''}</small>`}` : '–') },
  { name: 'State', wide: true, show: (row) => html`<${State} kind=${row.open ? 'ok' : 'bad'}>${row.open ? 'open to calls' : `breaker ${words(row.breaker)}`}<//>${row.why && html`<small>${row.why}</small>`}` },
  { name: 'In flight', number: true, show: (row) => `${count(row.in_flight)}${row.limit ? ` of ${count(row.limit)}` : ''}` },
  { name: 'Average', number: true, show: (row) => millis(row.average_ms) },
  { name: 'Price in / out', number: true, show: (row) => (row.usd_per_million_input === null ? '–' : `${usd(row.usd_per_million_input)} / ${usd(row.usd_per_million_output)}`) },
];

/** Rows of /admin/limits, as far as they say something. */
export function Limits({ rows }) {
  const columns = [
    { name: 'Whose', value: (row) => `${row.scope} ${row.name}`, show: (row) => html`<b>${row.name || 'everyone'}</b><small>${row.scope}</small>` },
    { name: 'Requests a minute', number: true, value: (row) => share(row.requests), show: (row) => level(row.requests) },
    { name: 'Tokens a minute', number: true, value: (row) => share(row.tokens), show: (row) => level(row.tokens) },
    { name: 'Requests at once', number: true, value: (row) => row.concurrent_requests?.in_use, show: (row) => room(row.concurrent_requests) },
    { name: 'Streams at once', number: true, value: (row) => row.concurrent_streams?.in_use, show: (row) => room(row.concurrent_streams) },
  ];
  return html`<${Table} label="Limits" columns=${columns} rows=${rows} keyed=${(row) => `${row.scope}/${row.name}`} />`;
}

const share = (level) => (level ? 1 - level.remaining / level.limit : undefined);

function level(level) {
  if (!level) return '–';
  const used = Math.max(0, level.limit - level.remaining);
  return html`${count(used)} of ${count(level.limit)} <${Meter} share=${share(level)} label="${percent(share(level))} used" />${level.reset_seconds > 0 && html`<small>full again in ${seconds(level.reset_seconds)}</small>`}`;
}

function room(room) {
  if (!room) return '–';
  return html`${count(room.in_use)} of ${count(room.limit)} <${Meter} share=${room.in_use / room.limit} label="${room.in_use} of ${room.limit} in use" />`;
}
