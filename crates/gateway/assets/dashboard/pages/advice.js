// What to change, with the evidence, the saving that is expected, and the change itself; and what was applied.

import { has, post, useJson } from '../lib/api.js';
import { ago, count, percent, seconds, usd, words } from '../lib/format.js';
import { html } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Facts } from '../parts/table.js';
import { complain, say } from '../parts/toast.js';

export default () => (has('advice') ? html`<${List} />` : html`<${NotHere} />`);

const APPLY = {
  title: 'Write this change to the configuration?',
  words: 'It is written to the file and holds for the requests to come. It can be taken back here.',
  action: 'Apply',
};
const REVERT = {
  title: 'Take this change back?',
  words: 'What stood in the file before is written there again, and holds for the requests to come.',
  action: 'Take back',
};

function List() {
  const { data, error, loading, reload } = useJson('/admin/advice', { every: 15_000 });
  if (loading) return html`<${Waiting} rows=${4} />`;
  const act = async (id, word, question, done) => {
    if (!(await confirm(question))) return;
    try {
      await post(`/admin/advice/${encodeURIComponent(id)}/${word}`);
      say(done);
    } catch (error) {
      complain(error);
    }
    reload();
  };
  const { advice = [], applied = [], file } = data ?? {};
  return html`
    <${Fault} error=${error} reload=${reload} />
    ${data && advice.length === 0 && html`<${Nothing} data=${data} />`}
    ${advice.map((row) => html`<${One} key=${row.id} row=${row} file=${file} apply=${() => act(row.id, 'apply', APPLY, 'Applied.')} />`)}
    ${applied.length > 0 && html`
      <section aria-labelledby="applied"><h2 id="applied">Applied</h2>
        ${applied.map((row) => html`<${Done} key=${row.id} row=${row} revert=${() => act(row.id, 'revert', REVERT, 'Taken back.')} />`)}
      </section>`}`;
}

const Nothing = ({ data }) => html`
  <${Empty} title=${data.enabled ? 'Nothing to advise' : 'Advice is switched off'}>
    ${data.enabled
      ? html`<p>Rules look at what was asked in the last hour and what it cost, and say something where a change would bring something. They conclude nothing from fewer
          than ${count(data.requests_min)} requests; these have been seen since ${ago(data.since)}.</p>`
      : html`<p>It needs <code>advice.enabled</code> and <code>observe.enabled</code>.</p>`}
  <//>`;

/** How a figure is written: its unit is the last word of its name. */
const UNITS = [[/_usd(_per_day)?$/, usd], [/_share$/, percent], [/_seconds$|^seconds_/, seconds]];
const shown = (name, value) => (typeof value === 'string' ? value : (UNITS.find(([of]) => of.test(`_${name}`) || of.test(name))?.[1] ?? count)(value));
const SAVINGS = {
  usd_per_day: 'saves a day',
  seconds_p95: 'sooner, for the slowest 5 in 100',
  seconds_p99: 'sooner, for the slowest 1 in 100',
  requests_share: 'share of the requests',
};
const named = (name) => words(name.replace(/_seconds$/, '').replace(/_usd$/, '_cost'));
/** Words in which names of the configuration stand between backticks. */
const told = (text) => text.split('`').map((piece, at) => (at % 2 ? html`<code key=${at}>${piece}</code>` : piece));

function One({ row, file, apply }) {
  const saving = Object.keys(SAVINGS).filter((name) => row.saving[name] !== null);
  return html`
    <article class="advice" data-advice=${row.rule}>
      <h2>${row.title}</h2>
      <p>${told(row.words)}</p>
      ${saving.length > 0 && html`<${Facts} rows=${saving.map((name) => [SAVINGS[name], shown(name, row.saving[name])])} />`}
      <${Facts} rows=${row.evidence.map(({ name, value }) => [named(name), shown(name, value)])} />
      <${Diff} change=${row.change} />
      ${row.safe && file.editable && html`<p class="actions"><button class="primary" onClick=${apply}>Apply…</button></p>`}
      ${row.safe && !file.editable && html`<p class="help">It is not written from here: ${file.why_not}.</p>`}
      ${!row.safe && row.change.length > 0 && html`<p class="help">It may change answers or what they cost: write it into the configuration yourself if you want it.</p>`}
    </article>`;
}

const Done = ({ row, revert }) => html`
  <article class="advice" data-applied=${row.rule}>
    <h3>${row.title}</h3>
    <p class="help">Written to <code>${row.file}</code> ${ago(row.at)}.</p>
    <${Diff} change=${row.change} />
    <p class="actions"><button onClick=${revert}>Take back…</button></p>
  </article>`;

/** Keys, what stands there, and what is to. What was not written before is not struck out. */
const Diff = ({ change }) => change.length > 0 && html`
  <dl class="changes">${change.map(({ key, from, to }) => html`
    <div key=${key}><dt><code>${key}</code></dt><dd>${from !== null && html`<del><code>${String(from)}</code></del> → `}<ins><code>${String(to)}</code></ins></dd></div>`)}</dl>`;

const NotHere = () => html`
  <${Empty} title="This gateway gives no advice yet">
    <p>Where it does, each piece of advice stands here with its evidence, the saving that is expected and the change that would bring it: questions that repeat
      and are not cached, prompts whose beginning a provider could keep, weights that send callers to the slower of two, <code>max_tokens</code> far above what is used.</p>
  <//>`;
