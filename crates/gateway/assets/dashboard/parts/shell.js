// What stands round every page: the way to the others, how it is, theme, keys.

import { has, remove, useJson } from '../lib/api.js';
import { useLive } from '../lib/live.js';
import { GROUPS, PAGES } from '../lib/pages.js';
import { link, useRoute } from '../lib/router.js';
import { classes, html, useEffect, useRef, useState } from '../lib/ui.js';
import { Confirmer } from './confirm.js';
import { Toaster } from './toast.js';

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
    <path class="posts" d="M7 4v24M25 4v24" /><path class="tide" d="M7 12c4-4 6 4 9 0s5-4 9 0M7 20c4-4 6 4 9 0s5-4 9 0" />
  </svg>`;

const loaded = new Map();

/** The page's module, once it is here. */
function usePage(id) {
  const [, drawn] = useState(0);
  useEffect(() => {
    if (loaded.has(id)) return;
    import(`../pages/${id}.js`)
      .then((module) => loaded.set(id, { Page: module.default }))
      .catch(() => loaded.set(id, { failed: true }))
      .finally(() => drawn((turn) => turn + 1));
  }, [id]);
  return loaded.get(id);
}

export function Shell({ version, logOut }) {
  const { page: id, asked } = useRoute();
  const page = PAGES.find((page) => page.id === id) ?? PAGES[0];
  const [open, setOpen] = useState(false);
  const main = useRef();
  const { Page, failed } = usePage(page.id) ?? {};
  useEffect(() => {
    document.title = `${page.title} · Tidegate`;
    setOpen(false);
    scrollTo(0, 0);
  }, [page.id]);
  const keys = useRef();
  useKeys(keys);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>Skip to the page</a>
    <header class="top">
      <button class="menu" aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}>Menu</button>
      <a class="brand" href=${link('overview')}><${Mark} /> Tidegate</a>
      <${Pulse} />
      <div class="tools">
        <button onClick=${() => keys.current.showModal()} title="Keys (?)">Keys</button>
        <${Theme} />
        ${logOut && html`<button onClick=${() => remove('/admin/session').finally(logOut)}>Log out</button>`}
      </div>
    </header>
    <nav id="nav" class=${classes(open && 'open')} aria-label="Pages">
      ${GROUPS.map((group) => html`
        <section key=${group.name}>
          <h2>${group.name}</h2>
          ${group.pages.map((row) => html`
            <a key=${row.id} href=${link(row.id)} aria-current=${row.id === page.id ? 'page' : undefined}>
              <span>${row.title}</span>${row.id === 'alerts' && html`<${Firing} />`}<kbd>g ${row.letter}</kbd>
            </a>`)}
        </section>`)}
      <p class="version">Tidegate ${version}</p>
    </nav>
    <main id="main" ref=${main} tabindex="-1" data-page=${page.id}>
      <div class="title"><h1>${page.title}</h1><p>${page.about}</p></div>
      ${failed
        ? html`<p class="notice bad" role="alert">This page could not be loaded: the gateway is away, or of another version by now.
            <button onClick=${() => location.reload()}>Load anew</button></p>`
        : Page && html`<${Page} key=${page.id} asked=${asked} />`}
    </main>
    <${Keys} dialog=${keys} />
    <${Confirmer} />
    <${Toaster} />`;
}

/** Whether the figures are of now. */
function Pulse() {
  const { state, now } = useLive();
  const draining = state === 'live' && now?.draining;
  const [kind, words] = draining ? ['warn', 'Draining'] : state === 'live' ? ['ok', 'Live'] : state === 'lost' ? ['bad', 'Reconnecting'] : ['', 'Connecting'];
  return html`<p class="pulse" role="status"><span class=${classes('dot', kind)}></span>${words}</p>`;
}

/** How many alerts fire. */
function Firing() {
  const { data } = useJson(has('alerts') ? '/admin/alerts' : null, { every: 10_000 });
  const firing = (data?.alerts ?? []).filter((alert) => (alert.state ?? alert.phase) === 'firing').length;
  return firing > 0 && html`<b class="badge" title="${firing} firing">${firing}</b>`;
}

const THEMES = { system: 'light', light: 'dark', dark: 'system' };

function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme ?? 'system');
  const next = () => {
    const chosen = THEMES[theme];
    if (chosen === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem('tidegate-theme', chosen);
    } catch {
      // A browser that keeps nothing forgets the choice; that is its owner's wish.
    }
    set(chosen);
    dispatchEvent(new Event('themechange'));
  };
  const names = { system: 'Auto', light: 'Light', dark: 'Dark' };
  return html`<button class="theme" onClick=${next} title="Theme: as the system, light or dark" aria-label="Theme: ${names[theme]}">${names[theme]}</button>`;
}

/** `/` searches, `g` and a letter goes, `?` tells. */
function useKeys(dialog) {
  useEffect(() => {
    let going;
    const pressed = (event) => {
      const typing = event.target.closest('input, textarea, select, [contenteditable]');
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if (event.key === 'Escape' && typing) return event.target.blur();
      if (typing) return;
      if (going && Date.now() - going < 1500) {
        going = undefined;
        const page = PAGES.find((page) => page.letter === event.key);
        if (page) location.hash = link(page.id);
      } else if (event.key === 'g') {
        going = Date.now();
      } else if (event.key === '/') {
        const field = document.querySelector('[data-search]');
        if (field) {
          event.preventDefault();
          field.focus();
        }
      } else if (event.key === '?') {
        dialog.current.showModal();
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

function Keys({ dialog }) {
  return html`
    <dialog ref=${dialog} class="keys" aria-labelledby="keys-title">
      <form method="dialog">
        <h2 id="keys-title">Keys</h2>
        <dl>
          <div><dt><kbd>/</kbd></dt><dd>Search this page</dd></div>
          <div><dt><kbd>Esc</kbd></dt><dd>Leave a field, close</dd></div>
          <div><dt><kbd>?</kbd></dt><dd>This list</dd></div>
          ${PAGES.map((page) => html`<div key=${page.id}><dt><kbd>g</kbd> <kbd>${page.letter}</kbd></dt><dd>${page.title}</dd></div>`)}
        </dl>
        <button class="primary">Close</button>
      </form>
    </dialog>`;
}
