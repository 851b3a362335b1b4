// Advice in the browser: it is read, applied, holds, and is taken back; the file is then as it was, byte for byte.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { count, percent } from '../../crates/gateway/assets/dashboard/lib/format.js';
import { SCREENS, drawn, startStage, until } from './stage.mjs';

const MORE = `
# What is asked again and again.
[advice]
requests_min = 20
[models.again] # by hand
targets = [ { model = "mock/instant" } ]
cache = { enabled = false, ttl = "1m" } # for now
`;

let stage, page, watched, context;
before(async () => {
  stage = await startStage(MORE);
  ({ page, watched, context } = await stage.enter());
});
after(async () => {
  await context.close();
  await stage.stop();
});

/** What the cache had to do with a question that is always the same. */
async function ask() {
  const body = JSON.stringify({ model: 'again', temperature: 0, messages: [{ role: 'user', content: 'When is high water?' }] });
  const response = await fetch(`${stage.gateway.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await response.arrayBuffer();
  return response.headers.get('x-tidegate-cache');
}

const advised = async () => (await stage.json('/admin/advice')).advice.find((row) => row.subject === 'again');
const text = () => readFileSync(stage.file, 'utf8');
const card = () => page.locator('[data-advice="duplicates"]', { hasText: 'models.again' });
const applied = () => page.locator('[data-applied="duplicates"]', { hasText: 'models.again' });

async function open() {
  await page.goto(`${stage.gateway.admin}/#/advice`);
  await page.reload();
  await drawn(page, 'advice');
}

async function picture(name) {
  for (const [width, theme] of [[1440, 'light'], [390, 'dark']]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: theme });
    await page.screenshot({ path: join(SCREENS, `${name}-${width}-${theme}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** Presses a button and says yes to what is asked then. */
async function confirmed(button, word) {
  // A word of before would be taken for that of now.
  await page.evaluate(() => document.querySelectorAll('.toasts button').forEach((close) => close.click()));
  await until('quiet', async () => (await page.locator('.toasts p').count()) === 0);
  await button.click();
  await page.click('dialog[open] button.primary');
  await until(word, async () => (await page.locator('.toasts').innerText()).includes(word));
}

describe('advice', () => {
  let before;

  it('stands on the page as the JSON has it', async () => {
    before = text();
    for (let asked = 0; asked < 40; asked++) await ask();
    const advice = await until('advice', advised);
    await open();
    const shown = await card().innerText();
    const value = (name) => advice.evidence.find((row) => row.name === name).value;
    assert.ok(advice.safe);
    for (const said of [advice.title, advice.words.replaceAll('`', ''), count(value('requests')), count(value('repeated')), percent(value('repeated_share'))]) {
      assert.ok(shown.includes(said), `${said} is not in:\n${shown}`);
    }
    assert.match(shown, /models\.again\.cache\.enabled\s+false\s*→\s*true/);
    await picture('advice-given');
  });

  it('is not applied before that is confirmed', async () => {
    await card().getByRole('button', { name: 'Apply…' }).click();
    await page.click('dialog[open] button:text-is("Cancel")');
    assert.equal(text(), before);
    assert.equal(await ask(), 'bypass; reason=disabled');
  });

  it('is written to the file, and holds', async () => {
    await confirmed(card().getByRole('button', { name: 'Apply…' }), 'Applied.');
    assert.equal(text(), before.replace('enabled = false', 'enabled = true'));
    await ask();
    assert.equal(await ask(), 'hit; tier=memory');
    await until('its place among what was applied', async () => (await applied().count()) === 1);
    assert.equal(await card().count(), 0);
    await picture('advice-applied');
  });

  it('is taken back, and the file is as it was', async () => {
    await confirmed(applied().getByRole('button', { name: 'Take back…' }), 'Taken back.');
    assert.equal(text(), before);
    assert.equal(await ask(), 'bypass; reason=disabled');
    await until('its place among advice', async () => (await card().count()) === 1);
    assert.equal(await applied().count(), 0);
  });

  it('tells where the file was changed meanwhile, and changes nothing', async () => {
    await confirmed(card().getByRole('button', { name: 'Apply…' }), 'Applied.');
    const changed = before.replace('enabled = false, ', '');
    writeFileSync(stage.file, changed);
    await until('its place among what was applied', async () => (await applied().count()) === 1);
    await applied().getByRole('button', { name: 'Take back…' }).click();
    await page.click('dialog[open] button.primary');
    await until('refusal', async () => (await page.locator('.toasts').innerText()).includes('models.again.cache.enabled'));
    assert.equal(text(), changed);
    // A browser says of itself that a 409 came, which is meant.
    assert.ok(watched.complaints.every((line) => line.includes('409')), watched.complaints.join('\n'));
    watched.complaints.length = 0;
    watched.judge('in the end');
  });
});
