"""Whole answers and streams are kept apart, and each is made from the other: read as OpenAI's SDK reads
them."""

from __future__ import annotations

import json

import openai
import pytest
from support import configuration
from support.prompts import directive
from support.raw import Response, complete, events
from support.remembering import CHAT, HIT, again, question, streamed, told
from support.upstream import Upstream, completion, frame, reply
from support.waiting import wait_until

WITH_USAGE = {"include_usage": True}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def chunks(response: Response) -> list[dict]:
    """The chunks of a stream that came to its end."""
    *data, last = events(response.body)
    assert last == "[DONE]"
    return [json.loads(each) for each in data]


def said(response: Response) -> str:
    """The text of an answer in either form."""
    if response.header("content-type") == "application/json":
        return response.json()["choices"][0]["message"]["content"]
    deltas = [choice["delta"] for chunk in chunks(response) for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def usage(response: Response) -> dict | None:
    """What an answer in either form says it cost. In a stream, a chunk of its own says it, before the end."""
    if response.header("content-type") == "application/json":
        return response.json()["usage"]
    telling = [chunk for chunk in chunks(response) if chunk.get("usage")]
    assert telling in ([], [chunks(response)[-1]])
    assert all(chunk["choices"] == [] for chunk in telling)
    return telling[0]["usage"] if telling else None


@pytest.mark.parametrize("options", [None, WITH_USAGE], ids=["without usage", "with usage"])
@pytest.mark.parametrize("stored", [None, WITH_USAGE], ids=["kept without usage", "kept with usage"])
def test_a_stream_is_replayed_with_usage_for_those_who_ask(caller, stored, options):
    body = question(stream=True)
    first = caller.ask({**body, "stream_options": stored})
    second = caller.again({**body, "stream_options": options})
    assert (told(first), told(second)) == ("miss", HIT)
    assert said(second) == said(first) != ""
    assert bool(usage(first)) == bool(stored) and bool(usage(second)) == bool(options)
    if stored == options:
        assert second.body == first.body
    assert len(caller.calls) == 1


@pytest.mark.parametrize("options", [None, WITH_USAGE], ids=["without usage", "with usage"])
@pytest.mark.parametrize("length", [8, 300, 9000], ids=["short", "long", "very long"])
def test_a_stream_is_made_from_a_whole_answer(caller, options, length):
    body = question(content=directive(bytes=length))
    whole = caller.ask(body)
    stream = caller.again({**body, "stream": True, "stream_options": options})
    assert (told(whole), told(stream)) == ("miss", HIT)
    assert stream.header("content-type") == "text/event-stream"
    assert int(stream.header("age")) >= 0
    assert said(stream) == said(whole)
    assert usage(stream) == (usage(whole) if options else None)
    assert {chunk["object"] for chunk in chunks(stream)} == {"chat.completion.chunk"}
    assert {chunk["id"] for chunk in chunks(stream)} == {whole.json()["id"]}
    # From then on it is kept as it is.
    assert caller.again({**body, "stream": True, "stream_options": options}).body == stream.body
    assert len(caller.calls) == 1


@pytest.mark.parametrize("options", [None, WITH_USAGE], ids=["without usage", "with usage"])
def test_a_whole_answer_is_made_from_a_stream(caller, options):
    body = question()
    stream = caller.ask({**body, "stream": True, "stream_options": options})
    whole = caller.again(body)
    assert (told(stream), told(whole)) == ("miss", HIT)
    assert whole.header("content-type") == "application/json"
    assert said(whole) == said(stream)
    assert usage(whole)["total_tokens"] > 0
    assert len(caller.calls) == 1
    # And it is what the provider itself would have said.
    direct = complete(caller.mock.port, {**body, "model": "instant"}).json()
    assert whole.json()["choices"][0]["message"] == direct["choices"][0]["message"]
    assert whole.json()["usage"] == direct["usage"]


def test_what_is_made_is_as_old_as_what_it_is_made_from(caller):
    """A life of a second ends for both, though the second was made later."""
    body = question("brief")
    assert told(caller.ask(body)) == "miss"
    assert told(caller.again({**body, "stream": True})) == HIT
    wait_until("the whole is gone", lambda: told(caller.ask(body, x_tidegate_cache_ttl="0")) == "miss")
    wait_until("the stream is gone", lambda: told(caller.ask({**body, "stream": True})) == "miss")


def test_legacy_completions_change_their_form_too(caller):
    body = {"model": "mock/instant", "prompt": question()["messages"][0]["content"], "temperature": 0}
    whole = caller.ask(body, "/v1/completions")
    stream = caller.again({**body, "stream": True}, "/v1/completions")
    assert (told(whole), told(stream)) == ("miss", HIT)
    text = "".join(choice["text"] for chunk in chunks(stream) for choice in chunk["choices"])
    assert text == whole.json()["choices"][0]["text"] != ""
    assert len(caller.calls) == 1


def test_what_cannot_be_made_is_fetched(launch):
    """Two deltas that do not fit together are no whole answer; as a stream they are the caller's to read."""
    frames = [frame({"content": "one"}), frame({"content": {"odd": 1}}), frame({}, "stop"), b"data: [DONE]\n\n"]

    def answer(connection, request) -> None:
        stream = request.json().get("stream")
        connection.sendall(streamed(*frames) if stream else reply("200 OK", completion("fetched")))

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m")
        assert complete(gateway.port, {**body, "stream": True}).status == 200
        whole = again(lambda: complete(gateway.port, body))
        assert (told(whole), said(whole)) == ("miss", "fetched")
        assert len(upstream.requests) == 2



# As OpenAI's SDK reads it


@pytest.fixture
def client(remembering):
    with openai.OpenAI(base_url=remembering.url + "/v1", api_key="any", max_retries=0) as client:
        yield client


def whole_by_sdk(client, body: dict):
    """The completion, and what was said of the cache."""
    raw = client.chat.completions.with_raw_response.create(**body)
    return raw.parse(), raw.headers["x-tidegate-cache"]


def stream_by_sdk(client, body: dict):
    """The completion that the SDK puts together from the chunks of a stream."""
    with client.chat.completions.stream(**body, stream_options=WITH_USAGE) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


ASKED = {
    "text": {},
    "several choices": {"n": 3},
    "log-probabilities": {"logprobs": True, "top_logprobs": 2},
    "an object": {"response_format": {"type": "json_object"}},
    "calls": {"model": "calls", "tools": [TOOL], "tool_choice": "required"},
    "text beyond ASCII": {"content": 'quote "these" \\ and \u2028 these: ☃ 🌊\n'},
}


@pytest.mark.parametrize("options", ASKED.values(), ids=ASKED.keys())
@pytest.mark.parametrize("stream_first", [True, False], ids=["whole after stream", "stream after whole"])
def test_the_sdk_reads_the_same_in_both_forms(client, mock, options, stream_first):
    body = question(**{"model": "strict", **options})

    def asked(stream: bool):
        return stream_by_sdk(client, body) if stream else whole_by_sdk(client, body)[0]

    first, second = asked(stream_first), asked(not stream_first)
    # Each once more, now from memory in its own form.
    assert whole_by_sdk(client, body)[1] == HIT
    for other in (second, asked(True), asked(False)):
        assert other.id == first.id and other.usage == first.usage
        for mine, theirs in zip(first.choices, other.choices, strict=True):
            assert mine.finish_reason == theirs.finish_reason
            assert mine.message.content == theirs.message.content
            assert logprobs(mine) == logprobs(theirs)
            assert calls(mine) == calls(theirs)
    assert first.choices[0].message.content or first.choices[0].message.tool_calls
    direct = complete(mock.port, {**body, "model": "instant"}, CHAT).json()
    assert [choice.message.content for choice in first.choices] == [
        choice["message"]["content"] for choice in direct["choices"]
    ]


def logprobs(choice) -> list | None:
    found = choice.logprobs and choice.logprobs.content
    return [(token.token, token.logprob, len(token.top_logprobs)) for token in found] if found else None


def calls(choice) -> list:
    return [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in choice.message.tool_calls or []
    ]
