// The live figures: one stream for the whole page, open while somebody looks. A browser keeps six connections to a
// host at most, so that hidden pages must not hold one.

import { useEffect, useState } from './ui.js';

const PAST_MAX = 600;
const AGAIN_MS = 3000;

let source;
let timer;
let state = { state: 'connecting', past: [], now: undefined };
const listeners = new Set();

function tell(change) {
  state = { ...state, ...change };
  for (const listener of listeners) listener(state);
}

function open() {
  if (source || document.hidden || listeners.size === 0) return;
  source = new EventSource('/admin/live');
  source.addEventListener('past', ({ data }) => {
    const past = JSON.parse(data);
    tell({ state: 'live', past, now: past.at(-1) ?? state.now });
  });
  source.addEventListener('now', ({ data }) => {
    const now = JSON.parse(data);
    tell({ state: 'live', past: [...state.past, now].slice(-PAST_MAX), now });
  });
  source.addEventListener('error', () => {
    close();
    tell({ state: 'lost' });
    timer = setTimeout(open, AGAIN_MS);
  });
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = undefined;
}

document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));

/** The figures of the moment and of the last ten minutes: `{ state, past, now }`. */
export function useLive() {
  const [shown, show] = useState(state);
  useEffect(() => {
    listeners.add(show);
    show(state);
    open();
    return () => {
      listeners.delete(show);
      if (listeners.size === 0) close();
    };
  }, []);
  return shown;
}
