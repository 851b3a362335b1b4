// What is in force, what the file says by now, and putting that in force.

import { post, useJson } from '../lib/api.js';
import { diff, flatten } from '../lib/diff.js';
import { count, plural } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { State } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

export default function Configuration() {
  const force = useJson('/admin/config', { every: 5000 });
  const file = useJson('/admin/config/file', { every: 5000 });
  const [search, setSearch] = useState('');
  const reload = () => [force, file].forEach((one) => one.reload());
  if (force.loading || file.loading) return html`<${Waiting} rows=${10} />`;
  const changes = file.data?.config && force.data ? diff(force.data, file.data.config) : [];
  const rows = [...flatten(force.data ?? {})].map(([key, value]) => ({ key, value })).filter((row) => `${row.key} ${row.value}`.toLowerCase().includes(search.toLowerCase()));
  return html`
    <${Fault} error=${force.error ?? file.error} reload=${reload} />
    <${Stand} file=${file.data} changes=${changes} reload=${reload} />
    <section aria-labelledby="in-force"><h2 id="in-force">In force <small>${count(rows.length)} keys, secrets left out</small></h2>
      <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
        <label>Key or value<input type="search" data-search value=${search} onInput=${(event) => setSearch(event.target.value)} placeholder="timeouts" /></label>
      </form>
      <${Sections} rows=${rows} open=${search !== ''} />
    </section>`;
}

/** Keys by the section that they stand in; open while something is looked for. */
function Sections({ rows, open }) {
  const sections = new Map();
  for (const row of rows) {
    const [section] = row.key.split(/[.[]/, 1);
    const name = section === row.key ? 'top of the file' : section;
    sections.set(name, [...(sections.get(name) ?? []), row]);
  }
  if (rows.length === 0) return html`<p class="help">No key is like that.</p>`;
  return html`
    <div class="sections">
      ${[...sections].map(([name, rows]) => html`
        <details key=${name} open=${open || ['models', 'providers'].includes(name)}>
          <summary><b>${name}</b><small>${plural(rows.length, 'key')}</small></summary>
          <dl>${rows.map((row) => html`<div key=${row.key}><dt><code>${row.key}</code></dt><dd><code class=${row.value?.includes('[redacted]') ? 'secret' : ''}>${row.value}</code></dd></div>`)}</dl>
        </details>`)}
    </div>`;
}

/** Whether file and process agree. */
function Stand({ file, changes, reload }) {
  const [busy, setBusy] = useState(false);
  const path = file?.path;
  const apply = async () => {
    const wanted = changes.length === 0 || (await confirm({
      title: `Put ${plural(changes.length, 'change')} in force?`,
      words: 'They hold for the requests to come; none under way is touched. A file that changes is also applied by itself, within a second or two.',
      action: 'Reload',
    }));
    if (!wanted) return;
    setBusy(true);
    try {
      const { needs_restart: waiting, certificates } = await post('/admin/config/reload');
      certificates.forEach(complain);
      say(waiting.length ? `In force, but for what waits for a restart: ${waiting.join(', ')}.` : 'The configuration is in force.');
    } catch (error) {
      complain(error);
    }
    setBusy(false);
    reload();
  };
  const button = html`<button class=${changes.length ? 'primary' : ''} disabled=${busy || Boolean(file?.faults)} onClick=${apply}>Reload</button>`;
  return html`
    <section class="stand" aria-labelledby="stand">
      <h2 id="stand" class="hidden">The file and what is in force</h2>
      <div class="line">
        <p>${file?.faults
          ? html`<${State} kind="bad">The file is refused<//>, and what ran before goes on.`
          : changes.length
            ? html`<${State} kind="warn">The file differs<//> from what is in force, in ${plural(changes.length, 'key')}.`
            : html`<${State} kind="ok">In force as written<//>.`}
          <br /><small>${path ? html`<code>${path}</code>, with the environment and flags over it` : 'There is no file: defaults, environment and flags.'}</small></p>
        ${button}
      </div>
      ${file?.needs_restart?.length > 0 && html`<p class="notice warn">These wait for a restart: ${file.needs_restart.map((key, at) => html`${at > 0 && ', '}<code key=${key}>${key}</code>`)}.</p>`}
      ${file?.warnings?.length > 0 && html`<div class="notice warn">${file.warnings.map((warning, at) => html`<p key=${at}>${warning.key && html`<code>${warning.key}</code>: `}${warning.message}; ${warning.mend}.</p>`)}</div>`}
      ${file?.faults && html`<pre class="faults"><code>${file.faults}</code></pre>`}
      ${changes.length > 0 && html`<${Table} label="Differences" columns=${CHANGES} rows=${changes} keyed=${(row) => row.key} />`}
    </section>`;
}

const CHANGES = [
  { name: 'Key', value: (row) => row.key, show: (row) => html`<code>${row.key}</code>` },
  { name: 'In force', wide: true, show: (row) => (row.before === undefined ? html`<span class="help">not set</span>` : html`<del><code>${row.before}</code></del>`) },
  { name: 'In the file', wide: true, show: (row) => (row.after === undefined ? html`<span class="help">not set</span>` : html`<ins><code>${row.after}</code></ins>`) },
];
