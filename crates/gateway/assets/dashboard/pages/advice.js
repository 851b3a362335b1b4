// What to change, with the evidence, the saving that is expected, and the change itself.

import { has, post, useJson } from '../lib/api.js';
import { count, usd, words } from '../lib/format.js';
import { html } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Facts } from '../parts/table.js';
import { complain, say } from '../parts/toast.js';

export default () => (has('advice') ? html`<${List} />` : html`<${NotHere} />`);

function List() {
  const { data, error, loading, reload } = useJson('/admin/advice', { every: 15_000 });
  if (loading) return html`<${Waiting} rows=${4} />`;
  const rows = data?.advice ?? [];
  const act = async (row, word) => {
    const wanted = await confirm({
      title: word === 'apply' ? 'Write this change to the configuration?' : 'Take this change back?',
      words: word === 'apply' ? 'It is written to the file and holds for the requests to come. It can be taken back here.' : 'The file is written as it was, and that holds for the requests to come.',
      action: word === 'apply' ? 'Apply' : 'Take back',
    });
    if (!wanted) return;
    try {
      await post(`/admin/advice/${encodeURIComponent(row.id)}/${word}`);
      say(word === 'apply' ? 'Applied.' : 'Taken back.');
    } catch (error) {
      complain(error);
    }
    reload();
  };
  return html`
    <${Fault} error=${error} reload=${reload} />
    ${data && rows.length === 0 && html`<${Empty} title="Nothing to advise"><p>Rules look at what was asked and what it cost, and say something where a change would bring something.</p><//>`}
    ${rows.map((row) => html`<${One} key=${row.id} row=${row} act=${act} />`)}`;
}

/** Values of evidence and savings, whatever they are. */
const facts = (of) => (Array.isArray(of) ? of.map((row) => (typeof row === 'object' ? [row.name ?? row.figure, row.value ?? row.words] : ['', row])) : Object.entries(of ?? {}));
const shown = (name, value) => (typeof value !== 'number' ? String(value) : /usd/.test(name) ? usd(value) : count(value));

function One({ row, act }) {
  const applied = row.applied ?? row.state === 'applied';
  return html`
    <article class="advice">
      <h2>${row.title ?? row.summary ?? words(row.rule)}</h2>
      <p>${row.words ?? row.description}</p>
      <${Facts} rows=${[...facts(row.saving), ...facts(row.evidence)].filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [words(name).replace('usd', 'US dollars'), shown(name, value)])} />
      ${row.patch && html`<pre><code>${typeof row.patch === 'string' ? row.patch : JSON.stringify(row.patch, null, 2)}</code></pre>`}
      ${(row.safe || applied) && html`
        <p class="actions">${applied ? html`<button onClick=${() => act(row, 'revert')}>Take back…</button>` : html`<button class="primary" onClick=${() => act(row, 'apply')}>Apply…</button>`}</p>`}
    </article>`;
}

const NotHere = () => html`
  <${Empty} title="This gateway gives no advice yet">
    <p>Where it does, each piece of advice stands here with its evidence, the saving that is expected and the change that would bring it: questions that repeat
      and are not cached, prompts whose beginning a provider could keep, weights that send callers to the slower of two, <code>max_tokens</code> far above what is used.</p>
  <//>`;
