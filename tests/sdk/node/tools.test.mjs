// Tools and structured output by OpenAI's Node SDK and its zod helpers.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { startStage, user } from './harness.mjs';

const model = 'mock/instant';
const messages = user('How is the sea at Brest?');

const Weather = z.object({ city: z.string(), days: z.number().int(), unit: z.enum(['celsius', 'fahrenheit']) });
const Tides = z.object({ harbour: z.string(), moments: z.array(z.string()), exact: z.boolean() });
const Lighthouse = z.object({
  place: z.object({ name: z.string(), latitude: z.number() }),
  light: z.enum(['fixed', 'flashing']),
  keepers: z.array(z.string()),
  automated: z.boolean(),
  note: z.string().nullable(),
});
const schemas = { weather: Weather, tides: Tides };
const weather = zodFunction({ name: 'weather', parameters: Weather });
const tides = zodFunction({ name: 'tides', parameters: Tides });

let stage;
before(async () => (stage = await startStage()));
after(() => stage.stop());

for (const kind of ['open', 'keyed']) {
  describe(`tools through the ${kind} gateway`, () => {
    let client;
    before(() => (client = stage.fronts[kind].client()));

    const calls = async (tools, tool_choice, options = {}) =>
      (await client.chat.completions.create({ model, messages, tools, tool_choice, ...options })).choices[0].message
        .tool_calls ?? [];

    it('calls required tools, several in parallel, with arguments that fit', async () => {
      const several = await calls([weather, tides], 'required');
      assert.deepEqual(several.map((call) => call.function.name).sort(), ['tides', 'weather']);
      assert.equal(new Set(several.map((call) => call.id)).size, 2);
      for (const call of several) schemas[call.function.name].parse(JSON.parse(call.function.arguments));
      assert.equal((await calls([weather, tides], 'required', { parallel_tool_calls: false })).length, 1);
    });

    it('calls the tool that is named, and none where none is wanted', async () => {
      const [named] = await calls([weather, tides], { type: 'function', function: { name: 'tides' } });
      assert.equal(named.function.name, 'tides');
      assert.deepEqual(await calls([weather], 'none'), []);
    });

    it('streams calls that gather to those given whole', async () => {
      const stream = client.chat.completions.stream({ model, messages, tools: [weather, tides], tool_choice: 'required' });
      const gathered = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
      const expected = await calls([weather, tides], 'required');
      assert.deepEqual(
        gathered.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
        expected.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
      );
    });

    it('drives the tool loop of runTools to its answer', async () => {
      const asked = [];
      const look = (place) => {
        asked.push(place);
        return 'calm, 14 °C';
      };
      const tool = zodFunction({ name: 'weather', parameters: Weather, function: look });
      // `auto`: with `required`, a model that obeys would call for ever.
      const runner = client.chat.completions.runTools({ model, messages, tools: [tool], tool_choice: 'auto' });
      assert.ok(await runner.finalContent());
      for (const place of asked) Weather.parse(place);
    });

    it('gives JSON, and instances of a schema, whole and streamed', async () => {
      const json = await client.chat.completions.create({ model, messages, response_format: { type: 'json_object' } });
      assert.equal(typeof JSON.parse(json.choices[0].message.content), 'object');

      const response_format = zodResponseFormat(Lighthouse, 'lighthouse');
      const parsed = (await client.chat.completions.parse({ model, messages, response_format })).choices[0].message.parsed;
      Lighthouse.parse(parsed);
      const streamed = await client.chat.completions.stream({ model, messages, response_format }).finalChatCompletion();
      assert.deepEqual(streamed.choices[0].message.parsed, parsed);
    });
  });
}
