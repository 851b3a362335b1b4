// Every page, at both widths, in both themes, while callers ask: nothing is complained of, nobody else is asked, nothing
// is wider than the window, nothing jumps. Screenshots go to target/screens/.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import { SCREENS, startStage, until } from './stage.mjs';

const PAGES = [
  'overview', 'performance', 'requests', 'alerts', 'advice', 'targets', 'routing', 'playground', 'cache', 'cost', 'limits', 'jobs', 'configuration', 'system', 'api',
  'benchmarks', 'experiments',
];
let stage;
before(async () => {
  stage = await startStage();
  await stage.json('/admin/jobs');
  await fetch(`${stage.gateway.url}/v1/jobs`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ path: '/v1/chat/completions', body: { model: 'smart', messages: [{ role: 'user', content: 'later' }] } }),
  });
});
after(() => stage.stop());

/** How far things move by themselves within two of the figures' beats, as browsers reckon it (layout-shift entries). */
const shifts = () =>
  new Promise((told) => {
    let shifted = 0;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
    });
    observer.observe({ type: 'layout-shift' });
    setTimeout(() => told(shifted), 2100);
  });

for (const width of [1440, 390]) {
  for (const theme of ['light', 'dark']) {
    describe(`the pages at ${width} px, ${theme}`, () => {
      let page, watched, context;
      before(async () => ({ page, watched, context } = await stage.enter({ width, height: width < 500 ? 844 : 900, theme })));
      after(() => context.close());

      for (const id of PAGES) {
        it(`shows ${id}`, async () => {
          await stage.show(page, id);
          assert.equal(await page.locator('h1').count(), 1);
          if (id === 'overview') {
            await until('chart', () => page.locator('.chart canvas').count());
            const shifted = await page.evaluate(shifts);
            assert.ok(shifted < 0.01, `things moved by ${shifted}`);
          }
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `wider than the window by ${over} px`);
          await page.screenshot({ path: join(SCREENS, `${id}-${width}-${theme}.png`), fullPage: true });
          watched.judge(id);
        });
      }
    });
  }
}

describe('what everybody must be able to use', () => {
  let page, watched, context;
  before(async () => ({ page, watched, context } = await stage.enter()));
  after(() => context.close());

  it('has a name for everything that can be pressed or filled in', async () => {
    for (const id of PAGES) {
      await stage.show(page, id);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll('button, a[href], input, select, textarea')]
          .filter((one) => one.offsetParent !== null)
          .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length))
          .map((one) => one.outerHTML.slice(0, 120)));
      assert.deepEqual(nameless, [], id);
    }
    watched.judge();
  });

  it('is read easily: text stands out from what is behind it', async () => {
    for (const theme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: theme });
      const weak = await page.evaluate(() => {
        const css = getComputedStyle(document.documentElement);
        const light = (hex) => {
          const parts = hex.trim().replace('#', '').replace(/^(.)(.)(.)$/, '$1$1$2$2$3$3').match(/../g).slice(0, 3);
          const [r, g, b] = parts.map((part) => parseInt(part, 16) / 255).map((of) => (of <= 0.04045 ? of / 12.92 : ((of + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (one, other) => {
          const [high, low] = [light(css.getPropertyValue(one)), light(css.getPropertyValue(other))].sort((a, b) => b - a);
          return (high + 0.05) / (low + 0.05);
        };
        const inks = ['--ink', '--ink-2', '--ink-3', '--accent', '--ok', '--warn', '--bad'];
        const series = ['--series-1', '--series-2', '--series-3', '--series-4'];
        const pairs = inks.flatMap((ink) => ['--bg', '--surface'].map((behind) => [ink, behind, 4.5])).concat(series.map((line) => [line, '--surface', 3]));
        return pairs.filter(([ink, behind, least]) => contrast(ink, behind) < least).map(([ink, behind]) => `${ink} on ${behind}: ${contrast(ink, behind).toFixed(2)}`);
      });
      assert.deepEqual(weak, [], theme);
    }
  });

  it('goes where its keys say', async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.waitForSelector('main[data-page="targets"] [data-search]');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.matches('[data-search]')), true);
    // Within a field letters are letters.
    await page.keyboard.type('go');
    assert.equal(await page.locator('main').getAttribute('data-page'), 'targets');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.waitForSelector('dialog.keys[open]');
    await page.keyboard.press('Escape');
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await page.waitForSelector('main[data-page="cache"]');
    // The first stop of the tabulator leads past the pages' names.
    await page.reload();
    await page.waitForSelector('main[data-page="cache"]');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    watched.judge();
  });

  it('keeps the theme that is chosen', async () => {
    await page.emulateMedia({ colorScheme: 'light' });
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await background();
    await page.click('button.theme');
    await page.click('button.theme');
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    await page.waitForSelector('main[data-page]');
    assert.equal(await background(), dark);
    await page.click('button.theme');
    assert.equal(await background(), light);
  });
});
