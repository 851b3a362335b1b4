// Legacy completions, embeddings and models by OpenAI's Node SDK.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { startStage } from './harness.mjs';

let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

for (const kind of ['open', 'keyed']) {
  describe(`the rest of the surface through the ${kind} gateway`, () => {
    let client;
    before(() => (client = stage.fronts[kind].client()));

    it('completes text, whole and streamed', async () => {
      const request = { model: 'mock/instant', prompt: 'Once upon a tide' };
      const whole = await client.completions.create(request);
      assert.equal(whole.object, 'text_completion');
      let text = '';
      for await (const chunk of await client.completions.create({ ...request, stream: true })) text += chunk.choices[0].text;
      assert.equal(text, whole.choices[0].text);
    });

    it('embeds in both encodings, with dimensions', async () => {
      const request = { model: 'mock/embed', input: 'the tide turns' };
      // The SDK asks for base64 by itself and decodes it.
      const packed = (await client.embeddings.create(request)).data[0].embedding;
      const plain = (await client.embeddings.create({ ...request, encoding_format: 'float' })).data[0].embedding;
      assert.equal(packed.length, plain.length);
      packed.forEach((value, index) => assert.ok(Math.abs(value - plain[index]) < 1e-6));
      assert.equal((await client.embeddings.create({ ...request, dimensions: 64 })).data[0].embedding.length, 64);
      const several = await client.embeddings.create({ ...request, input: ['ebb', 'flow'] });
      assert.deepEqual(several.data.map((row) => row.index), [0, 1]);
    });

    it('lists models and finds one whose name has a slash', async () => {
      const names = [];
      for await (const model of client.models.list()) names.push(model.id);
      assert.ok(['smart', 'mock/instant', 'mock/embed'].every((name) => names.includes(name)), names.join(' '));
      assert.equal((await client.models.retrieve('mock/instant')).id, 'mock/instant');
      assert.equal((await client.models.retrieve('smart')).id, 'smart');
      await assert.rejects(client.models.retrieve('no-such-provider/model'), OpenAI.NotFoundError);
    });
  });
}
