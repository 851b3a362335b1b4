// A process of the program for the Node suites, as tests/support/processes.py has them for Python: on a free port, its
// log in a file, ended by its pid.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = process.env.TIDEGATE_BINARY ?? join(ROOT, 'target/release/tidegate');
export const PROVIDER_KEY = 'canary-provider-secret-5ad1';
export const ADMIN_KEY = 'canary-admin-secret-77aa-0123456789abcdef0123456789';
const START_MS_MAX = 15_000;
const STOP_MS_MAX = 15_000;
// "tidegate 0.1.0 listens on http://127.0.0.1:4000, …", and the mock's like it.
const ADDRESSES = /listens on (http:\/\/127\.0\.0\.1:\d+)(?:, admin plane on (http:\/\/127\.0\.0\.1:\d+))?.*\n/;

/** One long-running process: `url`, and a gateway's `admin`. */
export class Daemon {
  static async start(folder, name, args, environment = {}) {
    assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build --release, or run scripts/test`);
    const daemon = new Daemon();
    daemon.logPath = join(folder, `${name}.log`);
    const log = openSync(daemon.logPath, 'w');
    // A test run that is killed takes its children along. Nothing of the developer's environment comes in.
    daemon.process = spawn('setpriv', ['--pdeathsig', 'KILL', '--', BINARY, ...args], {
      cwd: folder, env: { PATH: process.env.PATH, ...environment }, stdio: ['ignore', log, log],
    });
    closeSync(log);
    daemon.exited = new Promise((ended) => daemon.process.once('exit', ended));
    const deadline = Date.now() + START_MS_MAX;
    let told;
    while (!(told = ADDRESSES.exec(daemon.log()))) {
      assert.equal(daemon.process.exitCode, null, `${name} ended at its start:\n${daemon.log()}`);
      assert.ok(Date.now() < deadline, `${name} is not listening:\n${daemon.log()}`);
      await sleep(5);
    }
    [, daemon.url, daemon.admin] = told;
    return daemon;
  }

  log() {
    return readFileSync(this.logPath, 'utf8');
  }

  /** Ends it as an operator does; it must have lived until now, leave with 0 and have kept its secrets. */
  async stop() {
    assert.equal(this.process.exitCode, null, `ended by itself:\n${this.log()}`);
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS_MAX);
    const status = await this.exited;
    clearTimeout(timer);
    assert.equal(status, 0, this.log());
    for (const secret of [PROVIDER_KEY, ADMIN_KEY]) assert.ok(!this.log().includes(secret), 'a secret stands in the log');
  }
}
