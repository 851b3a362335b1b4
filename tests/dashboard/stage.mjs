// The stage of the dashboard's tests: a simulated provider, a gateway with an admin key, a steady load on it, and
// Debian's Chromium. Each process is the test's own, on a free port, ended by its pid.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { ADMIN_KEY, Daemon, PROVIDER_KEY, ROOT } from '../support/daemon.mjs';

export { ADMIN_KEY };
export const SCREENS = join(ROOT, 'target/screens');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SETTLE_MS_MAX = 15_000;

/** Waits until `there` gives something, and gives that. */
export async function until(what, there) {
  const deadline = Date.now() + SETTLE_MS_MAX;
  for (;;) {
    const found = await there();
    if (found) return found;
    assert.ok(Date.now() < deadline, `no ${what} within ${SETTLE_MS_MAX} ms`);
    await sleep(50);
  }
}

/** Until a page is drawn, and what was waited for is there. */
export async function drawn(page, id) {
  await page.waitForSelector(`main[data-page="${id}"] > :not(.title)`);
  await page.waitForSelector('main [aria-busy="true"]', { state: 'detached' });
}

/** A provider that answers, one that is not there, aliases, prices, a limit. */
export const configuration = (mock, data) => `
data = "${data}"
[server]
listen = "127.0.0.1:0"
timeouts = { drain = "1s" }
[admin]
listen = "127.0.0.1:0"
# Chromium takes all processors there are, which is no pressure of the gateway's own making.
[guard.process]
cpu = 1.0
[providers.mock]
preset = "openai-compatible"
base_url = "${mock.url}/v1"
api_key = "${PROVIDER_KEY}"
models = ["instant", "fast", "slow", "flaky", "embed"]
prices = { "instant" = { input = 2.5, output = 10.0 }, "fast" = { input = 0.15, output = 0.6 } }
[providers.gone]
preset = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "${PROVIDER_KEY}"
[models.smart]
targets = [ { model = "mock/fast", weight = 3 }, { model = "mock/instant", weight = 1 } ]
fallback = ["mock/slow"]
limits = { requests_per_minute = 100000, tokens_per_minute = 10000000 }
[models.broken]
targets = [ { model = "gone/m" } ]
`;

/** Callers that never stop: hits, misses, streams, a provider that is not there. */
class Load {
  static EVERY_MS = 60;

  constructor(url) {
    this.url = url;
    this.asked = 0;
    this.under_way = new Set();
    this.resume();
  }

  async ask(number) {
    const model = ['smart', 'mock/instant', 'smart', 'mock/flaky', 'broken'][number % 5];
    const body = { model, messages: [{ role: 'user', content: `hello ${number % 37}` }], ...(number % 3 ? { temperature: 0 } : { stream: true }) };
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
    await response.arrayBuffer();
  }

  resume() {
    this.timer = setInterval(() => {
      const asking = this.ask(this.asked++).catch(() => {});
      this.under_way.add(asking);
      asking.finally(() => this.under_way.delete(asking));
    }, Load.EVERY_MS);
  }

  /** Until all that was asked is answered: figures stand still then. */
  async pause() {
    clearInterval(this.timer);
    await Promise.all(this.under_way);
  }
}

/** A page that remembers what browsers complain of and where it went. */
export class Watched {
  constructor(page, origin) {
    this.page = page;
    this.complaints = [];
    this.elsewhere = [];
    // What was answered where something failed: to be read beside a complaint.
    this.refusals = [];
    page.on('response', async (response) => {
      if (response.status() >= 500) this.refusals.push(`${response.status()} ${response.url()}: ${await response.text().catch(String)}`);
    });
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && this.complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.complaints.push(`uncaught: ${error.message}`));
    page.on('request', (request) => {
      const { protocol, origin: to } = new URL(request.url());
      if (!['data:', 'blob:'].includes(protocol) && to !== origin) this.elsewhere.push(request.url());
    });
  }

  /** Nothing was complained of, and nobody else asked. */
  judge(where) {
    try {
      assert.deepEqual({ complaints: this.complaints, elsewhere: this.elsewhere }, { complaints: [], elsewhere: [] }, where);
    } catch (fault) {
      fault.message += `\n${this.refusals.join('\n')}`;
      throw fault;
    }
  }
}

/** `more`: what the configuration says besides. */
export async function startStage(more = '') {
  assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing: apt-get install chromium, or run scripts/test`);
  mkdirSync(SCREENS, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-dashboard-'));
  const mock = await Daemon.start(folder, 'mock', ['mock', '--listen', '127.0.0.1:0']);
  const file = join(folder, 'tidegate.toml');
  writeFileSync(file, configuration(mock, join(folder, 'data')) + more);
  const gateway = await Daemon.start(folder, 'gateway', ['serve', '--config', file], { TIDEGATE_ADMIN_KEY: ADMIN_KEY });
  const load = new Load(gateway.url);
  // Debian's Chromium finds no sandbox of its own within a container.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const stage = {
    mock, gateway, load, file, browser,

    /** What the gateway says at a path. */
    async json(path, options = {}) {
      const headers = { authorization: `Bearer ${ADMIN_KEY}`, accept: 'application/json', 'content-type': 'application/json' };
      const response = await fetch(gateway.admin + path, { headers, ...options });
      assert.equal(response.status, 200, `${path}: ${response.status}`);
      return response.json();
    },

    /** A window that nobody has used. */
    async open({ width = 1440, height = 900, theme = 'light' } = {}) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: 'reduce' });
      const page = await context.newPage();
      return { context, page, watched: new Watched(page, gateway.admin) };
    },

    /** Goes to a page of the dashboard, by its id and what is asked of it. */
    async show(page, address) {
      await page.goto(`${gateway.admin}/#/${address}`);
      await drawn(page, address.split('?')[0]);
    },

    /** The same, logged in. */
    async enter(options) {
      const window = await stage.open(options);
      await window.page.goto(gateway.admin);
      await window.page.fill('#key', ADMIN_KEY);
      await window.page.click('button[type=submit]');
      await window.page.waitForSelector('main[data-page] > :not(.title)');
      return window;
    },

    async stop() {
      await load.pause();
      await browser.close();
      await gateway.stop();
      await mock.stop();
      rmSync(folder, { recursive: true });
    },
  };
  return stage;
}
