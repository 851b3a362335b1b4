// One small router: the page and what it asks for stand behind the `#`, so that every view has an address.

import { useEffect, useState } from './ui.js';

/** `#/requests?status=5xx` as `{ page, asked }`. */
export function read(hash = location.hash) {
  const [path, query] = hash.replace(/^#\/?/, '').split('?');
  return { page: path || 'overview', asked: Object.fromEntries(new URLSearchParams(query ?? '')) };
}

/** The address of a page. */
export function link(page, asked = {}) {
  const filled = Object.entries(asked).filter(([, value]) => value !== undefined && value !== '' && value !== null);
  const query = new URLSearchParams(filled).toString();
  return `#/${page}${query ? `?${query}` : ''}`;
}

export const go = (page, asked) => (location.hash = link(page, asked));

/** The same page asked otherwise, without a step in the browser's history. */
export function ask(asked) {
  const { page, asked: before } = read();
  history.replaceState(null, '', link(page, { ...before, ...asked }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

/** Where we are. */
export function useRoute() {
  const [route, set] = useState(read());
  useEffect(() => {
    const changed = () => set(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
