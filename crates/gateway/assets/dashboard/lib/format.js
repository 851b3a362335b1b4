// Figures and moments as people read them: three digits, a unit, the viewer's own time zone. Nothing rounds twice.

const NONE = '–';
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
  timeZoneName: 'short',
});
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/** About three digits: 0.12, 4.56, 78.9, 123. */
function short(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.01) return value.toPrecision(2);
  if (size < 10) return String(+value.toFixed(2));
  if (size < 100) return String(+value.toFixed(1));
  return grouped.format(value);
}

/** A count, whole where it is whole. */
export function count(value) {
  if (!isNumber(value)) return NONE;
  return Number.isInteger(value) ? grouped.format(value) : short(value);
}

/** A count with its noun: 1 answer, 2 answers. */
export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

/** A large count in few letters: 1.2k, 34M. */
export function compact(value) {
  if (!isNumber(value)) return NONE;
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (Math.abs(value) >= size) return short(value / (letter === 'k' ? 1e3 : size)) + letter;
  }
  return short(value);
}

/** A rate a second. */
export const rate = (value) => (isNumber(value) ? `${compact(value)}/s` : NONE);

/** A duration, given in milliseconds. */
export function millis(value) {
  if (!isNumber(value)) return NONE;
  if (value === 0) return '0\u00a0ms';
  if (value < 1) return `${short(value * 1000)}\u00a0µs`;
  if (value < 1000) return `${short(value)}\u00a0ms`;
  return seconds(value / 1000);
}

/** A duration, given in seconds: the two largest units. */
export function seconds(value) {
  if (!isNumber(value)) return NONE;
  if (value < 1) return millis(value * 1000);
  if (value < 60) return `${short(value)}\u00a0s`;
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  let left = Math.round(value);
  const words = [];
  for (const [size, unit] of parts) {
    const of = Math.floor(left / size);
    if (of > 0 && words.length < 2) words.push(`${of}\u00a0${unit}`);
    else if (words.length) break;
    left -= of * size;
  }
  return words.join(' ');
}

export function bytes(value) {
  if (!isNumber(value)) return NONE;
  let size = value;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (Math.abs(size) < 1024 || unit === 'TiB') return `${short(size)}\u00a0${unit}`;
    size /= 1024;
  }
  return NONE;
}

/** A share from 0 to 1. */
export function percent(value) {
  if (!isNumber(value)) return NONE;
  const of = value * 100;
  return `${of !== 0 && Math.abs(of) < 10 ? +of.toFixed(2) : +of.toFixed(1)}\u00a0%`;
}

export function usd(value) {
  if (!isNumber(value)) return NONE;
  if (value !== 0 && Math.abs(value) < 0.01) return `$${value.toPrecision(2)}`;
  return `$${value.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** A moment of today, as a clock shows it. */
export function time(at) {
  const date = at ? new Date(at) : null;
  return date && !Number.isNaN(+date) ? clock.format(date) : NONE;
}

/** A moment with its day and zone. */
export function moment(at) {
  const date = at ? new Date(at) : null;
  return date && !Number.isNaN(+date) ? dayAndClock.format(date) : NONE;
}

/** How long ago a moment was. */
export function ago(at, now = Date.now()) {
  const date = at ? +new Date(at) : NaN;
  if (Number.isNaN(date)) return NONE;
  const past = (now - date) / 1000;
  if (Math.abs(past) < 1) return 'just now';
  return past >= 0 ? `${seconds(Math.floor(past))} ago` : `in ${seconds(Math.ceil(-past))}`;
}

/** A word of the gateway's as a word of people's: half_open, half open. */
export const words = (name) => (name ? String(name).replaceAll('_', ' ') : NONE);

/** Words that a line begins with. */
export const sentence = (words) => String(words ?? '').replace(/^./, (letter) => letter.toUpperCase());
export const title = (name) => sentence(words(name));
