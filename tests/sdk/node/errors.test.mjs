// Errors as the exception classes of OpenAI's Node SDK, and callers who leave.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { median, named, requestNamed, requestsNamed, scripted, startStage, user } from './harness.mjs';

const model = 'mock/instant';
const MEBIBYTE = 1024 * 1024;
const CANCELLED_MS_MAX = 100;

let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

const complete = (client, body = {}, options = {}) =>
  client.chat.completions.create({ model, messages: user('hi'), ...body }, options);

/** Rejects with the class and the status, and with the members every OpenAI client reads. */
const fault = (kind, status) => (error) => {
  assert.ok(error instanceof kind, `${error.constructor.name} is not ${kind.name}: ${error.message}`);
  assert.equal(error.status, status);
  assert.ok(error.type && error.message && error.requestID);
  return true;
};

describe('keys', () => {
  it('a wrong key is an AuthenticationError', async () => {
    for (const apiKey of ['sk-wrong', 'tg-000000000000-not-the-secret', `${stage.fronts.keyed.key}x`]) {
      await assert.rejects(complete(stage.fronts.keyed.client({ apiKey })), fault(OpenAI.AuthenticationError, 401));
    }
  });

  it('a model the key may not use is a PermissionDeniedError', async () => {
    const client = stage.fronts.keyed.client({ apiKey: stage.fronts.keyed.restrictedKey });
    assert.ok((await complete(client)).choices);
    await assert.rejects(complete(client, { model: 'mock/fast' }), fault(OpenAI.PermissionDeniedError, 403));
  });
});

for (const kind of ['open', 'keyed']) {
  describe(`errors through the ${kind} gateway`, () => {
    let client;
    before(() => (client = stage.fronts[kind].client()));

    it('an unknown model or path is a NotFoundError', async () => {
      await assert.rejects(complete(client, { model: 'no-such/model' }), fault(OpenAI.NotFoundError, 404));
      await assert.rejects(client.post('/no/such/path', { body: {} }), fault(OpenAI.NotFoundError, 404));
    });

    it('a request without messages is a BadRequestError that names them', async () => {
      await assert.rejects(complete(client, { messages: [] }), (error) => {
        assert.equal(error.param, 'messages');
        return fault(OpenAI.BadRequestError, 400)(error);
      });
    });

    it('a body over the limit is a 413', async () => {
      const messages = user('x'.repeat(10 * MEBIBYTE));
      await assert.rejects(complete(client, { messages }), fault(OpenAI.APIError, 413));
    });

    it("a provider's failure is a 502, its rate limit a 503, its silence a 504", async () => {
      const ask = (directive, options) => complete(client, { messages: scripted('tell me', directive), ...options });
      await assert.rejects(ask('status=500'), fault(OpenAI.InternalServerError, 502));
      await assert.rejects(ask('status=429 retry_after=2'), (error) => {
        assert.ok(Number(error.headers.get('retry-after')) >= 1);
        return fault(OpenAI.InternalServerError, 503)(error);
      });
      await assert.rejects(ask('hang', { model: 'hasty/instant' }), fault(OpenAI.InternalServerError, 504));
    });

    it('the SDK does not repeat what would fail again', async () => {
      const mark = randomUUID();
      const patient = stage.fronts[kind].client({ maxRetries: 2 });
      const request = complete(patient, { messages: scripted('tell me', 'status=401') }, named(mark));
      await assert.rejects(request, fault(OpenAI.InternalServerError, 502));
      assert.equal((await requestsNamed(stage.mock, mark)).length, 1);
    });

    it('the SDK repeats what may pass', async () => {
      const mark = randomUUID();
      const script = JSON.stringify([{ status: 503, retry_after_ms: 100 }]);
      await fetch(`${stage.mock.url}/sim/script`, { method: 'POST', body: script });
      assert.ok((await complete(stage.fronts[kind].client({ maxRetries: 2 }), {}, named(mark))).choices);
      assert.deepEqual((await requestsNamed(stage.mock, mark)).map((entry) => entry.status), [503, 200]);
    });

    for (const directive of ['reset_after=1500', 'hang_after=3', 'no_done', 'garbage_after=2', 'cut_after=3', 'error_frame_after=2']) {
      it(`a stream that fails by ${directive} says so`, async () => {
        const messages = scripted('tell me', `tokens=32 ${directive}`);
        const read = async () => {
          const stream = await complete(client, { model: 'hasty/instant', messages, stream: true });
          for await (const chunk of stream) assert.ok(chunk.choices);
        };
        await assert.rejects(read(), (error) => {
          // An event in the stream, not a connection that broke: the SDK read the words.
          assert.ok(error instanceof OpenAI.APIError, String(error));
          assert.ok(!(error instanceof OpenAI.APIConnectionError), String(error));
          return true;
        });
      });
    }
  });

  describe(`a caller who leaves the ${kind} gateway`, () => {
    // How long after the caller left the provider's call had ended, by the provider's own clock: a request of ours
    // to the provider marks the moment of leaving, so no other clock comes in.
    const cancelledMs = async (leave) => {
      const [mark, moment] = [randomUUID(), randomUUID()];
      await leave(stage.fronts[kind].client(), mark);
      const direct = new OpenAI({ apiKey: 'direct', baseURL: `${stage.mock.url}/v1`, maxRetries: 0 });
      await direct.chat.completions.create({ model: 'instant', messages: user('now') }, named(moment));
      const gone = await requestNamed(stage.mock, mark, { ended: true });
      const marker = await requestNamed(stage.mock, moment, { ended: true });
      assert.equal(gone.outcome, 'cancelled');
      return gone.ended_ms - marker.received_ms;
    };

    const midStream = async (client, mark) => {
      const messages = scripted('tell me', 'tokens=2000 between_tokens=20ms');
      const stream = await complete(client, { messages, stream: true }, named(mark));
      for await (const chunk of stream) if (chunk.choices[0].delta.content) break; // leaving the loop aborts
    };

    const whileWaiting = async (client, mark) => {
      const controller = new AbortController();
      const options = { ...named(mark), signal: controller.signal };
      const answer = complete(client, { messages: scripted('tell me', 'hang') }, options);
      const aborted = assert.rejects(answer, OpenAI.APIUserAbortError);
      await requestNamed(stage.mock, mark, { ended: false });
      controller.abort();
      await aborted;
    };

    for (const [what, leave] of Object.entries({ 'mid-stream': midStream, 'before the answer': whileWaiting })) {
      it(`is seen by the provider within ${CANCELLED_MS_MAX} ms, leaving ${what}`, async () => {
        const delays = [];
        for (let round = 0; round < 9; round += 1) delays.push(await cancelledMs(leave));
        assert.ok(median(delays) <= CANCELLED_MS_MAX, `${delays.map((delay) => delay.toFixed(1))} ms`);
      });
    }
  });
}
