// Ask a model through the same way as callers do: limits, cache, queue, breakers. The answer comes as a caller has it.

import { send, useJson } from '../lib/api.js';
import { count, millis } from '../lib/format.js';
import { html, useEffect, useRef, useState } from '../lib/ui.js';
import { Empty } from '../parts/empty.js';
import { Facts } from '../parts/table.js';
import { State } from '../parts/tile.js';
import { modelsOf } from './routing.js';

const SHOWN = [
  ['Answered by', 'x-tidegate-target'], ['Cache', 'x-tidegate-cache'], ['Tries', 'x-tidegate-attempts'], ['Our own time (ms)', 'x-tidegate-overhead-ms'],
  ['Cost (USD)', 'x-tidegate-cost-usd'], ['Request id', 'x-request-id'],
];

/** Events of a stream, as they come. */
async function* events(body) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of chunks(body)) {
    rest += decoder.decode(bytes, { stream: true });
    const frames = rest.split(/\r?\n\r?\n/);
    rest = frames.pop();
    for (const frame of frames) {
      const data = frame.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart()).join('\n');
      if (data && data !== '[DONE]') yield JSON.parse(data);
    }
  }
}

/** Not every browser can walk over a stream by itself. */
async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

export default function Playground({ asked }) {
  const { data: config } = useJson('/admin/config', { every: 0 });
  const [named, setNamed] = useState();
  const [stream, setStream] = useState(true);
  const [turns, setTurns] = useState([]);
  const [told, tell] = useState({});
  const [busy, setBusy] = useState(false);
  const stop = useRef();
  const end = useRef();
  useEffect(() => () => stop.current?.abort(), []);
  useEffect(() => setNamed(undefined), [asked.model]);
  useEffect(() => end.current?.scrollIntoView({ block: 'nearest' }), [turns]);
  const models = modelsOf(config);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const form = event.target;
    const given = new FormData(form);
    const said = given.get('message').trim();
    if (!said) return;
    const before = [...turns.filter((turn) => !turn.fault), { role: 'user', content: said }];
    form.elements.message.value = '';
    setBusy(true);
    setTurns([...before, { role: 'assistant', content: '' }]);
    stop.current = new AbortController();
    try {
      await answer({ given, before, signal: stop.current.signal, setTurns, tell });
    } catch (fault) {
      const words = fault.name === 'AbortError' ? 'Stopped.' : fault.message;
      setTurns((turns) => [...turns.slice(0, -1), ...(turns.at(-1).content ? [turns.at(-1)] : []), { role: 'fault', content: words, fault: true }]);
    }
    setBusy(false);
    form.elements.message.focus();
  };
  const enter = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  };
  return html`
    <form class="split playground" onSubmit=${submit}>
      <div class="ask">
        <label>Model<input name="model" list="models" required value=${named ?? asked.model ?? models[0] ?? 'sim/fast'} onInput=${(event) => setNamed(event.target.value)} spellcheck="false" /></label>
        <datalist id="models">${models.map((model) => html`<option key=${model} value=${model} />`)}</datalist>
        ${config?.keys?.length > 0 && html`<label>On behalf of key<select name="key">${config.keys.map((key) => html`<option key=${key.id}>${key.id}</option>`)}</select></label>`}
        <label>System<textarea name="system" rows="2" placeholder="You are brief."></textarea></label>
        <div class="pair">
          <label>Temperature<input name="temperature" type="number" min="0" max="2" step="0.1" placeholder="default" /></label>
          <label>Tokens at most<input name="max_tokens" type="number" min="1" placeholder="default" /></label>
        </div>
        <label class="check"><input type="checkbox" name="stream" checked=${stream} onChange=${(event) => setStream(event.target.checked)} />Stream</label>
        <label class="check"><input type="checkbox" name="fresh" />Do not use the cache</label>
        <div data-figure="playground_told"><${Told} told=${told} /></div>
      </div>
      <div class="talk">
        <div class="turns" aria-live="polite" aria-busy=${busy}>
          ${turns.length === 0 && html`<${Empty} title="Say something"><p>It goes the way of every caller's request, through the same cache, limits, queue and breakers, and is counted like any other.</p><//>`}
          ${turns.map((turn, at) => html`<article key=${at} class=${turn.role}><h3>${{ user: 'You', assistant: 'Model', fault: 'Gateway' }[turn.role]}</h3><p>${turn.content || (busy && at === turns.length - 1 ? '…' : '')}</p></article>`)}
          <div ref=${end}></div>
        </div>
        <div class="say">
          <label class="hidden" for="message">Message</label>
          <textarea id="message" name="message" rows="2" data-search placeholder="Enter sends, Shift+Enter begins a line" onKeyDown=${enter}></textarea>
          ${busy ? html`<button type="button" onClick=${() => stop.current.abort()}>Stop</button>` : html`<button class="primary">Send</button>`}
          ${turns.length > 0 && !busy && html`<button type="button" onClick=${() => { setTurns([]); tell({}); }}>Clear</button>`}
        </div>
      </div>
    </form>`;
}

/** Asks, and tells of the answer as it comes. */
async function answer({ given, before, signal, setTurns, tell }) {
  const system = given.get('system').trim();
  const body = { model: given.get('model'), messages: [...(system ? [{ role: 'system', content: system }] : []), ...before.map(({ role, content }) => ({ role, content }))] };
  for (const name of ['temperature', 'max_tokens']) if (given.get(name) !== '') body[name] = Number(given.get(name));
  if (given.get('stream')) Object.assign(body, { stream: true, stream_options: { include_usage: true } });
  const began = performance.now();
  tell({ state: 'asked' });
  const headers = given.get('fresh') ? { 'cache-control': 'no-cache' } : {};
  const response = await send('POST', '/admin/playground', { key: given.get('key') || undefined, headers, body }, { signal });
  const head = Object.fromEntries(SHOWN.map(([name, header]) => [name, response.headers.get(header)]));
  let [text, first, usage] = ['', undefined, undefined];
  const show = (state) => {
    setTurns((turns) => [...turns.slice(0, -1), { role: 'assistant', content: text }]);
    tell({ state, head, usage, first, total: performance.now() - began });
  };
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      usage = event.usage ?? usage;
      const piece = event.choices?.[0]?.delta?.content ?? '';
      if (piece) first ??= performance.now() - began;
      text += piece;
      if (piece) show('streams');
    }
  } else {
    const whole = await response.json();
    text = whole.choices?.[0]?.message?.content ?? JSON.stringify(whole, null, 2);
    usage = whole.usage;
  }
  show('done');
}

function Told({ told: { state, head = {}, usage, first, total } }) {
  if (!state) return null;
  const words = { asked: 'asked', streams: 'streaming', done: 'done' }[state];
  return html`<${Facts} rows=${[
    ['State', html`<${State} kind=${state === 'done' ? 'ok' : undefined}>${words}<//>`],
    ...SHOWN.map(([name]) => head[name] && [name, name === 'Request id' ? html`<code>${head[name]}</code>` : head[name]]),
    first !== undefined && ['First token, here', millis(first)], total !== undefined && ['Total, here', millis(total)],
    usage && ['Tokens', `${count(usage.prompt_tokens)} read, ${count(usage.completion_tokens)} written`],
  ]} />`;
}
