// What is being typed stays until it is handed over: a page is drawn anew whenever figures come, and would put back what
// stood there before.

import { html, useState } from '../lib/ui.js';

/** An input that shows `value` unless something is being typed; `hand` is given that, at Enter or when the input is left. */
export function Field({ value, hand, ...more }) {
  const [typed, type] = useState();
  const rest = () => type(undefined);
  const over = (event) => {
    hand(event.target.value);
    rest();
  };
  // Where the text is what it was before, it is left without a change.
  return html`<input ...${more} value=${typed ?? value} onInput=${(event) => type(event.target.value)} onChange=${over} onBlur=${rest} />`;
}
