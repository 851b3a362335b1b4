// What was asked lately: a list with its filter, and the waterfall of each.

import { get, has, useJson } from '../lib/api.js';
import { count, millis, moment, time, usd, words } from '../lib/format.js';
import { ask } from '../lib/router.js';
import { html, useEffect, useState } from '../lib/ui.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Field } from '../parts/field.js';
import { Drawer, Waterfall } from '../parts/requests.js';
import { Facts, Table } from '../parts/table.js';
import { State } from '../parts/tile.js';

/** What the list may be asked for, as /admin/requests reads it. */
const FIELDS = [
  { name: 'route', label: 'Model or alias', placeholder: 'smart' },
  { name: 'key', label: 'Key', placeholder: 'tg-…' },
  { name: 'target', label: 'Target', placeholder: 'openai/gpt-4o' },
  { name: 'id', label: 'Request id', placeholder: 'req_…' },
];
const CHOICES = [
  { name: 'status', label: 'Status', values: ['', '2xx', '4xx', '5xx', '429'] },
  { name: 'cache', label: 'Cache', values: ['', 'hit', 'miss', 'coalesced', 'bypass'] },
];
const SWITCHES = [{ name: 'failed', label: 'Failed' }, { name: 'slow', label: 'Slow' }, { name: 'stream', label: 'Streams' }];
const ASKED = [...[...FIELDS, ...CHOICES, ...SWITCHES].map((field) => field.name), 'after'];

const COLUMNS = [
  { name: 'When', value: (row) => row.at, show: (row) => html`<time title=${moment(row.at)}>${time(row.at)}</time>` },
  { name: 'Model', value: (row) => row.asked_for ?? row.route, show: (row) => row.asked_for ?? row.route },
  { name: 'Answered by', value: (row) => row.target, show: (row) => row.target ?? '–' },
  { name: 'Status', value: (row) => row.status, show: (row) => html`<${State} kind=${kind(row)}>${row.status} ${words(row.error ?? (row.outcome === 'ok' ? '' : row.outcome)).replace('–', '')}<//>` },
  { name: 'Cache', value: (row) => row.cache, show: (row) => row.cache?.replace('; ', ', ') ?? '–' },
  { name: 'Total', number: true, value: (row) => row.total_ms, show: (row) => millis(row.total_ms) },
  { name: 'First token', number: true, value: (row) => row.first_token_ms, show: (row) => millis(row.first_token_ms) },
  { name: 'Ours', number: true, value: (row) => row.overhead_ms, show: (row) => millis(row.overhead_ms) },
  { name: 'Tokens', number: true, value: (row) => row.tokens?.output, show: tokens },
  { name: 'Tries', number: true, value: (row) => row.attempts, show: (row) => count(row.attempts) },
];

/** Read and written; where nobody was asked, none. */
function tokens({ tokens }) {
  return tokens?.input || tokens?.output ? `${count(tokens.input)} → ${count(tokens.output)}` : '–';
}

function kind({ status, outcome }) {
  if (outcome === 'ok') return 'ok';
  return status >= 500 || outcome === 'provider_error' || outcome === 'gateway_error' ? 'bad' : 'warn';
}

export default function Requests({ asked }) {
  if (!has('requests')) return html`<${NotHere} />`;
  return html`<${List} asked=${asked} />`;
}

function List({ asked }) {
  const filter = Object.fromEntries(ASKED.filter((name) => asked[name]).map((name) => [name, asked[name]]));
  const { data, error, loading, reload } = useJson(`/admin/requests?${new URLSearchParams({ ...filter, limit: '100' })}`, { every: asked.open || asked.after ? 0 : 3000 });
  const rows = data?.requests ?? data?.data ?? [];
  const filtered = Object.keys(filter).length > 0;
  const empty = html`
    <${Empty} title=${filtered ? 'No kept request is like that' : 'No request yet'}>
      <p>${filtered ? 'Take part of the filter away, or wait for one.' : 'The last ones are kept here, slow and failed ones longer. What they said is not kept.'}</p>
    <//>`;
  return html`
    <${Filter} asked=${asked} />
    <${Fault} error=${error} reload=${reload} />
    ${loading ? html`<${Waiting} rows=${10} />` : html`
      <${Table} label="Requests" columns=${COLUMNS} rows=${rows} keyed=${(row) => row.number ?? row.id} empty=${empty}
        open=${(row) => ask({ open: row.id })} marked=${(row) => (row.id === asked.open ? 'marked' : undefined)} />`}
    ${data?.held?.thinned > 0 && html`<p class="help">${count(data.held.thinned)} requests are not among these: where too many come at once every so many-th is kept, and all that were slow or failed.</p>`}
    <p class="actions">
      ${asked.after && html`<button onClick=${() => ask({ after: undefined })}>Newest</button>`}
      ${data?.next && html`<button onClick=${() => ask({ after: data.next })}>Older</button>`}
    </p>
    ${asked.open && html`<${One} id=${asked.open} close=${() => ask({ open: undefined })} />`}`;
}

function Filter({ asked }) {
  const hand = (name) => (value) => ask({ after: undefined, [name]: value || undefined });
  return html`
    <form class="filter" onSubmit=${(event) => event.preventDefault()} role="search" aria-label="Filter requests">
      ${FIELDS.map((field, at) => html`
        <label key=${field.name}>${field.label}<${Field} type="search" value=${asked[field.name] ?? ''} placeholder=${field.placeholder}
          data-search=${at === 0 || undefined} hand=${hand(field.name)} /></label>`)}
      ${CHOICES.map((field) => html`
        <label key=${field.name}>${field.label}<select value=${asked[field.name] ?? ''} onChange=${(event) => hand(field.name)(event.target.value)}>
          ${field.values.map((value) => html`<option key=${value} value=${value}>${value || 'any'}</option>`)}</select></label>`)}
      ${SWITCHES.map((field) => html`
        <label key=${field.name} class="check"><input type="checkbox" checked=${asked[field.name] === 'true'} onChange=${(event) => hand(field.name)(event.target.checked && 'true')} />${field.label}</label>`)}
    </form>`;
}

function One({ id, close }) {
  const [shown, show] = useState({});
  useEffect(() => {
    show({});
    get(`/admin/requests/${encodeURIComponent(id)}`).then((row) => show({ row })).catch((error) => show({ error }));
  }, [id]);
  const { row, error } = shown;
  return html`
    <${Drawer} title=${id} close=${close}>
      <${Fault} error=${error} />
      ${row && html`
        <${Waterfall} steps=${row.waterfall ?? []} total=${row.total_ms} />
        <${Facts} rows=${[
          ['When', moment(row.at)], ['Operation', words(row.operation)], ['Model', row.asked_for ?? row.route], ['Answered by', row.target ?? '–'],
          ['Status', `${row.status} ${words(row.outcome)}`], row.error && ['Error', words(row.error)], ['Cache', row.cache ?? '–'],
          ['Key', row.key ?? '–'], ['Tenant', row.tenant || '–'],
          ['Tokens', `${count(row.tokens?.input)} read (${count(row.tokens?.cached_input)} cached), ${count(row.tokens?.output)} written`],
          ['Cost', usd(row.cost_usd)], ['Total', millis(row.total_ms)], ['Our own time', millis(row.overhead_ms)], ['First token', millis(row.first_token_ms)], ['Tries', count(row.attempts)],
        ]} />`}
    <//>`;
}

const NotHere = () => html`
  <${Empty} title="Recent requests are not kept by this gateway">
    <p>Where they are, each of the last ones stands here with its waterfall: who asked, how long it waited, which tiers were looked at,
      each try at a provider, the first token and the stream. What was said is not kept unless it is asked for.</p>
  <//>`;
