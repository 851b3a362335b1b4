// Whom requests go to: health, breakers with their reset, who waits, connections.

import { post, useJson } from '../lib/api.js';
import { ago, count, millis, moment, seconds, sentence, words } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { Meter, State } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

const place = (row) => [row.provider, row.model, row.operation, row.alias, row.scope].join('/');
const BREAKER = { closed: 'ok', half_open: 'warn', open: 'bad' };

/** Resets breakers by hand, once that is confirmed. */
async function reset(which, name, reload) {
  const wanted = await confirm({
    title: `Reset ${name}?`,
    words: 'It closes, and requests go there again at once. If it still fails, the breaker opens again after a few of them.',
    action: 'Reset',
  });
  if (!wanted) return;
  try {
    const { reset } = await post('/admin/breakers/reset', which);
    say(reset === 1 ? 'One breaker was reset.' : `${reset} breakers were reset.`);
  } catch (error) {
    complain(error);
  }
  reload();
}

export default function Targets() {
  const targets = useJson('/admin/targets', { every: 3000 });
  const breakers = useJson('/admin/breakers', { every: 3000 });
  const pools = useJson('/admin/pools');
  const reload = () => [targets, breakers].forEach((one) => one.reload());
  const [search, setSearch] = useState('');
  const fits = (row) => place(row).includes(search);
  if (targets.loading) return html`<${Waiting} rows=${8} />`;
  const rows = (targets.data?.targets ?? []).filter(fits);
  const told = (breakers.data?.breakers ?? []).filter((row) => row.state !== 'closed' || row.trips > 0);
  return html`
    <${Fault} error=${targets.error} reload=${reload} />
    <${Causes} causes=${breakers.data?.causes ?? []} />
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Provider or model<input type="search" data-search value=${search} onInput=${(event) => setSearch(event.target.value)} placeholder="openai" /></label>
    </form>
    <${Table} label="Targets" columns=${COLUMNS} rows=${rows} keyed=${place} marked=${(row) => (row.health.ok ? undefined : 'unwell')} empty=${html`<${None} search=${search} />`} />
    <section aria-labelledby="breakers">
      <h2 id="breakers">Breakers that have tripped</h2>
      ${told.length === 0
        ? html`<p class="help">None. A breaker opens where a target fails several times in a row or too often, and then it is left alone for a while.</p>`
        : html`
          <${Table} label="Breakers" rows=${told} keyed=${place} columns=${breakerColumns(reload)} />
          <p class="actions"><button onClick=${() => reset({ everything: true }, 'all breakers', reload)}>Reset all breakers</button></p>`}
    </section>
    <section aria-labelledby="pools">
      <h2 id="pools">Connections to providers <small data-figure="connections_open">${count(pools.data?.open)} of ${count(pools.data?.max)} open</small></h2>
      <${Table} label="Connections" columns=${POOLS} rows=${pools.data?.pools ?? []} keyed=${(row) => row.provider}
        empty=${html`<p class="help">No provider is asked over the network: the simulated one runs within the process.</p>`} />
    </section>`;
}

function Causes({ causes }) {
  return causes.map((cause) => html`
    <div class=${`notice ${cause.severity === 'critical' ? 'bad' : 'warn'}`} role="status" key=${cause.words}>
      <b>${sentence(cause.words)}</b> <small>${count(cause.count)} times, ${ago(cause.since)}</small><p>${sentence(cause.advice)}</p>
    </div>`);
}

const COLUMNS = [
  { name: 'Target', value: (row) => `${row.provider}/${row.model}`, show: (row) => html`<b>${row.provider}/${row.model}</b><small>${words(row.operation)}${row.alias ? `, judged for ${row.alias}` : ''}</small>` },
  { name: 'Health', wide: true, value: (row) => (row.health.ok ? 1 : 0), show: (row) => html`<${State} kind=${row.health.ok ? 'ok' : 'bad'}>${row.health.ok ? 'well' : 'unwell'}<//>${row.health.why && html`<small>${row.health.why}</small>`}` },
  { name: 'Breaker', value: (row) => row.breaker.state, show: (row) => html`<${State} kind=${BREAKER[row.breaker.state]}>${words(row.breaker.state)}<//>` },
  { name: 'In flight', number: true, value: (row) => row.concurrency.in_flight, show: inFlight },
  { name: 'Waiting', number: true, value: (row) => row.concurrency.waiting, show: waiting },
  { name: 'Refused', number: true, value: (row) => row.concurrency.refused + row.concurrency.dropped },
  { name: 'First token p50 / p95', number: true, value: (row) => row.latency.first_token_p95_ms, show: (row) => `${millis(row.latency.first_token_p50_ms)} / ${millis(row.latency.first_token_p95_ms)}` },
  { name: 'Average', number: true, value: (row) => row.latency.average_ms, show: (row) => millis(row.latency.average_ms) },
  { name: 'Last answer', value: (row) => row.health.last_good, show: (row) => html`<time title=${moment(row.health.last_good)}>${ago(row.health.last_good)}</time>` },
];

function inFlight({ concurrency: { in_flight: busy, limit } }) {
  if (!limit) return count(busy);
  return html`${count(busy)} of ${count(limit)} <${Meter} share=${busy / limit} label="${busy} of ${limit} places taken" />`;
}

function waiting({ concurrency }) {
  const bands = Object.entries(concurrency.waiting_by_band).filter(([, count]) => count > 0).map(([band, count]) => `${count} ${band}`);
  return html`${count(concurrency.waiting)}${bands.length > 0 && html`<small>${bands.join(', ')}, about ${millis(concurrency.estimated_wait_ms)}</small>`}`;
}

const breakerColumns = (reload) => [
  { name: 'Target', value: place, show: (row) => html`<b>${row.provider}/${row.model}</b><small>${row.scope === 'credential' ? 'all its credential leads to' : words(row.operation)}</small>` },
  { name: 'State', value: (row) => row.state, show: (row) => html`<${State} kind=${BREAKER[row.state]}>${words(row.state)}<//>` },
  { name: 'Why', show: (row) => (row.reason ? words(row.reason) : '–') },
  { name: 'Since', value: (row) => row.since, show: (row) => html`<time title=${moment(row.since)}>${ago(row.since)}</time>` },
  { name: 'Tried again', number: true, show: (row) => (row.retry_after_seconds === null ? '–' : `in ${seconds(row.retry_after_seconds)}`) },
  { name: 'Failures', number: true, value: (row) => row.failures, show: (row) => `${count(row.failures)} of ${count(row.calls)}` },
  { name: 'Trips', number: true, value: (row) => row.trips },
  { name: 'Strategy', show: (row) => row.strategy ?? '–' },
  { name: '', show: (row) => row.state !== 'closed' && html`<button onClick=${() => reset(whichOf(row), `the breaker of ${row.provider}/${row.model}`, reload)}>Reset</button>` },
];

/** A path from the left, up to what is not told apart. */
function whichOf(row) {
  const which = { provider: row.provider };
  if (row.model !== '*') which.model = row.model;
  if (row.model !== '*' && row.operation !== '*') which.operation = row.operation;
  return which;
}

const POOLS = [
  { name: 'Provider', value: (row) => row.provider, show: (row) => html`<b>${row.provider}</b>` },
  { name: 'Busy', number: true, value: (row) => row.busy },
  { name: 'Idle', number: true, value: (row) => row.idle },
  { name: 'Most lately', number: true, value: (row) => row.most, show: (row) => `${count(row.most)} of ${count(row.max)}` },
  { name: 'Waiting', number: true, value: (row) => row.waiting },
  { name: 'Opened', number: true, value: (row) => row.opened, show: (row) => count(row.opened) },
  { name: 'Reused', number: true, value: (row) => row.reused, show: (row) => count(row.reused) },
  { name: 'Had to wait', number: true, value: (row) => row.waited, show: (row) => count(row.waited) },
  { name: 'Name looked up', value: (row) => row.dns.age_seconds, show: (row) => (row.dns.age_seconds === null ? '–' : `${seconds(row.dns.age_seconds)} ago`) },
  { name: 'Advice', wide: true, show: (row) => row.advice ?? '–' },
];

const None = ({ search }) => html`
  <${Empty} title=${search ? 'No target is like that' : 'No target was asked yet'}>
    <p>A target stands here once a request has named it: a provider's model, be it by an alias or as <code>provider/model</code>.</p>
  <//>`;
