// A word on what has just been done. It goes by itself; a fault stays until it is read.

import { classes, html, useEffect, useState } from '../lib/ui.js';

const STAYS_MS = 5000;
const SHOWN_MAX = 4;
let add = () => {};
let number = 0;

/** Says that something was done. */
export const say = (words) => add({ words, kind: 'ok' });
/** Says that something was not. */
export const complain = (error) => add({ words: error.message ?? String(error), kind: 'bad' });

export function Toaster() {
  const [shown, show] = useState([]);
  const drop = (id) => show((shown) => shown.filter((toast) => toast.id !== id));
  useEffect(() => {
    add = (toast) => {
      const id = ++number;
      show((shown) => [...shown, { ...toast, id }].slice(-SHOWN_MAX));
      if (toast.kind === 'ok') setTimeout(() => drop(id), STAYS_MS);
    };
  }, []);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${shown.map(({ id, words, kind }) => html`
        <p key=${id} class=${classes('toast', kind)}>${words}<button onClick=${() => drop(id)} aria-label="Close">×</button></p>`)}
    </div>`;
}
