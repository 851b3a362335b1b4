// What is typed stays: a page is drawn anew whenever figures come, which is often in the middle of a word.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startStage, until } from './stage.mjs';

let stage, page, watched, context;
before(async () => {
  stage = await startStage();
  ({ page, watched, context } = await stage.enter());
});
after(async () => {
  watched.judge();
  await context.close();
  await stage.stop();
});

const open = (address) => stage.show(page, address);

/** Until figures have come twice more: those that were on their way at the call, and others. */
async function drawnAnew(path) {
  for (let times = 0; times < 2; times += 1) await page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await page.evaluate(() => new Promise(requestAnimationFrame));
}

describe('what is typed', () => {
  for (const [id, label, path] of [
    ['requests', 'Key', '/admin/requests'],
    ['jobs', 'Queue', '/admin/jobs'],
  ]) {
    it(`stays in a filter of ${id} while figures come, and filters once it is handed over`, async () => {
      await open(id);
      const input = page.getByLabel(label, { exact: true });
      await input.pressSequentially('nobo');
      await drawnAnew(path);
      assert.equal(await input.inputValue(), 'nobo');
      await input.pressSequentially('dy');
      await input.press('Enter');
      await until('filter', async () => page.url().includes('=nobody'));
      await drawnAnew(path);
      assert.equal(await input.inputValue(), 'nobody');
      await input.fill('');
      await input.press('Enter');
      await until('no filter', async () => !page.url().includes('nobody'));
    });
  }

  it('is forgotten where it was taken back: the address says what is filtered by', async () => {
    await open('requests');
    const input = page.getByLabel('Key', { exact: true });
    await input.pressSequentially('x');
    await input.press('Backspace');
    await input.press('Tab');
    await open('requests?key=nobody');
    await until('the key of the address', async () => (await input.inputValue()) === 'nobody');
    await open('requests');
    await until('no key', async () => (await input.inputValue()) === '');
  });

  it('stays where a number is asked for, and is put within its bounds', async () => {
    await open('system');
    const input = page.getByLabel('Seconds', { exact: true });
    await input.fill('7');
    await drawnAnew('/admin/pressure');
    assert.equal(await input.inputValue(), '7');
    for (const [typed, taken] of [['99', '60'], ['98', '60'], ['', '10']]) {
      await input.fill(typed);
      await input.press('Tab');
      await until(`${taken} for ${typed || 'nothing'}`, async () => (await input.inputValue()) === taken);
    }
  });

  it('is the model that is asked, though the list of models comes late, and though an answer comes', async () => {
    // The list comes once the name stands there.
    let list;
    const late = new Promise((come) => (list = come));
    await page.route('**/admin/config', async (route) => {
      await late;
      await route.continue();
    });
    await page.goto(`${stage.gateway.admin}/#/playground`);
    const input = page.locator('input[name=model]');
    await page.getByLabel('Stream', { exact: true }).uncheck();
    await input.fill('mock/fast');
    list();
    await page.waitForSelector('#models option', { state: 'attached' });
    assert.equal(await input.inputValue(), 'mock/fast');
    await page.fill('#message', 'Who are you?');
    await page.keyboard.press('Enter');
    await until('end', async () => (await page.locator('[data-figure="playground_told"]').innerText()).includes('done'));
    assert.ok((await page.locator('[data-figure="playground_told"]').innerText()).includes('mock/fast'));
    assert.equal(await input.inputValue(), 'mock/fast');
    assert.equal(await page.getByLabel('Stream', { exact: true }).isChecked(), false);
    await page.unroute('**/admin/config');
    await open('playground?model=mock%2Finstant');
    await until('the model of the address', async () => (await input.inputValue()) === 'mock/instant');
  });
});
