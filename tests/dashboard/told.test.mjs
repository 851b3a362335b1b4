// Pages by what other parts of the admin plane tell: requests, alerts, advice, system. Their JSON is put in the gateway's
// mouth, so that each case is sure to be there: a request that was tried twice, an alert that fires, memory that leaks.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SCREENS, startStage, until } from './stage.mjs';

const now = Date.now();
const ago = (seconds) => new Date(now - seconds * 1000).toISOString();

const request = (number, more = {}) => ({
  id: `req_${String(number).padStart(8, '0')}`, number, at: ago(number), operation: 'chat', route: 'smart', alias: 'smart', asked_for: null, key: 'tg-AAAAAAAAAAAA', tenant: 'search',
  target: 'mock/fast', status: 200, outcome: 'ok', error: null, cache: 'miss', stream: true, total_ms: 431.25, overhead_ms: 0.412, first_token_ms: 88.1,
  tokens: { input: 120, output: 64, cached_input: 100 }, cost_usd: 0.0042, attempts: 1, ...more,
});
const REQUESTS = {
  requests: [
    request(1, { target: 'mock/instant', attempts: 2, total_ms: 912.4 }),
    request(2, { status: 502, outcome: 'provider_error', error: 'provider', cache: null, target: 'gone/m', total_ms: 2.4, first_token_ms: null, tokens: { input: 0, output: 0, cached_input: 0 }, cost_usd: null, attempts: 3 }),
    request(3, { cache: 'hit; tier=memory', total_ms: 0.231, first_token_ms: null, attempts: 0, cost_usd: 0 }),
    request(4, { status: 429, outcome: 'caller_error', error: 'rate_limited', target: null, route: 'other', asked_for: 'gpt-nope', attempts: 0 }),
  ],
  next: 1,
  held: { thinned: 140_046 },
};
const WATERFALL = [
  ['identify', null, 0, 0.02], ['read', null, 0.02, 0.09], ['plan', null, 0.09, 0.11], ['memory', null, 0.11, 0.12], ['admit', null, 0.12, 0.14], ['tiers', null, 0.14, 3.9],
  ['queue', 'mock/fast', 3.9, 61.2], ['attempt', 'mock/fast', 61.2, 480.7, 'failed'], ['attempt', 'mock/instant', 580.9, 912.1, 'ok'], ['first_token', null, 580.9, 611], ['stream', null, 611, 912.4],
].map(([step, target, from_ms, to_ms, result = null]) => ({ step, target, from_ms, to_ms, result }));

const ALERTS = {
  enabled: true, left_out: 0, resolved: [],
  alerts: [
    { id: 'a1', name: 'errors', state: 'firing', severity: 'critical', kind: 'burn_rate', labels: { alertname: 'errors', severity: 'critical', model: 'smart' }, summary: 'Requests fail', description: '4.2 % failed within the last hour, 14 times what a month allows', figure: 'error_rate', value: 0.042, since: ago(720), fired_at: ago(600), resolved_at: null, silenced_by: [] },
    { id: 'a2', name: 'slow', state: 'pending', severity: 'warning', kind: 'threshold', labels: { alertname: 'slow', severity: 'warning' }, summary: 'Answers are slow', description: 'p95 is 812 ms, above 500 ms', figure: 'response_p95', value: 0.812, since: ago(20), fired_at: null, resolved_at: null, silenced_by: [] },
  ],
  history: [{ at: ago(600), id: 'a1', name: 'errors', state: 'firing', severity: 'critical', labels: { alertname: 'errors', model: 'smart' }, fired_at: ago(600), value: 0.042, description: '4.2 % failed' }],
  silences: [{ id: 's1', matchers: [{ name: 'alertname', value: 'memory', equal: true }], from: ago(60), until: ago(-7200), author: 'ops', comment: 'a planned test of load' }],
  rules: [{ name: 'errors', kind: 'burn_rate', figure: 'error_rate', where: {}, by: ['model'], window_seconds: 3600, for_seconds: 60, keep_firing_for_seconds: 300, severity: 'critical', summary: 'Requests fail' }],
  receivers: [{ name: 'team', kind: 'slack', place: 'hooks.slack.example', severity_min: 'warning', healthy: false, waiting: 1, ok: 3, failed: 2, dropped: 0, ok_at: ago(3600), last_fault: { at: ago(30), words: 'answered 503' } }],
};

const ADVICE = {
  advice: [{ id: 'cache-smart', rule: 'duplicates', title: 'Remember answers of “smart”', words: 'Of the last 10,000 requests 41 % were asked before, and none was remembered.', subject: 'smart', since: ago(60),
    evidence: [{ name: 'requests', value: 10000 }, { name: 'repeated', value: 4100 }, { name: 'repeated_share', value: 0.41 }],
    saving: { usd_per_day: 312.5, seconds_p95: null, seconds_p99: null, requests_share: 0.41 },
    change: [{ key: 'models.smart.cache.enabled', from: false, to: true }], safe: true }],
  enabled: true, since: ago(3600), requests_min: 200, file: { path: '/etc/tidegate.toml', editable: true, why_not: null },
  applied: [{ id: 'skew-smart', rule: 'skew', subject: 'smart', title: 'Send fewer requests of smart to a/m', at: ago(600), file: '/etc/tidegate.toml',
    change: [{ key: 'models.smart.targets[model = "b/m"].weight', from: null, to: 3 }] }],
};

const trend = Array.from({ length: 60 }, (_, minute) => ({
  at: ago((60 - minute) * 60), cpu: 0.3 + 0.1 * Math.sin(minute / 5), memory: 0.4, resident_bytes: 80e6 + minute * 4e5, disk_free_bytes: 5e10, open_files: 120 + (minute % 9),
  network_in_bytes_per_second: 2e5, network_out_bytes_per_second: 9e5 + 2e5 * Math.cos(minute / 7), storage_read_bytes_per_second: 0, storage_written_bytes_per_second: 1e4, requests_per_second: 40, connections: 20,
}));
const SYSTEM = {
  version: '0.1.0', uptime_seconds: 93784, processors: { used_seconds: 812, cores: 2, share: 0.41, machine_share: 0.55 },
  memory: {
    resident_bytes: 104e6, virtual_bytes: 9e8, fullest: { of: 'group', used_bytes: 21e7, limit_bytes: 5e8, share: 0.42 }, held_bytes: { cache: 4e7, flights: 1e5, bodies: 2e4 },
    allocator: { committed_bytes: 12e7, reserved_bytes: 1e9 }, leak: { verdict: 'suspected', words: '24 MB more within an hour than load explains', evidence: null },
  },
  threads: 9, open_files: { open: 128, max: 65536 }, disk: { free_bytes: 5e10, size_bytes: 1e11 }, network: { in_bytes: 1e9, out_bytes: 5e9, in_bytes_per_second: 2e5, out_bytes_per_second: 9e5 },
  storage: null, requests: {}, runtimes: [], trend,
};

const TOLD = {
  '/admin/requests': REQUESTS, '/admin/alerts': ALERTS, '/admin/advice': ADVICE, '/admin/system': SYSTEM,
  '/admin/requests/req_00000001': { ...REQUESTS.requests[0], waterfall: WATERFALL },
};

let stage, page, watched, context;
const posted = [];
before(async () => {
  stage = await startStage();
  ({ page, watched, context } = await stage.open());
  await page.route(/\/admin\/(requests|alerts|advice|system|profile)\b/, (route) => {
    const { pathname } = new URL(route.request().url());
    if (route.request().method() !== 'GET') {
      posted.push([route.request().method(), pathname, route.request().postDataJSON()]);
      return route.fulfill({ json: {} });
    }
    return route.fulfill({ json: TOLD[pathname] ?? {} });
  });
  await page.route((url) => url.pathname === '/', async (route) => {
    if (route.request().resourceType() === 'document') return route.continue();
    const index = await (await route.fetch()).json();
    return route.fulfill({ json: { ...index, requests: '/admin/requests', alerts: '/admin/alerts', advice: '/admin/advice', system: '/admin/system', profile: '/admin/profile' } });
  });
  await page.goto(stage.gateway.admin);
  await page.fill('#key', (await import('./stage.mjs')).ADMIN_KEY);
  await page.click('button[type=submit]');
  await page.waitForSelector('main[data-page] > :not(.title)');
});
after(async () => {
  await context.close();
  await stage.stop();
});

const open = (address) => stage.show(page, address);
const picture = async (name) => {
  for (const [theme, width] of [['light', 1440], ['dark', 390]]) {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width, height: 900 });
    await page.screenshot({ path: join(SCREENS, `${name}-${width}-${theme}.png`), fullPage: true });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${name} at ${width} px is wider than the window by ${over} px`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: 'light' });
};

describe('pages by what they are told', () => {
  it('lists requests, filters them by address, and tells where the time of one went', async () => {
    await open('requests');
    assert.equal(await page.locator('[aria-label="Requests"] tbody tr').count(), 4);
    assert.match(await page.locator('main .help').first().innerText(), /^140,046 requests are not among these/);
    await picture('requests-told');
    const asked = page.waitForRequest((request) => /\/admin\/requests\?.*status=5xx/.test(request.url()));
    await page.locator('label', { hasText: 'Status' }).locator('select').selectOption('5xx');
    await asked;
    assert.match(page.url(), /#\/requests\?status=5xx/);
    const older = page.waitForRequest((request) => /status=5xx.*after=1\b/.test(request.url()));
    await page.click('text=Older');
    await older;
    await page.click('text=Newest');
    await page.locator('tr', { hasText: 'mock/instant' }).click();
    await page.waitForSelector('.waterfall');
    const steps = await page.locator('.waterfall .step').allInnerTexts();
    assert.equal(steps.length, WATERFALL.length);
    assert.ok(steps[7].includes('mock/fast') && steps[7].includes('failed') && steps[7].includes('420'), steps[7]);
    await picture('request-told');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.drawer', { state: 'detached' });
    watched.judge();
  });

  it('shows what fires, also beside the pages’ names, and silences it', async () => {
    await open('alerts');
    await until('badge', async () => (await page.locator('nav .badge').innerText()) === '1');
    await picture('alerts-told');
    await page.locator('tr', { hasText: 'Requests fail' }).getByRole('button', { name: 'Silence…' }).click();
    await page.selectOption('dialog[open] select', '8h');
    await page.fill('dialog[open] input[name=comment]', 'it is known');
    await page.click('dialog[open] button.primary');
    await until('silence', async () => posted.length > 0);
    const [method, path, body] = posted.pop();
    assert.deepEqual([method, path, body.duration, body.comment], ['POST', '/admin/alerts/silences', '8h', 'it is known']);
    assert.deepEqual(body.matchers.map(({ name, value }) => `${name}=${value}`).sort(), ['alertname=errors', 'model=smart', 'severity=critical']);
    await page.locator('[aria-label="Silences"]').getByRole('button', { name: 'End' }).click();
    await until('end', async () => posted.length > 0);
    assert.deepEqual(posted.pop().slice(0, 2), ['DELETE', '/admin/alerts/silences/s1']);
    watched.judge();
  });

  it('shows advice with its evidence, and applies it once that is confirmed', async () => {
    await open('advice');
    const shown = await page.locator('[data-advice]').innerText();
    for (const said of ['$312.50', '10,000', '41 %', 'models.smart.cache.enabled']) assert.ok(shown.replaceAll('\u00a0', ' ').includes(said), `${said}: ${shown}`);
    assert.match(await page.locator('[data-applied]').innerText(), /weight\s+3/);
    await picture('advice-told');
    await page.click('text=Apply…');
    await page.click('dialog[open] button.primary');
    await until('application', async () => posted.length > 0);
    assert.deepEqual(posted.pop().slice(0, 2), ['POST', '/admin/advice/cache-smart/apply']);
    watched.judge();
  });

  it('shows what the process takes, and that it may leak', async () => {
    await open('system');
    assert.equal(await page.locator('.chart').count(), 4);
    assert.ok((await page.locator('main').innerText()).includes('24 MB more within an hour'));
    await picture('system-told');
    watched.judge();
  });
});
