// What is done later: depths of queues, jobs with their faults, workflows and their runs.

import { get, post, useJson } from '../lib/api.js';
import { ago, count, moment, seconds, words } from '../lib/format.js';
import { ask } from '../lib/router.js';
import { html, useEffect, useState } from '../lib/ui.js';
import { confirm } from '../parts/confirm.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Field } from '../parts/field.js';
import { Drawer } from '../parts/requests.js';
import { Facts, Table } from '../parts/table.js';
import { State, Tile, Tiles } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

const KIND = { done: 'ok', running: undefined, dead: 'bad', failed: 'bad', cancelled: 'warn', paused: 'warn', compensating: 'warn' };
const STATES = ['', 'scheduled', 'ready', 'running', 'done', 'dead', 'cancelled'];
const Word = ({ state }) => html`<${State} kind=${KIND[state]}>${words(state)}<//>`;
const when = (at) => html`<time title=${moment(at)}>${ago(at)}</time>`;
/** Moments come as seconds since 1970, or as text. */
const date = (at) => (typeof at === 'number' ? at * 1000 : at);

async function act(path, done, reload, question) {
  if (question && !(await confirm(question))) return;
  try {
    await post(path);
    say(done);
  } catch (error) {
    complain(error);
  }
  reload();
}

export default function Jobs({ asked }) {
  const query = new URLSearchParams(Object.entries({ state: asked.state, queue: asked.queue, kind: asked.kind }).filter(([, value]) => value));
  const jobs = useJson(`/admin/jobs?${query}`, { every: 3000 });
  const workflows = useJson('/admin/workflows', { every: 5000 });
  const runs = useJson('/admin/workflows/runs', { every: 3000 });
  if (jobs.loading) return html`<${Waiting} rows=${8} />`;
  const { depths = [], runner, jobs: list } = jobs.data ?? {};
  const of = (state) => depths.filter((row) => row.state === state).reduce((sum, row) => sum + row.count, 0);
  return html`
    <${Fault} error=${jobs.error} reload=${jobs.reload} />
    ${runner?.store_is_away && html`<p class="notice bad" role="alert">The store is away: what is acknowledged is safe, and nothing is begun until it is back.</p>`}
    <${Tiles} label="Jobs">
      <${Tile} name="jobs_waiting" label="Waiting" value=${count(of('ready') + of('scheduled'))} note=${oldest(depths)} />
      <${Tile} name="jobs_running" label="Running" value=${count(of('running'))} note=${workers(runner)} />
      <${Tile} name="jobs_done" label="Done" value=${count(runner?.done)} note="since the start" />
      <${Tile} name="jobs_dead" label="Dead" value=${count(of('dead'))} note=${`${count(runner?.retried)} tries were repeated`} kind=${of('dead') > 0 ? 'warn' : undefined} />
    <//>
    <section aria-labelledby="jobs"><h2 id="jobs">Jobs</h2>
      <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
        <label>State<select value=${asked.state ?? ''} onChange=${(event) => ask({ state: event.target.value || undefined })}>${STATES.map((state) => html`<option key=${state} value=${state}>${state || 'any'}</option>`)}</select></label>
        <label>Queue<${Field} type="search" data-search value=${asked.queue ?? ''} hand=${(queue) => ask({ queue: queue || undefined })} /></label>
        <label>Kind<${Field} type="search" value=${asked.kind ?? ''} hand=${(kind) => ask({ kind: kind || undefined })} /></label>
      </form>
      <${Table} label="Jobs" columns=${jobColumns(jobs.reload)} rows=${list?.data ?? []} keyed=${(job) => job.id} open=${(job) => ask({ open: job.id })} empty=${html`<${NoJobs} filtered=${query.size > 0} />`} />
    </section>
    <section aria-labelledby="workflows"><h2 id="workflows">Workflows</h2>
      <${Table} label="Workflows" columns=${WORKFLOWS} rows=${workflows.data?.workflows?.data ?? []} keyed=${(row) => row.id ?? row.name} empty=${html`<${NoWorkflows} />`} />
    </section>
    ${runs.data?.data?.length > 0 && html`
      <section aria-labelledby="runs"><h2 id="runs">Runs</h2>
        <${Table} label="Runs" columns=${runColumns(runs.reload)} rows=${runs.data.data} keyed=${(run) => run.id} open=${(run) => ask({ run: run.id })} /></section>`}
    ${asked.open && html`<${One} path=${`/admin/jobs/${asked.open}`} id=${asked.open} close=${() => ask({ open: undefined })} />`}
    ${asked.run && html`<${One} path=${`/admin/workflows/runs/${asked.run}`} id=${asked.run} close=${() => ask({ run: undefined })} />`}`;
}

function oldest(depths) {
  const ages = depths.filter((row) => !['done', 'dead', 'cancelled', 'running'].includes(row.state)).map((row) => row.oldest_seconds ?? 0);
  return ages.length ? `the oldest for ${seconds(Math.max(...ages))}` : 'nobody waits';
}

function workers(runner) {
  const [all, busy] = (runner?.queues ?? []).reduce(([all, busy], queue) => [all + queue.workers, busy + queue.busy], [0, 0]);
  return `${count(busy)} of ${count(all)} workers busy`;
}

const jobColumns = (reload) => [
  { name: 'Job', show: (job) => html`<code>${job.id}</code>` },
  { name: 'Kind', value: (job) => job.kind },
  { name: 'Queue', value: (job) => job.queue, show: (job) => job.queue ?? '–' },
  { name: 'Tenant', value: (job) => job.tenant, show: (job) => job.tenant || '–' },
  { name: 'State', value: (job) => job.state, show: (job) => html`<${Word} state=${job.state} />` },
  { name: 'Tries', number: true, value: (job) => job.attempts, show: (job) => count(job.attempts) },
  { name: 'Made', value: (job) => job.created_at, show: (job) => when(date(job.created_at)) },
  {
    name: '',
    show: (job) => {
      const state = job.state;
      if (['dead', 'cancelled'].includes(state)) return html`<button onClick=${() => act(`/admin/jobs/${job.id}/retry`, 'It is done anew.', reload)}>Do again</button>`;
      if (state === 'done') return null;
      return html`<button onClick=${() => act(`/admin/jobs/${job.id}/cancel`, 'Cancelled.', reload, { title: 'Cancel this job?', words: 'What it has begun is called off.', action: 'Cancel the job', danger: true })}>Cancel</button>`;
    },
  },
];

const WORKFLOWS = [
  { name: 'Workflow', value: (row) => row.name ?? row.id, show: (row) => html`<b>${row.name ?? row.id}</b>` },
  { name: 'Version', number: true, value: (row) => row.version, show: (row) => count(row.version) },
  { name: 'Tenant', value: (row) => row.tenant, show: (row) => row.tenant || '–' },
  { name: 'Steps', number: true, value: (row) => row.steps?.length ?? row.steps, show: (row) => count(row.steps?.length ?? row.steps) },
  { name: 'Written', value: (row) => row.created_at, show: (row) => when(date(row.created_at)) },
];

const runColumns = (reload) => [
  { name: 'Run', show: (run) => html`<code>${run.id}</code>` },
  { name: 'Workflow', value: (run) => run.workflow },
  { name: 'State', value: (run) => run.state, show: (run) => html`<${Word} state=${run.state} />` },
  { name: 'Begun', value: (run) => run.created_at, show: (run) => when(date(run.created_at)) },
  {
    name: '',
    show: (run) => {
      const path = (word) => `/admin/workflows/runs/${run.id}/${word}`;
      const state = run.state;
      const cancel = () => act(path('cancel'), 'Cancelled.', reload, { title: 'Cancel this run?', words: 'Steps under way are called off, and what has to be undone is undone.', action: 'Cancel the run', danger: true });
      if (state === 'running') return html`<button onClick=${() => act(path('pause'), 'Paused.', reload)}>Pause</button> <button onClick=${cancel}>Cancel</button>`;
      if (state === 'paused') return html`<button onClick=${() => act(path('resume'), 'Resumed.', reload)}>Resume</button> <button onClick=${cancel}>Cancel</button>`;
      return null;
    },
  },
];

function One({ path, id, close }) {
  const [shown, show] = useState({});
  useEffect(() => {
    show({});
    get(path).then((one) => show({ one })).catch((error) => show({ error }));
  }, [path]);
  const { one, error } = shown;
  const plain = Object.entries(one ?? {}).filter(([, value]) => value !== null && typeof value !== 'object');
  const large = Object.entries(one ?? {}).filter(([, value]) => value !== null && typeof value === 'object');
  const shownAs = ([name, value]) => [words(name), name.endsWith('_at') ? moment(date(value)) : String(value)];
  return html`
    <${Drawer} title=${id} close=${close}>
      <${Fault} error=${error} />
      ${one && html`<${Facts} rows=${plain.map(shownAs)} />`}
      ${large.map(([name, value]) => html`<section key=${name}><h3>${words(name)}</h3><pre><code>${JSON.stringify(value, null, 2)}</code></pre></section>`)}
    <//>`;
}

const NoJobs = ({ filtered }) => (filtered ? html`<p class="help">No job is like that.</p>` : html`
  <${Empty} title="No job yet" example=${`curl http://${location.hostname}:4000/v1/jobs -H 'content-type: application/json' \\
  -d '{"path":"/v1/chat/completions","body":{"model":"sim/fast","messages":[{"role":"user","content":"hello"}]}}'`}>
    <p>A job is acknowledged once it is on disk, and done at least once, however often the gateway is ended meanwhile. Lines of batches and steps of workflows are jobs, too.</p>
  <//>`);

const NoWorkflows = () => html`
  <${Empty} title="No workflow yet" example="tidegate workflow check flow.yaml\ntidegate workflow run flow.yaml --input '{}'">
    <p>A workflow is a few steps in a file: what follows what, what is tried again, what is undone where a later step fails. Its runs survive a restart.</p>
  <//>`;
