// A place with nothing in it says why, and what would bring something.

import { html } from '../lib/ui.js';

/** `example`: what to type or write, as it stands. */
export function Empty({ title, children, example }) {
  return html`
    <div class="empty">
      <h2>${title}</h2>
      ${children && html`<div class="help">${children}</div>`}
      ${example && html`<pre><code>${example}</code></pre>`}
    </div>`;
}

/** What stands where figures are on their way, of the same height as they will be. */
export const Waiting = ({ rows = 4 }) => html`<div class="waiting" aria-busy="true">${Array.from({ length: rows }, (_, at) => html`<i key=${at}></i>`)}</div>`;

/** A figure could not be had. */
export function Fault({ error, reload }) {
  return error && html`
    <p class="notice bad" role="alert">${error.message}${reload && html` <button onClick=${reload}>Try again</button>`}</p>`;
}
