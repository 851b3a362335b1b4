// What is done in the dashboard: log in, read figures, ask, explain, reset a breaker, reload a configuration. Figures on a
// page are those of the JSON behind it.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
// What figures look like is tried in lib.test.mjs; here it is which.
import { count, percent, usd } from '../../crates/gateway/assets/dashboard/lib/format.js';
import { ADMIN_KEY, SCREENS, startStage, until } from './stage.mjs';

let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

const figure = (page, name) => page.locator(`[data-figure="${name}"]`).first().innerText();

describe('the door', () => {
  it('asks for the key, says where it is wrong, and lets out again', async () => {
    const { page, watched, context } = await stage.open();
    await page.goto(stage.gateway.admin);
    await page.waitForSelector('#key');
    await page.screenshot({ path: join(SCREENS, 'login-1440-light.png') });
    watched.judge('before the first key');
    await page.fill('#key', 'wrong');
    await page.keyboard.press('Enter');
    await until('word on the wrong key', async () => (await page.locator('.fault').innerText()).includes('not the admin key'));
    // A browser says of itself that a 401 came, which is meant.
    assert.ok(watched.complaints.every((line) => line.includes('401')), watched.complaints.join('\n'));
    watched.complaints.length = 0;
    await page.fill('#key', ADMIN_KEY);
    await page.keyboard.press('Enter');
    await page.waitForSelector('main[data-page="overview"]');
    const [cookie] = await context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict' && !cookie.value.includes(ADMIN_KEY));
    assert.equal(await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }])), '["",{}]', 'scripts see nothing of it');
    await page.reload();
    await page.waitForSelector('main[data-page="overview"]');
    await page.click('text=Log out');
    await page.waitForSelector('#key');
    await page.reload();
    await page.waitForSelector('#key');
    watched.judge('after the right key');
    await context.close();
  });
});

describe('figures', () => {
  let page, watched, context;
  before(async () => {
    await until('requests', async () => (await stage.json('/admin/cache')).last_hour.misses > 20);
    ({ page, watched, context } = await stage.enter());
  });
  after(async () => {
    watched.judge();
    await context.close();
  });

  const open = (id) => stage.show(page, id);

  it('move while callers ask', async () => {
    await open('overview');
    await until('rate', async () => parseFloat(await figure(page, 'requests_per_second')) > 5);
    await until('time', async () => /\d\s(µs|ms|s)$/.test(await figure(page, 'p95')));
    // Someone who is not there is told of, first.
    await until('word on the provider that is gone', async () => (await page.locator('.attention').innerText()).includes('gone'));
    // The line grows by a sample a second.
    const length = () => page.evaluate(() => document.querySelectorAll('.chart canvas').length);
    assert.equal(await length(), 4);
    await page.locator('.u-over').first().hover({ position: { x: 300, y: 60 } });
    await until('figures at the cursor', async () => (await page.locator('.tip:visible').innerText()).includes('not failed'));
  });

  it('are those of the JSON', async () => {
    await stage.load.pause();
    try {
      await open('cache');
      const cache = await stage.json('/admin/cache');
      const hits = Object.values(cache.last_hour.hits).reduce((sum, hits) => sum + hits, 0);
      await until('figure', async () => (await figure(page, 'hits')) === count(hits));
      assert.equal(await figure(page, 'entries'), count(cache.memory.entries));
      assert.equal(await figure(page, 'from_memory'), count(cache.last_hour.hits.memory));
      assert.equal(await figure(page, 'from_misses'), count(cache.last_hour.misses));
      assert.equal(await figure(page, 'hit_rate'), percent(cache.last_hour.hit_rate));
      assert.equal(await figure(page, 'saved_usd'), usd(cache.last_hour.saved.usd));

      await open('cost');
      const text = await (await fetch(`${stage.gateway.admin}/metrics`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })).text();
      const tokens = (model, type) => Number(new RegExp(`tidegate_tokens_total{provider="mock",model="${model}",type="${type}"} (\\d+)`).exec(text)?.[1] ?? 0);
      const row = (await page.locator('tr', { hasText: 'mock/instant' }).innerText()).split(/\s+/);
      assert.equal(row[1], count(tokens('instant', 'input')));
      assert.equal(row[3], count(tokens('instant', 'output')));
      const cost = (tokens('instant', 'input') * 2.5 + tokens('instant', 'output') * 10) / 1e6;
      assert.equal(row.at(-1), usd(cost));

      await open('targets');
      const { targets } = await stage.json('/admin/targets');
      for (const target of targets) {
        const shown = await page.locator('[aria-label="Targets"] tr', { hasText: `${target.provider}/${target.model}` }).first().innerText();
        assert.ok(shown.includes(target.health.ok ? 'well' : 'unwell') && shown.includes(target.breaker.state.replace('_', ' ')), shown);
      }
      const pools = await stage.json('/admin/pools');
      assert.ok((await figure(page, 'connections_open')).endsWith(`of ${count(pools.max)} open`));

      await open('limits');
      assert.ok((await page.locator('tr', { hasText: 'smart' }).innerText()).includes('100,000'));

      await open('overview');
      await until('rest', async () => (await figure(page, 'in_flight')) === '0');
      await until('rest', async () => (await figure(page, 'requests_per_second')) === '0/s');
    } finally {
      stage.load.resume();
    }
  });

  it('are saved as a picture', async () => {
    await open('overview');
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('.save').first().click()]);
    assert.equal(download.suggestedFilename(), 'requests.png');
  });
});

describe('what is done', () => {
  let page, watched, context;
  before(async () => ({ page, watched, context } = await stage.enter()));
  after(() => context.close());
  const open = (id) => stage.show(page, id);

  it('streams a chat in the playground, and stops it', async () => {
    await open('playground');
    await page.fill('input[name=model]', 'mock/fast');
    await page.fill('#message', 'What is a tide?');
    await page.keyboard.press('Enter');
    // It comes in pieces: what stands there grows.
    const said = () => page.locator('article.assistant p').last().innerText();
    const first = await until('piece', async () => ((await said()).length > 3 ? said() : undefined));
    await until('end', async () => (await page.locator('[data-figure="playground_told"]').innerText()).includes('done'));
    assert.ok((await said()).startsWith(first.replace('…', '').slice(0, 3)) && (await said()).length > 50);
    assert.ok((await page.locator('[data-figure="playground_told"]').innerText()).includes('mock/fast'));
    await page.screenshot({ path: join(SCREENS, 'playground-told-1440-light.png') });
    watched.judge();

    await page.fill('input[name=model]', 'mock/slow');
    await page.fill('#message', 'Slowly, please.');
    await page.keyboard.press('Enter');
    await page.click('text=Stop');
    await until('word that it was stopped', async () => (await page.locator('article.fault').count()) === 1);
    await page.fill('input[name=model]', 'no-such-model');
    await page.fill('#message', 'Anybody?');
    await page.keyboard.press('Enter');
    await until('refusal', async () => (await page.locator('article.fault').last().innerText()).includes('does not exist'));
    watched.complaints.length = 0; // The 404 that was meant.
  });

  it('explains a request as it then goes', async () => {
    await open('routing');
    await page.selectOption('select >> nth=1', 'smart');
    await page.click('button:text-is("Explain")');
    await page.waitForSelector('.way');
    const first = await page.locator('[aria-label="Targets in the order of their turn"] tbody b').first().innerText();
    const answer = await fetch(`${stage.gateway.url}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: await page.inputValue('textarea[name=body]'),
    });
    assert.equal(answer.headers.get('x-tidegate-target'), first);
    await page.click('button:text-is("Explain")');
    await until('hit', async () => (await page.locator('.way').innerText()).includes('a hit in memory'));
    await page.screenshot({ path: join(SCREENS, 'routing-told-1440-light.png'), fullPage: true });
    watched.judge();
  });

  it('resets a breaker, once that is confirmed', async () => {
    const trips = async () => (await stage.json('/admin/breakers')).breakers.find((row) => row.provider === 'gone' && row.scope === 'target');
    await until('open breaker', async () => (await trips())?.state === 'open');
    await stage.load.pause();
    try {
      await open('targets');
      const row = page.locator('[aria-label="Breakers"] tr', { hasText: 'gone/m' }).filter({ hasText: 'open' });
      await row.getByRole('button', { name: 'Reset' }).click();
      await page.screenshot({ path: join(SCREENS, 'confirm-1440-light.png') });
      await page.click('dialog[open] button:text-is("Cancel")');
      assert.equal((await trips()).state, 'open', 'nothing is done before it is confirmed');
      await row.getByRole('button', { name: 'Reset' }).click();
      await page.click('dialog[open] button.primary');
      await until('word that it was done', async () => (await page.locator('.toast.ok').count()) > 0);
      assert.equal((await trips()).state, 'closed');
    } finally {
      stage.load.resume();
    }
    watched.judge();
  });

  it('takes back what is remembered', async () => {
    await open('cache');
    await page.selectOption('select', 'everything');
    await page.click('text=Take back…');
    await page.click('dialog[open] button.danger');
    await until('word that it was done', async () => (await page.locator('.toast.ok').last().innerText()).includes('Taken back'));
    watched.judge();
  });

  it('shows a job and what came of it', async () => {
    const job = await (await fetch(`${stage.gateway.url}/v1/jobs`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ path: '/v1/chat/completions', body: { model: 'mock/instant', messages: [{ role: 'user', content: 'later' }] } }),
    })).json();
    await open('jobs');
    await page.locator('tr', { hasText: job.id }).click();
    await page.waitForSelector('.drawer .facts');
    await page.screenshot({ path: join(SCREENS, 'job-1440-light.png') });
    await page.keyboard.press('Escape');
    await page.waitForSelector('.drawer', { state: 'detached' });
    watched.judge();
  });

  it('reloads a configuration, and says what is wrong with a faulty one', async () => {
    const text = readFileSync(stage.file, 'utf8');
    writeFileSync(stage.file, `${text}[models.fresh]\ntargets = [ { model = "mock/instant" } ]\n`);
    await open('configuration');
    // The watch over the file may be sooner than any click; either way it is in force in the end.
    await page.click('.stand button');
    const confirm = page.locator('dialog[open] button:text-is("Reload")');
    if (await confirm.count()) await confirm.click();
    await until('word that it was done', async () => (await page.locator('.toasts').innerText()).includes('in force'));
    assert.ok('fresh' in (await stage.json('/admin/config')).models);
    await until('agreement', async () => (await page.locator('.stand').innerText()).includes('In force as written'));

    writeFileSync(stage.file, `${text}[models.fresh]\ntargets = "nobody"\n`);
    await until('word on the fault', async () => (await page.locator('.stand').innerText()).includes('refused'));
    assert.match(await page.locator('.faults').innerText(), /expected a list/);
    await page.screenshot({ path: join(SCREENS, 'configuration-refused-1440-light.png') });
    assert.ok(await page.locator('.stand button').isDisabled());
    writeFileSync(stage.file, text);
    await until('agreement', async () => (await page.locator('.stand').innerText()).includes('In force as written'));
    watched.judge();
    assert.ok(!(await page.content()).includes(ADMIN_KEY));
  });
});
