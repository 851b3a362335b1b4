// How fast: one figure over time and its percentiles, of all requests and by route, target, key and alias.

import { has, useJson } from '../lib/api.js';
import { compact, count, millis, percent, rate } from '../lib/format.js';
import { ask, link } from '../lib/router.js';
import { html, useMemo } from '../lib/ui.js';
import { Chart } from '../parts/chart.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';

const FIGURES = [
  ['total', 'Whole requests', 'from the first byte to the end of the answer'],
  ['overhead', 'Our own time', 'the total less the time in which a provider was asked'],
  ['first_token', 'First token', 'of streams, from the request’s first byte'],
  ['between_tokens', 'Between tokens', 'of streams, from one piece of output to the next'],
  ['cache', 'Cache', 'looking an answer up, found or not'],
  ['external', 'Calls to providers', 'each try by itself'],
];
/** What memory knows, and what lies on disk by the minute. */
const WINDOWS = ['10s', '1m', '10m', '1h', '24h'];
const DAYS = ['7d', '30d'];
const LISTS = [['route', 'routes', 'Routes'], ['target', 'targets', 'Targets'], ['alias', 'aliases', 'Aliases'], ['key', 'keys', 'Keys']];

/** A span as people write it: 10 min. */
const span = (name) => name.replace(/^(\d+)/, '$1\u00a0').replace(/m$/, 'min');

export default function Page({ asked }) {
  if (!has('performance')) return html`<${NotHere} />`;
  const figure = FIGURES.find(([name]) => name === asked.figure) ?? FIGURES[0];
  const window = [...WINDOWS, ...DAYS].includes(asked.window) ? asked.window : '10m';
  const of = LISTS.some(([by]) => by === asked.by) && asked.name ? { by: asked.by, name: asked.name } : undefined;
  return html`
    <${Choices} figure=${figure[0]} window=${window} of=${of} />
    <${OverTime} figure=${figure} window=${window} of=${of} />
    <${Now} figure=${figure} window=${WINDOWS.includes(window) ? window : '24h'} of=${of} />`;
}

const Choices = ({ figure, window, of }) => html`
  <form class="filter" onSubmit=${(event) => event.preventDefault()}>
    <label class="wide">Figure<select value=${figure} onChange=${(event) => ask({ figure: event.target.value })}>
      ${FIGURES.map(([name, words]) => html`<option key=${name} value=${name} selected=${name === figure}>${words}</option>`)}</select></label>
    <label>Over the last<select value=${window} onChange=${(event) => ask({ window: event.target.value })}>
      ${[...WINDOWS, ...DAYS].map((name) => html`<option key=${name} value=${name} selected=${name === window}>${span(name)}</option>`)}</select></label>
    ${of && html`<p class="check">Of the ${of.by} <b>${of.name}</b> <button onClick=${() => ask({ by: '', name: '' })}>Show all</button></p>`}
  </form>`;

function OverTime({ figure: [figure, words, about], window, of }) {
  const path = (more) => `/admin/performance/chart?${new URLSearchParams({ window, ...of, ...more })}`;
  const every = DAYS.includes(window) ? 60_000 : window === '24h' || window === '1h' ? 15_000 : 3000;
  const spread = useJson(path({ figure }), { every });
  const rates = useJson(path({}), { every });
  const drawn = useMemo(() => columns(spread.data?.points, ['p50_ms', 'p95_ms', 'p99_ms']), [spread.data]);
  const counted = useMemo(() => columns(rates.data?.points, ['requests_per_second', 'error_rate']), [rates.data]);
  if (spread.loading || rates.loading) return html`<${Waiting} rows=${5} />`;
  return html`
    <${Fault} error=${spread.error ?? rates.error} reload=${spread.reload} />
    ${drawn.times.length + counted.times.length === 0 ? html`<${Nothing} window=${window} />` : html`
      <div class="charts">
        <${Chart} title=${words} unit=${about} times=${drawn.times} format=${millis} series=${[
          { label: 'p50', values: drawn.of.p50_ms }, { label: 'p95', values: drawn.of.p95_ms }, { label: 'p99', values: drawn.of.p99_ms },
        ]} />
        <${Chart} title="Requests" unit="per second" times=${counted.times} format=${compact} series=${[
          { label: 'ended', values: counted.of.requests_per_second, fill: true, colour: 0, dash: 0 },
          { label: 'failed', values: counted.of.requests_per_second.map((all, at) => all * counted.of.error_rate[at]), colour: 1, dash: 1 },
        ]} />
      </div>`}`;
}

/** A chart's points as uPlot has them: times, and each member by itself. */
function columns(points = [], names) {
  const of = Object.fromEntries(names.map((name) => [name, points.map((point) => point[name] ?? null)]));
  return { times: points.map((point) => point.at_ms / 1000), of };
}

function Now({ figure: [figure, words], window, of }) {
  const asked = of ? { window, ...of } : { window };
  const { data, error, loading, reload } = useJson(`/admin/performance?${new URLSearchParams(asked)}`, { every: 3000 });
  if (loading) return html`<${Waiting} rows=${6} />`;
  const columns = table(figure);
  const all = data?.all?.[window];
  return html`
    <${Fault} error=${error} reload=${reload} />
    <p class="help">${words} over the last ${span(window)}; within 2 % of the exact percentiles.${data?.held?.not_seen > 0 ? ` ${count(data.held.not_seen)} requests are missing: the observer was too slow.` : ''}</p>
    ${!of && all && html`<${Table} label="All requests" columns=${columns} rows=${[{ name: 'All requests', ...all }]} keyed=${(row) => row.name} />`}
    ${LISTS.filter(([, list]) => data?.[list]?.length > 0).map(([by, list, title]) => html`
      <section key=${by} aria-labelledby=${`by-${by}`}><h2 id=${`by-${by}`}>${title}</h2>
        <${Table} label=${title} columns=${columns} rows=${data[list]} keyed=${(row) => row.name} sorted=${{ name: 'Requests', down: true }}
          open=${(row) => ask({ by, name: row.name })} />
      </section>`)}`;
}

/** Columns of one figure; a percentile of nothing is not nought. */
const table = (figure) => {
  const some = (row, name) => (row.figures[figure].count > 0 ? row.figures[figure][name] : null);
  const percentile = (name, of) => ({ name, number: true, value: (row) => some(row, of), show: (row) => millis(some(row, of)) });
  return [
    { name: 'Name', value: (row) => row.name, show: (row) => html`<b>${row.name}</b>` },
    { name: 'Requests', number: true, value: (row) => row.rates.requests, show: (row) => count(row.rates.requests) },
    { name: 'Rate', number: true, value: (row) => row.rates.requests_per_second, show: (row) => rate(row.rates.requests_per_second) },
    { name: 'Failed', number: true, value: (row) => row.rates.error_rate, show: (row) => percent(row.rates.error_rate) },
    percentile('p50', 'p50_ms'), percentile('p95', 'p95_ms'), percentile('p99', 'p99_ms'), percentile('Longest', 'max_ms'),
    { name: 'Timed', number: true, value: (row) => row.figures[figure].count, show: (row) => count(row.figures[figure].count) },
  ];
};

const Nothing = ({ window }) => html`
  <${Empty} title=${DAYS.includes(window) ? 'Nothing is on disk yet' : 'No request in this time'}>
    <p>${DAYS.includes(window)
      ? 'A minute is written to the data folder when it is over, and kept for observe.history_days.'
      : html`Figures begin with the first request; the <a href=${link('playground')}>playground</a> can send one.`}</p>
  <//>`;

const NotHere = () => html`
  <${Empty} title="This gateway does not look at requests" example=${'[observe]\nenabled = true'}>
    <p>With it percentiles of six figures stand here, by route, target, key and alias, for the last ten seconds to the last 30 days.</p>
  <//>`;
