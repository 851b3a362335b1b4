// One request, told: a drawer at the side, and where its time went.

import { millis, words } from '../lib/format.js';
import { classes, html, useEffect, useRef } from '../lib/ui.js';

/** A panel at the side that keeps the page beneath in sight. Escape closes it. */
export function Drawer({ title, close, children }) {
  const place = useRef();
  useEffect(() => {
    const before = document.activeElement;
    place.current.focus();
    const pressed = (event) => event.key === 'Escape' && !document.querySelector('dialog[open]') && close();
    addEventListener('keydown', pressed);
    return () => {
      removeEventListener('keydown', pressed);
      before?.focus?.({ preventScroll: true });
    };
  }, []);
  return html`
    <aside class="drawer" ref=${place} tabindex="-1" aria-label=${title}>
      <header><h2>${title}</h2><button onClick=${close} aria-label="Close">Close</button></header>
      ${children}
    </aside>`;
}

const KINDS = { queue: 'wait', attempt: 'provider', stream: 'stream', first_token: 'stream' };

/** Steps as bars over one scale: where the time of a request went. */
export function Waterfall({ steps, total }) {
  const end = Math.max(total ?? 0, ...steps.map((step) => step.to_ms ?? step.from_ms), 0.001);
  const at = (ms) => (ms / end) * 1000;
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return html`
    <div class="waterfall" role="table" aria-label="Where its time went">
      <div class="scale" aria-hidden="true"><span></span><span>${marks.map((mark) => html`<i key=${mark}>${millis(end * mark)}</i>`)}</span><span></span></div>
      ${steps.map((step, number) => {
        const to = step.to_ms ?? end;
        const name = words(step.step);
        const failed = step.result && !['ok', 'under_way'].includes(step.result);
        return html`
          <div class="step" role="row" key=${number}>
            <span role="cell" title=${step.target ?? ''}>${name}${step.target && html` <small>${step.target}</small>`}</span>
            <svg role="presentation" viewBox="0 0 1000 14" preserveAspectRatio="none">
              ${marks.slice(1, -1).map((mark) => html`<line key=${mark} x1=${mark * 1000} x2=${mark * 1000} y1="0" y2="14" />`)}
              <rect class=${classes(KINDS[step.step] ?? 'own', failed && 'bad')} x=${at(step.from_ms)} width=${Math.max(3, at(to - step.from_ms))} y="2" height="10" rx="1" />
            </svg>
            <span role="cell" class="number">${millis(to - step.from_ms)}${failed && html` <small class="bad">${words(step.result)}</small>`}</span>
          </div>`;
      })}
      <p class="legend"><i class="own"></i> ours <i class="wait"></i> waiting <i class="provider"></i> provider <i class="stream"></i> stream <i class="bad"></i> failed</p>
    </div>`;
}
