// This process: how hard pressed it is, what it takes of the machine, work behind requests' backs, profiles.

import { get, has, post, useJson } from '../lib/api.js';
import { bytes, compact, count, percent, seconds, title, words } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { html, useState } from '../lib/ui.js';
import { Chart } from '../parts/chart.js';
import { confirm } from '../parts/confirm.js';
import { Empty, Fault, Waiting } from '../parts/empty.js';
import { Field } from '../parts/field.js';
import { Facts, Table } from '../parts/table.js';
import { Meter, State, Tile, Tiles } from '../parts/tile.js';
import { complain, say } from '../parts/toast.js';

const LEVEL = { calm: 'ok', squeeze: 'warn', shed: 'bad' };

export default function System() {
  const pressure = useJson('/admin/pressure', { every: 2000 });
  const system = useJson(has('system') ? '/admin/system' : null, { every: 5000 });
  const { now } = useLive();
  if (pressure.loading) return html`<${Waiting} rows=${6} />`;
  const { pressure: verdict, background = {}, buffered_bytes: buffered, buffered_bytes_max: most } = pressure.data ?? {};
  const of = system.data;
  return html`
    <${Fault} error=${pressure.error ?? system.error} reload=${pressure.reload} />
    <${Tiles} label="This process">
      <${Tile} name="level" label="Pressure" value=${title(verdict?.level)} kind=${verdict && LEVEL[verdict.level] !== 'ok' ? LEVEL[verdict.level] : undefined}
        note=${verdict?.sheds_from ? `turns away ${verdict.sheds_from} and below` : 'takes everything that comes'} />
      <${Tile} name="cpu" label="Processor" value=${percent(verdict?.cpu)} note=${`machine ${percent(verdict?.machine_cpu)}`} kind=${verdict?.cpu > 0.8 ? 'bad' : verdict?.cpu > 0.7 ? 'warn' : undefined} />
      <${Tile} name="memory" label="Memory" value=${of ? bytes(of.memory?.resident_bytes) : percent(verdict?.memory)} note=${of ? `${percent(verdict?.memory)} of what there is, in use` : 'of what there is, in use'} kind=${verdict?.memory > 0.9 ? 'bad' : verdict?.memory > 0.8 ? 'warn' : undefined} />
      <${Tile} name="buffered" label="Bodies held" value=${bytes(buffered)} note=${`of ${bytes(most)} at most`} />
      <${Tile} name="connections" label="Connections" value=${count(now?.connections)} note="callers', open now" />
      ${of && html`<${Tile} name="uptime" label="Up" value=${seconds(of.uptime_seconds)} note=${`version ${of.version}`} />`}
    <//>
    ${of ? html`<${Machine} of=${of} />` : !has('system') && html`
      <${Empty} title="What it takes of the machine is not shown by this gateway">
        <p>Where it is, processor, memory, disk, network and files stand here with their trends, and a verdict on whether memory leaks.</p>
      <//>`}
    <section aria-labelledby="background"><h2 id="background">Work behind requests' backs</h2>
      <${Table} label="Background work" columns=${WORK} rows=${Object.entries(background).map(([name, work]) => ({ name, ...work }))} keyed=${(row) => row.name} /></section>
    <${Profiles} reload=${system.reload} />`;
}

const WORK = [
  { name: 'Work', value: (row) => row.name, show: (row) => html`<b>${title(row.name)}</b>` },
  ...['running', 'waiting', 'done', 'failed', 'left_undone'].map((name) => ({ name: title(name), number: true, value: (row) => row[name], show: (row) => count(row[name]) })),
];

const VERDICT = { none: ['ok', 'No leak'], suspected: ['warn', 'A leak is suspected'], found: ['bad', 'A leak'] };

function Machine({ of }) {
  const { memory, processors, open_files: files, disk, network, trend = [] } = of;
  const times = trend.map((point) => +new Date(point.at) / 1000);
  const series = (name) => trend.map((point) => point[name] ?? null);
  const share = memory?.fullest;
  return html`
    ${trend.length > 1 && html`
      <div class="charts">
        <${Chart} title="Processor" unit="share of what it may use" times=${times} format=${percent} series=${[{ label: 'in use', values: series('cpu'), fill: true }]} />
        <${Chart} title="Resident memory" unit="bytes" times=${times} format=${bytes} series=${[{ label: 'resident', values: series('resident_bytes'), fill: true, colour: 2 }]} />
        <${Chart} title="Network" unit="bytes per second" times=${times} format=${bytes} series=${[{ label: 'in', values: series('network_in_bytes_per_second') }, { label: 'out', values: series('network_out_bytes_per_second') }]} />
        <${Chart} title="Open files" unit="count" times=${times} format=${compact} series=${[{ label: 'open', values: series('open_files'), fill: true, colour: 3, dash: 0 }]} />
      </div>`}
    <section aria-labelledby="machine"><h2 id="machine">What it takes</h2>
      ${memory?.leak && html`<${Leak} of=${memory.leak} />`}
      <${Facts} rows=${[
        ['Cores', count(processors?.cores)],
        share && ['Memory', html`${bytes(share.used_bytes)} of ${bytes(share.limit_bytes)} (${words(share.of)}) <${Meter} share=${share.share} label="memory used" />`],
        memory?.held_bytes && ['Held on purpose', Object.entries(memory.held_bytes).map(([name, size]) => `${name} ${bytes(size)}`).join(', ')],
        memory?.allocator && ['Allocator', `${bytes(memory.allocator.committed_bytes)} committed`],
        ['Threads', count(of.threads)],
        files && ['Open files', html`${count(files.open)} of ${count(files.max)} <${Meter} share=${files.open / files.max} label="open files" />`],
        disk && ['Disk', html`${bytes(disk.free_bytes)} free of ${bytes(disk.size_bytes)} <${Meter} share=${1 - disk.free_bytes / disk.size_bytes} label="disk used" />`],
        network && ['Network', `${bytes(network.in_bytes_per_second)}/s in, ${bytes(network.out_bytes_per_second)}/s out`],
      ]} />
    </section>`;
}

/** Whether memory is lost. Without evidence nothing is known yet, and no sign says so. */
function Leak({ of }) {
  const early = of.verdict === 'none' && !of.evidence;
  const [kind, said] = early ? [undefined, 'Memory'] : VERDICT[of.verdict] ?? [undefined, words(of.verdict)];
  return html`<p><${State} kind=${kind}>${said}:<//> ${of.words}</p>`;
}

function Profiles({ reload }) {
  const [span, setSpan] = useState(10);
  const [picture, setPicture] = useState();
  const [heap, setHeap] = useState();
  if (!has('profile')) {
    return html`
      <${Empty} title="This gateway makes no profiles of itself">
        <p>Where it does, a processor profile as a flame graph or for pprof, who holds memory, what each thread does, and giving memory back are asked for here.</p>
      <//>`;
  }
  const look = async () => {
    try {
      setHeap(await get('/admin/profile/heap'));
    } catch (error) {
      complain(error);
    }
  };
  const release = async () => {
    const wanted = await confirm({ title: 'Give memory back to the system?', words: 'Each thread gives back what it has freed and kept. It takes some milliseconds, during which it serves nobody.', action: 'Give back' });
    if (!wanted) return;
    try {
      const { released_bytes: released } = await post('/admin/profile/release-memory');
      say(`${bytes(released)} were given back.`);
    } catch (error) {
      complain(error);
    }
    reload();
  };
  return html`
    <section aria-labelledby="profiles"><h2 id="profiles">Profiles</h2>
      <div class="filter">
        <label>Seconds<${Field} type="number" min="1" max="60" value=${span} hand=${(value) => setSpan(Math.min(60, Math.max(1, Number(value) || 10)))} /></label>
        <button onClick=${() => setPicture(`/admin/profile/cpu?seconds=${span}`)}>Flame graph</button>
        <a class="button" href=${`/admin/profile/cpu?seconds=${span}&format=pprof`} download="tidegate.pprof">For pprof</a>
        <button onClick=${look}>Who holds memory</button>
        <button onClick=${release}>Give memory back…</button>
      </div>
      ${picture && html`<p class="help">Being made; it takes ${span} s. <a href=${picture} target="_blank" rel="noopener">In a window of its own</a> its parts can be opened.</p><img class="flame" src=${picture} alt="Flame graph of the processor time" />`}
      ${heap && html`<${Facts} rows=${Object.entries(heap).filter(([, value]) => typeof value !== 'object').map(([name, value]) => [words(name.replace(/_bytes$/, '')), typeof value === 'number' ? bytes(value) : value])} />`}
    </section>`;
}
