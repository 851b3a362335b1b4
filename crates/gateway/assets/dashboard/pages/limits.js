// Who may use how much, and how they stand; callers' keys, the file's and the stored ones.

import { useJson } from '../lib/api.js';
import { words } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { State } from '../parts/tile.js';
import { Limits } from './routing.js';

export default function Page() {
  const limits = useJson('/admin/limits', { every: 3000 });
  const known = useJson('/admin/keys', { every: 10_000 });
  const [search, setSearch] = useState('');
  if (limits.loading) return html`<${Waiting} rows=${6} />`;
  const rows = (limits.data?.limits ?? []).filter((row) => `${row.scope} ${row.name}`.includes(search));
  const keys = (known.data?.keys ?? []).filter((key) => `${key.id} ${key.tenant ?? ''}`.includes(search));
  return html`
    <${Fault} error=${limits.error ?? known.error} reload=${limits.reload} />
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Key, tenant, alias or provider<input type="search" data-search value=${search} onInput=${(event) => setSearch(event.target.value)} /></label>
    </form>
    <section aria-labelledby="limits"><h2 id="limits">Limits
        <small>${limits.data?.shared ? 'counted together by all replicas, through Redis' : 'counted by this replica alone'}</small></h2>
      ${rows.length > 0 ? html`<${Limits} rows=${rows} />` : html`<${NoLimits} search=${search} />`}
    </section>
    <section aria-labelledby="keys"><h2 id="keys">Callers' keys</h2>
      ${keys.length > 0 ? html`<${Table} label="Keys" columns=${KEYS} rows=${keys} keyed=${(key) => key.id} />` : html`<${NoKeys} search=${search} />`}
    </section>`;
}

const KEYS = [
  { name: 'Key', value: (key) => key.id, show: (key) => html`<code>${key.id}</code>` },
  { name: 'Tenant', value: (key) => key.tenant, show: (key) => key.tenant ?? html`<span class="help">its own</span>` },
  { name: 'Models', wide: true, show: (key) => (key.models?.length ? key.models.join(', ') : 'any') },
  { name: 'Priority', value: (key) => key.priority, show: (key) => key.priority ?? 'normal' },
  { name: 'Kept in', value: (key) => key.source, show: (key) => ({ file: 'the file', store: 'the database' })[key.source] ?? words(key.source) },
  { name: 'State', value: (key) => key.state, show: (key) => html`<${State} kind=${key.state === 'valid' ? 'ok' : 'warn'}>${words(key.state)}<//>` },
];

const NoLimits = ({ search }) => (search ? html`<p class="help">None is like that.</p>` : html`
  <${Empty} title="Nothing is limited" example=${`[limits.default]\nrequests_per_minute = 100\ntokens_per_minute = 100000\n\n[limits.tenants.search]\nrequests_per_minute = 1000`}>
    <p>Keys, tenants, aliases and providers can each have so many requests and tokens a minute, and so many requests and streams at once.
      Whoever is over is told when to come back; nobody waits at the door.</p>
  <//>`);

const NoKeys = ({ search }) => (search ? html`<p class="help">None is like that.</p>` : html`
  <${Empty} title="Callers need no key" example=${'tidegate keys create --tenant search            # lines for the file\ntidegate keys create --stored --tenant search   # kept in the database, valid at once'}>
    <p><${State} kind="warn">Whoever reaches the data plane may use it<//>, which is allowed on loopback only. The command prints a key once; file and
      database hold its hash alone.</p>
  <//>`);
