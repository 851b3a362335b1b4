// The dashboard's own small parts, without a browser: how figures are written, how configurations differ, how metrics are read.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diff, flatten } from '../../crates/gateway/assets/dashboard/lib/diff.js';
import * as format from '../../crates/gateway/assets/dashboard/lib/format.js';
import { parse, sum } from '../../crates/gateway/assets/dashboard/lib/metrics.js';

const plain = (text) => text.replaceAll('\u00a0', ' ');

describe('figures', () => {
  const cases = {
    count: [[0, '0'], [12, '12'], [1234567, '1,234,567'], [0.5, '0.5'], [12.345, '12.3'], [null, '–'], [NaN, '–'], [undefined, '–']],
    compact: [[0, '0'], [999, '999'], [9999, '9,999'], [12345, '12.3k'], [1.5e6, '1.5M'], [2e9, '2G'], [0.004, '0.0040'], [null, '–']],
    rate: [[3.14159, '3.14/s'], [null, '–']],
    millis: [[0, '0 ms'], [0.0004, '0.4 µs'], [0.25, '250 µs'], [1.5, '1.5 ms'], [431.25, '431 ms'], [1500, '1.5 s'], [90_000, '1 min 30 s'], [null, '–']],
    seconds: [[0.02, '20 ms'], [59.94, '59.9 s'], [61, '1 min 1 s'], [3600, '1 h'], [93_784, '1 d 2 h'], [86_460, '1 d'], [null, '–']],
    bytes: [[0, '0 B'], [1023, '1,023 B'], [1024, '1 KiB'], [5 * 2 ** 20, '5 MiB'], [2 ** 50, '1,024 TiB'], [null, '–']],
    percent: [[0, '0 %'], [0.0923, '9.23 %'], [0.5, '50 %'], [1, '100 %'], [0.99987, '100 %'], [null, '–']],
    usd: [[0, '$0.00'], [0.00123, '$0.0012'], [1234.5, '$1,234.50'], [null, '–']],
    words: [['half_open', 'half open'], [null, '–']],
    title: [['left_undone', 'Left undone']],
  };
  for (const [name, rows] of Object.entries(cases)) {
    it(`are written as ${name}`, () => {
      for (const [value, expected] of rows) assert.equal(plain(format[name](value)), expected, `${name}(${value})`);
    });
  }

  it('are of the viewer’s own time', () => {
    const now = Date.UTC(2030, 0, 31, 12, 0, 0);
    assert.equal(format.ago(now - 400, now), 'just now');
    assert.equal(plain(format.ago('2030-01-31T11:58:30Z', now)), '1 min 30 s ago');
    assert.equal(plain(format.ago(now + 7_200_000, now)), 'in 2 h');
    assert.equal(format.ago(null, now), '–');
    assert.equal(format.time('nonsense'), '–');
    assert.match(format.moment(now), /2030/);
    assert.deepEqual([format.plural(1, 'key'), format.plural(2, 'key')], ['1 key', '2 keys']);
  });
});

describe('configurations', () => {
  it('are flat lists of whole keys', () => {
    const tree = { a: 1, b: { c: [1, 2], 'd.e': 'x' }, f: [{ g: true }, { g: false }], h: {}, i: [] };
    const flat = [['a', '1'], ['b.c', '[1,2]'], ['b."d.e"', '"x"'], ['f[0].g', 'true'], ['f[1].g', 'false'], ['i', '[]']];
    assert.deepEqual([...flatten(tree)], flat);
  });

  it('differ by what was added, taken away and changed', () => {
    const before = { server: { listen: 'a', hosts: [] }, models: { one: { weight: 1 } } };
    const after = { server: { listen: 'b', hosts: [] }, models: { two: { weight: 1 } } };
    assert.deepEqual(diff(before, after), [
      { key: 'models.one.weight', before: '1', after: undefined },
      { key: 'models.two.weight', before: undefined, after: '1' },
      { key: 'server.listen', before: '"a"', after: '"b"' },
    ]);
    assert.deepEqual(diff(before, structuredClone(before)), []);
  });
});

describe('metrics', () => {
  it('are read as they are written', () => {
    const text = [
      '# HELP a b', '# TYPE a counter', String.raw`a_total{x="1",y="q\"\\\n"} 3`, 'a_total{x="2",y="z"} 4 # {trace_id="t"} 1', 'b 1.5e3', 'c +Inf', '# EOF', '',
    ].join('\n');
    const found = parse(text);
    assert.deepEqual(found.a_total[0], { labels: { x: '1', y: 'q"\\\n' }, value: 3 });
    assert.equal(found.b[0].value, 1500);
    assert.equal(sum(found.a_total), 7);
    assert.equal(sum(found.a_total, { x: '2' }), 4);
    assert.equal(sum(undefined), 0);
  });
});
