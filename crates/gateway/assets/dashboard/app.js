// The beginning: log in if need be, then the shell with the page that the address names.

import { load, onLoggedOut, send } from './lib/api.js';
import { html, render, useEffect, useState } from './lib/ui.js';
import { Login } from './parts/login.js';
import { Shell } from './parts/shell.js';

function App() {
  const [door, setDoor] = useState();
  const [fault, setFault] = useState();
  const knock = async () => {
    try {
      const said = await (await send('GET', '/admin/session')).json();
      if (said.passes) await load();
      setDoor(said);
      setFault(undefined);
    } catch (error) {
      setFault(error.message);
      setTimeout(knock, 3000);
    }
  };
  useEffect(() => {
    onLoggedOut(() => setDoor((door) => ({ ...door, passes: false })));
    knock();
  }, []);
  if (fault) return html`<p class="alone" role="alert">${fault} Trying again…</p>`;
  if (!door) return html`<p class="alone" aria-busy="true"></p>`;
  return door.passes
    ? html`<${Shell} version=${door.version} logOut=${door.needs_key ? () => setDoor({ ...door, passes: false }) : undefined} />`
    : html`<${Login} version=${door.version} passed=${knock} />`;
}

render(html`<${App} />`, document.getElementById('app'));
