// Asks before something is done that cannot be taken back.

import { classes, html, useEffect, useRef, useState } from '../lib/ui.js';

let ask = async () => false;

/** Whether the viewer wants it: `{ title, words, action, danger }`. */
export const confirm = (question) => ask(question);

export function Confirmer() {
  const dialog = useRef();
  const [question, setQuestion] = useState({});
  useEffect(() => {
    ask = (question) =>
      new Promise((answer) => {
        setQuestion(question);
        dialog.current.returnValue = '';
        dialog.current.addEventListener('close', () => answer(dialog.current.returnValue === 'yes'), { once: true });
        dialog.current.showModal();
      });
  }, []);
  return html`
    <dialog ref=${dialog} aria-labelledby="confirm-title">
      <form method="dialog">
        <h2 id="confirm-title">${question.title}</h2>
        <p>${question.words}</p>
        <div class="actions">
          <button value="">Cancel</button>
          <button value="yes" class=${classes(question.danger ? 'danger' : 'primary')}>${question.action}</button>
        </div>
      </form>
    </dialog>`;
}
