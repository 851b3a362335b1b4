// Reads the text of /metrics (OpenMetrics 1.0), as far as counters and gauges go.

// An exemplar may follow the value, with labels of its own.
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? ([^ ]+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { n: '\n', '\\': '\\', '"': '"' };

/** Samples by the metric's name: `{ name: [{ labels, value }] }`. */
export function parse(text) {
  const found = {};
  for (const line of text.split('\n')) {
    if (!line || line.startsWith('#')) continue;
    const match = LINE.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? '').matchAll(LABEL)) {
      labels[name] = value.replace(/\\(.)/g, (_, letter) => ESCAPES[letter] ?? letter);
    }
    (found[match[1]] ??= []).push({ labels, value: Number(match[3]) });
  }
  return found;
}

/** The sum of a metric's samples that have these labels. */
export function sum(samples, labels = {}) {
  const fits = (sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
  return (samples ?? []).filter(fits).reduce((total, { value }) => total + value, 0);
}
