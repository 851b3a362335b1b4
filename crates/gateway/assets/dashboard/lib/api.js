// The way to the admin plane: JSON in, JSON out, and the mark that tells our own pages from others'.

import { useCallback, useEffect, useRef, useState } from './ui.js';

const MARK = { 'x-tidegate-dashboard': '1' };

/** What went wrong, in words for people. */
export class Refused extends Error {
  constructor(status, message, code) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** Called where the log-in is over. */
let loggedOut = () => {};
export const onLoggedOut = (call) => (loggedOut = call);

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const message = body.error?.message ?? `The gateway answered ${response.status}.`;
  return new Refused(response.status, message, body.error?.code);
}

/** Sends a request; a refusal is thrown. */
export async function send(method, path, body, { accept = 'application/json', ...options } = {}) {
  const headers = { ...MARK, accept };
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...options });
  } catch (fault) {
    if (fault.name === 'AbortError') throw fault;
    throw new Refused(0, 'The gateway cannot be reached.');
  }
  if (response.status === 401 && path !== '/admin/session') loggedOut();
  if (!response.ok) throw await refusal(response);
  return response;
}

export const get = async (path, options) => (await send('GET', path, undefined, options)).json();
export const post = async (path, body) => (await send('POST', path, body)).json();
export const remove = async (path) => (await send('DELETE', path)).json();
export const text = async (path) => (await send('GET', path, undefined, { accept: 'text/plain' })).text();

// What there is: asked once, so that nothing is asked for that is not there.
let index;

/** The paths that this gateway serves, by name. */
export const load = async () => (index = await get('/'));
/** Whether this gateway has `name` (`requests`, `alerts`, …). */
export const has = (name) => index?.[name] !== undefined;

/**
 * JSON that is looked at again every so often while the page is seen. `path` may be null: nothing is asked then.
 * `read` makes what is kept of an answer, where it is no JSON.
 */
export function useJson(path, { every = 5000, read = get } = {}) {
  const [state, set] = useState({ data: undefined, error: undefined, at: undefined });
  const [turn, again] = useState(0);
  const latest = useRef();
  latest.current = path;
  useEffect(() => {
    if (!path) return undefined;
    let timer;
    let over = false;
    const look = async () => {
      clearTimeout(timer);
      try {
        const data = await read(path);
        if (!over && latest.current === path) set({ data, error: undefined, at: Date.now() });
      } catch (error) {
        if (!over) set((before) => ({ ...before, error }));
      }
      if (!over && every) timer = setTimeout(() => (document.hidden ? undefined : look()), every);
    };
    const seen = () => !document.hidden && look();
    document.addEventListener('visibilitychange', seen);
    look();
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [path, every, turn]);
  const reload = useCallback(() => again((turn) => turn + 1), []);
  return { ...state, loading: Boolean(path) && state.data === undefined && !state.error, reload };
}
