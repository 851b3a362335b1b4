// The stage of the Node suite: a simulated provider and two gateways, one open and one that asks for keys, each a
// process of its own on a free port, ended by its pid. The Python suite's tests/support does the same there.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { BINARY, Daemon, PROVIDER_KEY } from '../../support/daemon.mjs';

const SETTLE_MS_MAX = 5_000;

/** A gateway and what a caller must know of it. */
class Front {
  constructor(name, gateway, mock, key, restrictedKey) {
    Object.assign(this, { name, gateway, mock, key, restrictedKey });
  }

  /** OpenAI's client as its documentation builds it; without retries, which would hide faults. */
  client(options = {}) {
    return new OpenAI({ apiKey: this.key, baseURL: `${this.gateway.url}/v1`, maxRetries: 0, timeout: 20_000, ...options });
  }
}

function configuration(mock, data, keys) {
  const provider = (name, ...rows) => [
    `[providers.${name}]`,
    'preset = "openai-compatible"',
    `base_url = "${mock.url}/v1"`,
    `api_key = "${PROVIDER_KEY}"`,
    ...rows,
  ];
  return [
    `data = "${data}"`,
    '[server]',
    'listen = "127.0.0.1:0"',
    '[admin]',
    'listen = "127.0.0.1:0"',
    ...keys.flatMap(({ id, hash, models }) => [
      '[[keys]]',
      `id = "${id}"`,
      `hash = "${hash}"`,
      ...(models ? [`models = ${JSON.stringify(models)}`] : []),
    ]),
    ...provider('mock', 'models = ["instant", "fast", "slow", "flaky", "embed"]'),
    ...provider('hasty', 'timeouts = { connect = "500ms", first_token = "400ms", between_tokens = "400ms", total = "1500ms" }'),
    '[models.smart]',
    'targets = [ { model = "mock/instant", weight = 1 } ]',
    '',
  ].join('\n');
}

async function startFront(name, folder, mock, keys) {
  const path = join(folder, `${name}.toml`);
  writeFileSync(path, configuration(mock, join(folder, `${name}-data`), keys));
  const gateway = await Daemon.start(folder, name, ['serve', '--config', path]);
  return new Front(name, gateway, mock, keys[0]?.key ?? 'any-key-will-do', keys[1]?.key);
}

/** Starts all three processes; `stop` ends them and judges how they lived. */
export async function startStage() {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-node-'));
  const mock = await Daemon.start(folder, 'mock', ['mock', '--listen', '127.0.0.1:0']);
  const newKey = () => JSON.parse(execFileSync(BINARY, ['keys', 'create', '--json'], { env: {}, encoding: 'utf8' }));
  const fronts = {
    open: await startFront('open', folder, mock, []),
    keyed: await startFront('keyed', folder, mock, [newKey(), { ...newKey(), models: ['mock/instant'] }]),
  };
  const stop = async () => {
    for (const daemon of [fronts.open.gateway, fronts.keyed.gateway, mock]) await daemon.stop();
    rmSync(folder, { recursive: true });
  };
  return { mock, fronts, stop };
}

export const user = (content) => [{ role: 'user', content }];

/** A conversation of one message that tells the simulated provider how to behave: `[[sim: status=503]]`. */
export const scripted = (content, directive) => user(`${content} [[sim: ${directive}]]`);

/** Options that give a request an id by which the provider's log knows it: the gateway hands it on. */
export const named = (requestId) => ({ headers: { 'x-request-id': requestId } });

/** What the provider remembers of the requests with this id, oldest first. */
export async function requestsNamed(mock, requestId) {
  const log = await (await fetch(`${mock.url}/sim/log`)).json();
  return log.filter((entry) => entry.x_request_id === requestId);
}

/** The request with this id, once it has arrived, or once it has ended. */
export async function requestNamed(mock, requestId, { ended }) {
  const deadline = Date.now() + SETTLE_MS_MAX;
  while (Date.now() < deadline) {
    const last = (await requestsNamed(mock, requestId)).at(-1);
    if (last && (!ended || last.outcome !== null)) return last;
    await sleep(5);
  }
  throw new Error(`the provider's log has no ${ended ? 'ended ' : ''}request ${requestId}`);
}

/** The median of some numbers. */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
