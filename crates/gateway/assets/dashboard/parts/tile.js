// A figure with its name, and what it means under it.

import { classes, html } from '../lib/ui.js';

/** `kind`: ok, warn or bad. `name` is what tests and readers' scripts find it by. */
export function Tile({ label, value, note, kind, name, href }) {
  const body = html`
    <dt>${label}</dt>
    <dd data-figure=${name}>${value}</dd>
    <dd class="note">${note ?? ' '}</dd>`;
  return html`<div class=${classes('tile', kind)}>${href ? html`<a href=${href}>${body}</a>` : body}</div>`;
}

export const Tiles = ({ children, label }) => html`<dl class="tiles" aria-label=${label}>${children}</dl>`;

/** A word on a state, told by its form as well as by its colour. */
export function State({ kind, children }) {
  const sign = { ok: '●', warn: '▲', bad: '■' }[kind] ?? '○';
  return html`<span class=${classes('state', kind)}><span aria-hidden="true">${sign}</span> ${children}</span>`;
}

/** A part of a whole, neither good nor bad. */
export const Bar = ({ share, label }) => html`
  <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label}><rect class="all" width="100" height="6" /><rect width=${share * 100} height="6" /></svg>`;

/** How much of something is used, from 0 to 1. */
export function Meter({ share, label }) {
  const kind = share >= 0.9 ? 'bad' : share >= 0.7 ? 'warn' : 'ok';
  const width = Math.max(0, Math.min(1, share ?? 0)) * 100;
  return html`<svg class=${classes('meter', kind)} viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=${label}><rect class="all" width="100" height="6" /><rect width=${width} height="6" /></svg>`;
}
