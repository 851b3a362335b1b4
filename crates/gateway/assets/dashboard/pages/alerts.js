// What calls for somebody: what fires, silences, who is told, the rules, and what was.

import { has, post, remove, useJson } from '../lib/api.js';
import { ago, count, moment, seconds, words } from '../lib/format.js';
import { html, useRef, useState } from '../lib/ui.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Table } from '../parts/table.js';
import { State } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

const GRAVE = { critical: 'bad', warning: 'warn' };
const when = (at) => html`<time title=${moment(at)}>${ago(at)}</time>`;
const labels = (of) => Object.entries(of ?? {}).filter(([name]) => name !== 'alertname' && name !== 'severity').map(([name, value]) => `${name}=${value}`).join(', ');
const matchers = (of) => (of ?? []).map(({ name, value, equal }) => `${name}${equal === false ? '≠' : '='}${value}`).join(', ');

export default () => (has('alerts') ? html`<${Alerts} />` : html`<${NotHere} />`);

function Alerts() {
  const { data, error, loading, reload } = useJson('/admin/alerts', { every: 3000 });
  const dialog = useRef();
  const [about, setAbout] = useState();
  const silence = (alert) => {
    setAbout(alert);
    dialog.current.showModal();
  };
  if (loading) return html`<${Waiting} rows=${6} />`;
  if (!data) return html`<${Fault} error=${error} reload=${reload} />`;
  const rows = (name) => data[name] ?? [];
  return html`
    <${Fault} error=${error} reload=${reload} />
    ${data.enabled === false && html`<p class="notice warn">Alerts are switched off (<code>alerts.enabled</code>).</p>`}
    <section aria-labelledby="firing"><h2 id="firing">Now</h2>
      <${Table} label="Alerts" columns=${alertColumns(silence)} rows=${rows('alerts')} keyed=${(row) => row.id} empty=${html`<p><${State} kind="ok">No alert fires or may soon.<//></p>`} />
    </section>
    <section aria-labelledby="silences"><h2 id="silences">Silences</h2>
      <${Table} label="Silences" columns=${silenceColumns(reload)} rows=${rows('silences')} keyed=${(row) => row.id} empty=${html`<p class="help">None. A silenced alert still stands here, and nobody is told.</p>`} />
    </section>
    <section aria-labelledby="receivers"><h2 id="receivers">Who is told</h2><${Receivers} rows=${rows('receivers')} /></section>
    <section aria-labelledby="rules"><h2 id="rules">Rules <small>${count(rows('rules').length)}</small></h2>
      <${Table} label="Rules" columns=${RULES} rows=${rows('rules')} keyed=${(row) => row.name} /></section>
    <section aria-labelledby="history"><h2 id="history">What was</h2>
      <${Table} label="History" columns=${HISTORY} rows=${rows('history')} keyed=${(row) => `${row.id}/${row.state}/${row.at}`} empty=${html`<p class="help">Nothing yet.</p>`} /></section>
    <${SilenceDialog} dialog=${dialog} about=${about} reload=${reload} />`;
}

const alertColumns = (silence) => [
  { name: 'Alert', value: (row) => row.name, show: (row) => html`<b>${row.summary || words(row.name)}</b><small>${labels(row.labels)}</small>` },
  { name: 'State', value: (row) => row.state, show: (row) => html`<${State} kind=${row.state === 'firing' ? GRAVE[row.severity] : undefined}>${words(row.state)}<//><small>${row.severity}${row.silenced_by?.length ? ', silenced' : ''}</small>` },
  { name: 'What it means', wide: true, show: (row) => row.description },
  { name: 'Since', value: (row) => row.since, show: (row) => when(row.since) },
  { name: '', show: (row) => !row.silenced_by?.length && html`<button onClick=${() => silence(row)}>Silence…</button>` },
];

const silenceColumns = (reload) => [
  { name: 'What is silent', show: (row) => html`<code>${matchers(row.matchers)}</code>` },
  { name: 'Until', value: (row) => row.until, show: (row) => when(row.until) },
  { name: 'By', value: (row) => row.author, show: (row) => row.author || '–' },
  { name: 'Why', wide: true, show: (row) => row.comment || '–' },
  {
    name: '',
    show: (row) => html`<button onClick=${async () => {
      try {
        await remove(`/admin/alerts/silences/${row.id}`);
        say('The silence is over.');
      } catch (error) {
        complain(error);
      }
      reload();
    }}>End</button>`,
  },
];

const RULES = [
  { name: 'Rule', value: (row) => row.name, show: (row) => html`<b>${row.summary || words(row.name)}</b><small>${row.name}</small>` },
  { name: 'Kind', value: (row) => row.kind, show: (row) => words(row.kind) },
  { name: 'Figure', show: (row) => html`<code>${row.figure}</code>${row.by?.length > 0 && html`<small>by ${row.by.join(', ')}</small>`}` },
  { name: 'Over', number: true, value: (row) => row.window_seconds, show: (row) => seconds(row.window_seconds) },
  { name: 'For', number: true, value: (row) => row.for_seconds, show: (row) => seconds(row.for_seconds) },
  { name: 'Severity', value: (row) => row.severity, show: (row) => words(row.severity) },
];

const HISTORY = [
  { name: 'When', value: (row) => row.at, show: (row) => moment(row.at) },
  { name: 'Alert', value: (row) => row.name, show: (row) => html`<b>${words(row.name)}</b><small>${labels(row.labels)}</small>` },
  { name: 'Came to', value: (row) => row.state, show: (row) => html`<${State} kind=${row.state === 'firing' ? GRAVE[row.severity] : row.state === 'resolved' ? 'ok' : undefined}>${words(row.state)}<//>` },
  { name: 'What it meant', wide: true, show: (row) => row.description },
];

const RECEIVERS = [
  { name: 'Receiver', value: (row) => row.name, show: (row) => html`<b>${row.name}</b><small>${words(row.kind)}, ${row.place}</small>` },
  { name: 'From', value: (row) => row.severity_min, show: (row) => words(row.severity_min) },
  { name: 'State', wide: true, show: (row) => html`<${State} kind=${row.healthy ? 'ok' : 'bad'}>${row.healthy ? 'reached' : 'not reached'}<//>${row.last_fault && html`<small>${row.last_fault.words}, ${ago(row.last_fault.at)}</small>`}` },
  { name: 'Told', number: true, value: (row) => row.ok, show: (row) => count(row.ok) },
  { name: 'Failed', number: true, value: (row) => row.failed, show: (row) => count(row.failed) },
  { name: 'Waiting', number: true, value: (row) => row.waiting, show: (row) => count(row.waiting) },
];

function Receivers({ rows }) {
  const test = async () => {
    try {
      const { receivers } = await post('/admin/alerts/test');
      const failed = receivers.filter((receiver) => !receiver.ok);
      if (failed.length) complain(new Error(failed.map((receiver) => `${receiver.name}: ${receiver.said}`).join('; ')));
      else say(`${receivers.length} told of a test.`);
    } catch (error) {
      complain(error);
    }
  };
  const empty = html`
    <${Empty} title="Nobody is told yet" example=${'[alerts.receivers.team]\nkind = "slack"\nurl = "${SLACK_URL}"'}>
      <p>Alerts stand here all the same. Receivers are Alertmanager, Slack, a signed webhook or e-mail; see the example configuration.</p>
    <//>`;
  return html`
    <${Table} label="Receivers" columns=${RECEIVERS} rows=${rows} keyed=${(row) => row.name} empty=${empty} />
    ${rows.length > 0 && html`<p class="actions"><button onClick=${test}>Send a test</button></p>`}`;
}

function SilenceDialog({ dialog, about, reload }) {
  const submit = async (event) => {
    const form = new FormData(event.target);
    if (event.submitter?.value !== 'yes') return;
    const of = Object.entries(about.labels ?? { alertname: about.name }).map(([name, value]) => ({ name, value }));
    try {
      await post('/admin/alerts/silences', { matchers: of, duration: form.get('duration'), author: form.get('author'), comment: form.get('comment') });
      say('Silenced.');
    } catch (error) {
      complain(error);
    }
    reload();
  };
  return html`
    <dialog ref=${dialog} aria-labelledby="silence-title">
      <form method="dialog" class="ask" onSubmit=${submit}>
        <h2 id="silence-title">Silence ${about?.summary || words(about?.name)}</h2>
        <p class="help">${labels(about?.labels)}</p>
        <label>For<select name="duration">${['30m', '2h', '8h', '24h', '168h'].map((time, at) => html`<option key=${time} value=${time}>${['half an hour', 'two hours', 'eight hours', 'a day', 'a week'][at]}</option>`)}</select></label>
        <label>By<input name="author" autocomplete="name" /></label>
        <label>Why<input name="comment" /></label>
        <div class="actions"><button value="" formnovalidate>Cancel</button><button value="yes" class="primary">Silence</button></div>
      </form>
    </dialog>`;
}

const NotHere = () => html`
  <${Empty} title="This gateway watches no alerts">
    <p>Where it does, rules over its own figures stand here: answers that are slow, errors that burn a month's budget, memory that runs out, a budget that will be
      gone in three days. Each waits until it is sure, is told once, and can be silenced.</p>
  <//>`;
