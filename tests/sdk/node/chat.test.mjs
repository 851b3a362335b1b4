// Chat completions by OpenAI's Node SDK: whole, streamed, through the helpers, many at once.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { scripted, startStage, user } from './harness.mjs';

const model = 'mock/instant';
let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

for (const kind of ['open', 'keyed']) {
  describe(`chat through the ${kind} gateway`, () => {
    let client;
    before(() => (client = stage.fronts[kind].client()));

    const whole = async (messages, options = {}) =>
      (await client.chat.completions.create({ model, messages, ...options })).choices[0].message.content;

    it('answers in the shape the SDK promises', async () => {
      const reply = await client.chat.completions.create({ model, messages: user('What is a tide?') });
      assert.equal(reply.object, 'chat.completion');
      assert.equal(reply.choices[0].message.role, 'assistant');
      assert.ok(reply.choices[0].message.content.trim());
      assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
    });

    it('says in its headers who answered', async () => {
      const { response, request_id } = await client.chat.completions
        .create({ model: 'smart', messages: user('hi') })
        .withResponse();
      assert.equal(response.headers.get('x-tidegate-target'), 'mock/instant');
      assert.equal(response.headers.get('x-tidegate-attempts'), '1');
      assert.ok(Number(response.headers.get('x-tidegate-overhead-ms')) >= 0);
      assert.ok(Number(response.headers.get('x-process-time')) >= 0);
      assert.ok(request_id);
    });

    it('answers the same with and without /v1, and under /openai', async () => {
      const expected = await whole(user('hello'));
      for (const path of ['', '/v1', '/openai', '/openai/v1']) {
        const other = stage.fronts[kind].client({ baseURL: stage.fronts[kind].gateway.url + path });
        const reply = await other.chat.completions.create({ model, messages: user('hello') });
        assert.equal(reply.choices[0].message.content, expected);
      }
    });

    it('streams the answer that it gives whole', async () => {
      const messages = user('Describe a lighthouse');
      let text = '';
      let finish;
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
        assert.equal(chunk.choices.length, 1, 'no usage frame comes unasked');
        text += chunk.choices[0].delta.content ?? '';
        finish = chunk.choices[0].finish_reason ?? finish;
      }
      assert.equal(text, await whole(messages));
      assert.ok(['stop', 'length'].includes(finish));
    });

    it('sends usage last and alone where it is asked for', async () => {
      const messages = user('Describe a lighthouse');
      const chunks = [];
      const options = { stream: true, stream_options: { include_usage: true } };
      for await (const chunk of await client.chat.completions.create({ model, messages, ...options })) chunks.push(chunk);
      const last = chunks.pop();
      assert.deepEqual(last.choices, []);
      assert.deepEqual(last.usage, (await client.chat.completions.create({ model, messages })).usage);
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    });

    it('feeds the stream helper', async () => {
      const messages = user('Describe a lighthouse');
      const stream = client.chat.completions.stream({ model, messages });
      let heard = '';
      stream.on('content', (delta) => (heard += delta));
      const final = await stream.finalChatCompletion();
      assert.equal(final.choices[0].message.role, 'assistant');
      assert.equal(heard, await whole(messages));
      assert.equal(final.choices[0].message.content, heard);
    });

    it('honours n, stop, token limits and logprobs', async () => {
      const messages = user('Tell me about harbours');
      const several = await client.chat.completions.create({ model, messages, n: 3 });
      assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1, 2]);

      const text = await whole(messages);
      const word = text.match(/\w{4,}/g)[3];
      assert.equal(await whole(messages, { stop: word }), text.slice(0, text.indexOf(word)));

      const short = await client.chat.completions.create({ model, messages, max_tokens: 4, logprobs: true, top_logprobs: 2 });
      assert.equal(short.choices[0].finish_reason, 'length');
      assert.equal(short.usage.completion_tokens, 4);
      const tokens = short.choices[0].logprobs.content;
      assert.equal(tokens.map(({ token }) => token).join(''), short.choices[0].message.content);
    });

    it('carries sixty-four streams at once, each right', async () => {
      // Slow enough that all are open together: no stream is read before every one has been opened.
      const messages = (number) => scripted(`Story number ${number}`, 'tokens=24 between_tokens=10ms');
      const numbers = Array.from({ length: 64 }, (_, number) => number);
      const streams = await Promise.all(
        numbers.map((number) => client.chat.completions.create({ model, messages: messages(number), stream: true })),
      );
      const told = await Promise.all(
        streams.map(async (stream) => {
          let text = '';
          for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
          return text;
        }),
      );
      assert.deepEqual(told, await Promise.all(numbers.map((number) => whole(messages(number)))));
      assert.ok(new Set(told).size > 32, 'the stories are told apart by their prompts');
    });
  });
}
