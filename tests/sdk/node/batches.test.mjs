// Files and batches by OpenAI's Node SDK.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { startStage } from './harness.mjs';

const ENDPOINT = '/v1/chat/completions';
const OVER = ['completed', 'failed', 'expired', 'cancelled'];
const WAIT_MS_MAX = 20_000;

const line = (custom_id, model = 'mock/instant') =>
  JSON.stringify({ custom_id, method: 'POST', url: ENDPOINT, body: { model, messages: [{ role: 'user', content: custom_id }] } });
const INPUT = [line('a'), line('b'), 'no json', line('c', 'no-such/model')].join('\n');

let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

for (const kind of ['open', 'keyed']) {
  describe(`files and batches through the ${kind} gateway`, () => {
    let client;
    before(() => (client = stage.fronts[kind].client()));

    const bring = async (text) => client.files.create({ file: await toFile(Buffer.from(text), 'in.jsonl'), purpose: 'batch' });
    const create = (file) => client.batches.create({ input_file_id: file.id, endpoint: ENDPOINT, completion_window: '24h' });
    const lines = async (id) => (await (await client.files.content(id)).text()).trim().split('\n').map((text) => JSON.parse(text));

    async function over(id) {
      const deadline = Date.now() + WAIT_MS_MAX;
      for (;;) {
        const batch = await client.batches.retrieve(id);
        if (OVER.includes(batch.status)) return batch;
        assert.ok(Date.now() < deadline, JSON.stringify(batch));
        await sleep(20);
      }
    }

    it('brings, lists, reads and removes a file', async () => {
      const file = await bring(INPUT);
      assert.equal(file.bytes, INPUT.length);
      assert.deepEqual(await client.files.retrieve(file.id), file);
      const ids = [];
      for await (const each of client.files.list({ limit: 1 })) ids.push(each.id);
      assert.ok(ids.includes(file.id));
      assert.equal(await (await client.files.content(file.id)).text(), INPUT);
      assert.equal((await client.files.delete(file.id)).deleted, true);
      await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
    });

    it('answers each line once', async () => {
      const batch = await over((await create(await bring(INPUT))).id);
      assert.equal(batch.status, 'completed');
      assert.deepEqual(batch.request_counts, { total: 4, completed: 2, failed: 2 });
      const output = await lines(batch.output_file_id);
      assert.deepEqual(output.map((each) => each.custom_id).sort(), ['a', 'b']);
      assert.ok(output.every((each) => each.response.status_code === 200 && each.response.body.choices.length === 1));
      const errors = await lines(batch.error_file_id);
      assert.deepEqual(errors.map((each) => each.custom_id), [null, 'c']);
      assert.equal((await client.batches.list({ limit: 1 })).data[0].id, batch.id);
    });

    it('cancels a batch', async () => {
      const rows = Array.from({ length: 200 }, (_, number) => line(String(number), 'mock/slow'));
      const batch = await create(await bring(rows.join('\n')));
      assert.ok(['cancelling', 'cancelled'].includes((await client.batches.cancel(batch.id)).status));
      assert.equal((await over(batch.id)).status, 'cancelled');
      await assert.rejects(client.batches.cancel('batch_none'), OpenAI.NotFoundError);
    });
  });
}
