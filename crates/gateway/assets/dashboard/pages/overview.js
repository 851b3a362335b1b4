// How it is now: figures, what needs somebody beside them, four charts of the last ten minutes.

import { has, useJson } from '../lib/api.js';
import { ago, compact, count, millis, percent, rate, sentence } from '../lib/format.js';
import { useLive } from '../lib/live.js';
import { link } from '../lib/router.js';
import { html, useMemo } from '../lib/ui.js';
import { Chart } from '../parts/chart.js';
import { Empty } from '../parts/empty.js';
import { State, Tile, Tiles } from '../parts/tile.js';

export default function Overview() {
  const { past, now } = useLive();
  const { data: breakers } = useJson('/admin/breakers');
  const { data: alerts } = useJson(has('alerts') ? '/admin/alerts' : null, { every: 10_000 });
  return html`
    <div class="glance">
      <${Figures} now=${now ?? {}} />
      <${Attention} breakers=${breakers} alerts=${alerts} now=${now} />
    </div>
    ${now && now.requests_per_second === 0 && past.every((sample) => sample.requests_per_second === 0)
      ? html`<${First} />`
      : html`<${Charts} past=${past} />`}`;
}

/** What is wrong, the gravest first; or that nothing is. */
function Attention({ breakers, alerts, now }) {
  const causes = (breakers?.causes ?? []).map((cause) => ({
    kind: cause.severity === 'critical' ? 'bad' : 'warn', words: sentence(cause.words), more: sentence(cause.advice), since: cause.since, href: link('targets'),
  }));
  const open = (breakers?.breakers ?? []).filter((row) => row.state !== 'closed').map((row) => ({
    kind: row.state === 'open' ? 'bad' : 'warn',
    words: `${row.provider}/${row.model} is left alone (${row.state.replace('_', ' ')})`,
    since: row.since,
    href: link('targets'),
  }));
  const firing = (alerts?.alerts ?? []).filter((alert) => (alert.state ?? alert.phase) === 'firing').map((alert) => ({
    kind: alert.severity === 'page' || alert.severity === 'critical' ? 'bad' : 'warn',
    words: alert.summary ?? alert.name ?? alert.rule ?? 'An alert fires',
    since: alert.since ?? alert.starts_at,
    href: link('alerts'),
  }));
  const gravestFirst = (one, other) => (one.kind === 'bad' ? 0 : 1) - (other.kind === 'bad' ? 0 : 1);
  const rows = [...firing, ...causes, ...open].sort(gravestFirst);
  if (now?.draining) rows.unshift({ kind: 'warn', words: 'The gateway is leaving: requests under way may finish, new ones go elsewhere.' });
  return html`
    <section class="attention" aria-label="What needs somebody" tabindex="0">
      <h2>Needs you</h2>
      ${rows.length === 0
        ? html`<p><${State} kind=${breakers ? 'ok' : undefined}>${breakers ? 'Nothing does.' : 'Looking…'}<//></p>`
        : html`<ul>${rows.map((row) => html`
            <li key=${row.words}><${State} kind=${row.kind}><a href=${row.href}>${row.words}</a><//>
              ${row.since && html`<small>${ago(row.since)}</small>`}${row.more && html`<p>${row.more}</p>`}</li>`)}</ul>`}
    </section>`;
}

function Figures({ now }) {
  const failing = now.requests_per_second > 0 ? now.errors_per_second / now.requests_per_second : now.requests_per_second === 0 ? 0 : undefined;
  return html`
    <${Tiles} label="Now">
      <${Tile} name="requests_per_second" label="Requests" value=${rate(now.requests_per_second)} note="of the last 10 s" />
      <${Tile} name="error_share" label="Failed" value=${percent(failing)} note=${`${rate(now.errors_per_second)} by us or providers`}
        kind=${failing >= 0.05 ? 'bad' : failing >= 0.01 ? 'warn' : undefined} href=${link('requests', { failed: 'true' })} />
      <${Tile} name="p95" label="Duration, p95" value=${millis(now.p95_ms)} note=${`p50 ${millis(now.p50_ms)}, p99 ${millis(now.p99_ms)}`} href=${link('performance')} />
      <${Tile} name="overhead_p99" label="Our own time, p99" value=${millis(now.overhead_p99_ms)} note=${`p50 ${millis(now.overhead_p50_ms)}`} href=${link('performance', { figure: 'overhead' })} />
      <${Tile} name="in_flight" label="Under way" value=${count(now.in_flight)} note=${`${count(now.waiting)} waiting, ${count(now.connections)} connected`} />
      <${Tile} name="hit_rate" label="Answered from cache" value=${percent(now.hit_rate)} note="of the last hour" href=${link('cache')} />
      <${Tile} name="tokens_out" label="Tokens written" value=${rate(now.tokens_out_per_second)} note=${`${rate(now.tokens_in_per_second)} read`} href=${link('cost')} />
      <${Tile} name="unwell" label="Providers unwell" value=${count(now.unwell)} note=${now.unwell > 0 ? 'see Targets' : 'all answer'}
        kind=${now.unwell > 0 ? 'bad' : undefined} href=${link('targets')} />
    <//>`;
}

function Charts({ past }) {
  const { times, of } = useMemo(() => {
    const of = (name) => past.map((sample) => sample[name] ?? null);
    return { times: past.map((sample) => sample.at_ms / 1000), of };
  }, [past]);
  const answered = past.map((sample) => sample.requests_per_second - sample.errors_per_second);
  return html`
    <div class="charts">
      <${Chart} title="Requests" unit="per second" times=${times} format=${compact} series=${[
        { label: 'not failed', values: answered, fill: true, colour: 0, dash: 0 },
        { label: 'failed', values: of('errors_per_second'), colour: 1, dash: 1 },
      ]} />
      <${Chart} title="Duration of whole requests" unit="percentiles of 10 s" times=${times} format=${millis} series=${[
        { label: 'p50', values: of('p50_ms') }, { label: 'p95', values: of('p95_ms') }, { label: 'p99', values: of('p99_ms') },
      ]} />
      <${Chart} title="Under way" unit="requests" times=${times} format=${compact} series=${[
        { label: 'in flight', values: of('in_flight'), fill: true, colour: 0 }, { label: 'waiting for a target', values: of('waiting'), colour: 3, dash: 1 },
      ]} />
      <${Chart} title="Tokens" unit="per second" times=${times} format=${compact} series=${[
        { label: 'written', values: of('tokens_out_per_second'), fill: true, colour: 2, dash: 0 }, { label: 'read', values: of('tokens_in_per_second'), colour: 3, dash: 1 },
      ]} />
    </div>`;
}

/** Before the first request. */
function First() {
  return html`
    <${Empty} title="No request yet in the last ten minutes"
      example=${`curl http://${location.hostname}:4000/v1/chat/completions \\
  -H 'content-type: application/json' \\
  -d '{"model":"sim/fast","messages":[{"role":"user","content":"hello"}]}'`}>
      <p>Send one, or ask in the <a href=${link('playground')}>playground</a>: it goes the same way. Charts begin with the first.
        (The port is that of <code>server.listen</code>.)</p>
    <//>`;
}
