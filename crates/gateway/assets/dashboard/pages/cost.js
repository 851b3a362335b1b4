// Tokens and what they cost by the prices that are configured, what the cache saves, and what is left of token limits.

import { get, text, useJson } from '../lib/api.js';
import { compact, count, percent, usd } from '../lib/format.js';
import { parse, sum } from '../lib/metrics.js';
import { link } from '../lib/router.js';
import { html } from '../lib/ui.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { Tile, Tiles } from '../parts/tile.js';
import { Limits } from './routing.js';

/** Tokens by target since the start, with what they cost where that is known. */
async function read() {
  const [metrics, config, cache, limits] = await Promise.all([text('/metrics').then(parse), get('/admin/config'), get('/admin/cache'), get('/admin/limits')]);
  const samples = metrics.tidegate_tokens_total ?? [];
  const names = new Map(samples.map(({ labels }) => [`${labels.provider}/${labels.model}`, labels]));
  const rows = [...names].map(([name, { provider, model }]) => {
    const of = (type) => sum(samples, { provider, model, type });
    const price = config.providers?.[provider]?.prices?.[model];
    return { name, input: of('input'), cached: of('cached_input'), output: of('output'), price, ...costOf(price, of('input'), of('cached_input'), of('output')) };
  });
  return { rows: rows.filter((row) => row.input + row.output > 0), saved: cache.last_hour.saved, limits: limits.limits.filter((row) => row.tokens) };
}

/** In dollars; prices are for a million tokens. A cached token costs as much as another where nobody says less. */
function costOf(price, input, cached, output) {
  if (!price) return { cost: null };
  const cheap = price.cached_input ?? price.input;
  return { cost: ((input - cached) * price.input + cached * cheap + output * price.output) / 1e6 };
}

export default function Cost() {
  const { data, error, loading, reload } = useJson('cost', { every: 5000, read });
  if (loading) return html`<${Waiting} rows=${6} />`;
  if (!data) return html`<${Fault} error=${error} reload=${reload} />`;
  const priced = data.rows.filter((row) => row.cost !== null);
  const total = priced.reduce((sum, row) => sum + row.cost, 0);
  const tokens = (name) => data.rows.reduce((sum, row) => sum + row[name], 0);
  const unpriced = data.rows.filter((row) => row.cost === null).map((row) => row.name);
  return html`
    <${Fault} error=${error} reload=${reload} />
    <${Tiles} label="Since the start">
      <${Tile} name="cost_usd" label="Cost" value=${usd(total)} note=${unpriced.length ? `${unpriced.length} of ${data.rows.length} targets have no price` : 'since the start'} kind=${unpriced.length ? 'warn' : undefined} />
      <${Tile} name="tokens_in" label="Tokens read" value=${compact(tokens('input'))} note=${`${percent(tokens('input') ? tokens('cached') / tokens('input') : 0)} cached by providers`} />
      <${Tile} name="tokens_out" label="Tokens written" value=${compact(tokens('output'))} note="since the start" />
      <${Tile} name="saved" label="Saved by the cache" value=${usd(data.saved.usd)} note=${`${count(data.saved.tokens)} tokens in the last hour`} href=${link('cache')} />
    <//>
    <section><h2>By target <small>since the start</small></h2>
      <${Table} label="Cost by target" columns=${COLUMNS} rows=${data.rows} keyed=${(row) => row.name} sorted=${{ name: 'Cost', down: true }}
        empty=${html`<${Empty} title="No token was counted yet"><p>Providers say with each answer how many tokens they read and wrote; it is added up here.</p><//>`} />
      ${unpriced.length > 0 && html`
        <${Empty} title="What has no price costs nothing here" example=${`[providers.${unpriced[0].split('/')[0]}]\nprices = { "${unpriced[0].slice(unpriced[0].indexOf('/') + 1)}" = { input = 2.5, cached_input = 1.25, output = 10.0 } }`}>
          <p>Write what a model costs, in US dollars for a million tokens. Then answers say what they cost (<code>x-tidegate-cost-usd</code>), and the cache what it saves.</p>
        <//>`}
    </section>
    <section><h2>What is left of token limits</h2>
      ${data.limits.length ? html`<${Limits} rows=${data.limits} />` : html`
        <p class="help">Nobody's tokens are limited. <code>tokens_per_minute</code> for a key, tenant, alias or provider bounds what can be spent: see <a href=${link('limits')}>Keys and limits</a>.</p>`}
    </section>`;
}

const price = (row, name) => (row.price ? usd(row.price[name]) : '–');
const COLUMNS = [
  { name: 'Target', value: (row) => row.name, show: (row) => html`<b>${row.name}</b>` },
  { name: 'Read', number: true, value: (row) => row.input, show: (row) => count(row.input) },
  { name: 'Of these cached', number: true, value: (row) => row.cached, show: (row) => count(row.cached) },
  { name: 'Written', number: true, value: (row) => row.output, show: (row) => count(row.output) },
  { name: 'Price in', number: true, value: (row) => row.price?.input, show: (row) => price(row, 'input') },
  { name: 'Price out', number: true, value: (row) => row.price?.output, show: (row) => price(row, 'output') },
  { name: 'Cost', number: true, value: (row) => row.cost, show: (row) => html`<b>${usd(row.cost)}</b>` },
];
