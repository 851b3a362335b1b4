// What the admin plane can be asked, as its own description has it: everything on these pages, and more, for programs.

import { useJson } from '../lib/api.js';
import { plural } from '../lib/format.js';
import { html, useState } from '../lib/ui.js';
import { Fault, Waiting } from '../parts/empty.js';
import { Facts } from '../parts/table.js';

export default function Page() {
  const { data, error, loading, reload } = useJson('/admin/openapi.json');
  const [search, setSearch] = useState('');
  if (loading) return html`<${Waiting} rows=${8} />`;
  const all = operations(data);
  const found = all.filter((row) => `${row.method} ${row.path} ${row.words}`.toLowerCase().includes(search.toLowerCase()));
  return html`
    <${Fault} error=${error} reload=${reload} />
    <p class="help">Programs send the admin key as <code>Authorization: Bearer …</code>. The same as a file for generators:${' '}
      <a href="/admin/openapi.json" download="tidegate-admin.json">OpenAPI ${data?.openapi}</a>.</p>
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Path or word<input type="search" data-search value=${search} onInput=${(event) => setSearch(event.target.value)} /></label>
    </form>
    ${all.length > 0 && found.length === 0 && html`<p class="help">Nothing is like that.</p>`}
    ${[...bySubject(found)].map(([subject, rows]) => html`
      <section key=${subject} aria-labelledby=${`of-${subject}`}>
        <h2 id=${`of-${subject}`}>${subject} <small>${plural(rows.length, 'call')}</small></h2>
        <div class="sections calls">${rows.map((row) => html`<${Call} key=${row.name} row=${row} open=${found.length < 4} />`)}</div>
      </section>`)}`;
}

/** Every call, in the order in which the description has them. */
const operations = (described) =>
  Object.entries(described?.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, said]) => ({
      name: said.operationId,
      method: method.toUpperCase(),
      path,
      words: said.summary,
      parts: said.parameters.map((part) => [part.name, part.description ?? (part.in === 'path' ? 'a part of the path' : '')]),
      body: said.requestBody?.description,
      media: Object.keys(said.responses[200].content)[0],
      open: said.security?.length === 0,
    })));

/** By the first word behind `/admin`; what stands elsewhere together. */
function bySubject(rows) {
  const subjects = new Map();
  for (const row of rows) {
    const subject = row.path.match(/^\/admin\/([a-z]+)/)?.[1] ?? 'gateway';
    subjects.set(subject, [...(subjects.get(subject) ?? []), row]);
  }
  return subjects;
}

/** Words in which what stands between backticks is code. */
const worded = (words) => words.split('`').map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

function Call({ row, open }) {
  const facts = [...row.parts, row.body && ['body', row.body], ['answer', row.media], row.open && ['key', 'not needed']];
  return html`
    <details open=${open}>
      <summary><code><b>${row.method}</b> ${row.path}</code><small>${worded(row.words)}</small></summary>
      <div class="call">
        <${Facts} rows=${facts.filter(Boolean).map(([name, words]) => [name, worded(words)])} />
        <pre><code>${example(row)}</code></pre>
      </div>
    </details>`;
}

/** What to type, as it stands; parts of the path are for the reader to fill in. */
function example({ method, path, body, open, media }) {
  const words = ['curl', media === 'text/event-stream' && '-N', method !== 'GET' && `-X ${method}`, `'${location.origin}${path}'`];
  if (!open) words.push(`-H "authorization: Bearer $TIDEGATE_ADMIN_KEY"`);
  if (body) words.push(`-H 'content-type: application/json' -d '{ … }'`);
  return words.filter(Boolean).join(' ');
}
