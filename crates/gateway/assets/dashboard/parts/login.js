// Log in with the admin key. The key goes to the gateway once and is kept nowhere here.

import { send } from '../lib/api.js';
import { html, useState } from '../lib/ui.js';
import { Mark } from './shell.js';

export function Login({ version, passed }) {
  const [fault, setFault] = useState();
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const form = event.target;
    try {
      await send('POST', '/admin/session', { key: new FormData(form).get('key') });
      passed();
    } catch (error) {
      setFault(error.message);
      form.elements.key.select();
    }
    setBusy(false);
  };
  return html`
    <main class="login">
      <form onSubmit=${submit} method="post" action="/admin/session">
        <h1><${Mark} /> Tidegate</h1>
        <label for="key">Admin key</label>
        <input id="key" name="key" type="password" autocomplete="current-password" required autofocus
          aria-describedby="login-help" aria-invalid=${Boolean(fault)} />
        <p class="fault" role="alert">${fault}</p>
        <button class="primary" type="submit" disabled=${busy}>Log in</button>
        <p class="help" id="login-help">It is <code>admin.key</code> of the configuration, or <code>TIDEGATE_ADMIN_KEY</code>.
          A log-in lasts twelve hours, and ends when the gateway does.</p>
      </form>
      <p class="version">${version}</p>
    </main>`;
}
