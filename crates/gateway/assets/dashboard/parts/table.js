// A table: sorted by its heads, rows that open, cards where the window is narrow.

import { classes, html, useMemo, useState } from '../lib/ui.js';

/** What is not known stands last, whichever way. */
const order = (down) => (one, other) => {
  const [none, noother] = [one, other].map((value) => value === undefined || value === null);
  if (none || noother) return none - noother;
  const by = typeof one === 'number' && typeof other === 'number' ? one - other : String(one).localeCompare(String(other));
  return down ? -by : by;
};

/**
 * `columns`: `{ name, value(row), show(row), number, sort }`, where `show` makes what is seen and `value` what it is sorted by.
 * `open(row)`: what a click on a row does. `keyed(row)`: what tells rows apart.
 */
export function Table({ columns, rows, keyed, open, label, sorted, empty, marked }) {
  const [by, setBy] = useState(sorted);
  const column = by && columns.find((column) => column.name === by.name);
  const shown = useMemo(() => {
    if (!column?.value) return rows;
    const first = order(by.down);
    return [...rows].sort((one, other) => first(column.value(one), column.value(other)));
  }, [rows, by, column]);
  if (rows.length === 0 && empty) return empty;
  const head = (column) => {
    const is = by?.name === column.name;
    const turn = () => setBy({ name: column.name, down: is ? !by.down : Boolean(column.number) });
    const aria = is ? (by.down ? 'descending' : 'ascending') : undefined;
    return html`
      <th key=${column.name} scope="col" class=${classes(column.number && 'number')} aria-sort=${aria}>
        ${column.value ? html`<button onClick=${turn}>${column.name}<span aria-hidden="true">${is ? (by.down ? ' ↓' : ' ↑') : ''}</span></button>` : column.name}
      </th>`;
  };
  const cell = (column, row) => html`
    <td key=${column.name} data-label=${column.name} class=${classes(column.number && 'number', column.wide && 'wide')}>${(column.show ?? column.value)(row)}</td>`;
  const opens = (row) => (event) => {
    if (event.target.closest('a, button, input')) return;
    if (event.type === 'click' || event.key === 'Enter') open(row);
  };
  return html`
    <div class="table" role="region" aria-label=${label} tabindex="0">
      <table>
        <thead><tr>${columns.map(head)}</tr></thead>
        <tbody>
          ${shown.map((row) => html`
            <tr key=${keyed(row)} class=${classes(open && 'opens', marked?.(row))} tabindex=${open ? 0 : undefined}
              onClick=${open && opens(row)} onKeyDown=${open && opens(row)}>${columns.map((column) => cell(column, row))}</tr>`)}
        </tbody>
      </table>
    </div>`;
}

/** Names and values beside each other. */
export const Facts = ({ rows }) => html`
  <dl class="facts">${rows.filter(Boolean).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
