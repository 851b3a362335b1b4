"""Chat completions as streams: frames, usage, helpers, many at once."""

from __future__ import annotations

import asyncio
import json

from support.prompts import scripted, user
from support.raw import events

MODEL = "mock/instant"


def whole(client, messages, **options):
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


def test_a_stream_spells_the_answer_that_is_given_whole(client):
    messages = user("Describe a lighthouse")
    chunks = list(whole(client, messages, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole(client, messages).choices[0].message.content


async def test_the_async_client_streams(client, async_client):
    messages = user("Describe a lighthouse")
    stream = await async_client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == whole(client, messages).choices[0].message.content


def test_usage_comes_last_and_alone_to_a_caller_that_asks(client):
    messages = user("Describe a lighthouse")
    *frames, last = whole(client, messages, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage == whole(client, messages).usage
    assert all(frame.choices and frame.usage is None for frame in frames)


def test_no_usage_frame_reaches_a_caller_that_does_not_ask(client):
    for options in ({}, {"stream_options": {"include_usage": False}}):
        chunks = list(whole(client, user("Describe a lighthouse"), stream=True, **options))
        assert all(chunk.choices for chunk in chunks)
        assert all(chunk.usage is None for chunk in chunks)


def test_the_stream_helper_gathers_the_completion(client):
    messages = user("Describe a lighthouse")
    with client.chat.completions.stream(model=MODEL, messages=messages) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content
    assert final.choices[0].message.content == whole(client, messages).choices[0].message.content


def test_several_choices_are_streamed_apart(client):
    messages = user("Think of a name")
    spoken = {0: "", 1: "", 2: ""}
    for chunk in whole(client, messages, stream=True, n=3):
        for choice in chunk.choices:
            spoken[choice.index] += choice.delta.content or ""
    expected = whole(client, messages, n=3)
    assert spoken == {choice.index: choice.message.content for choice in expected.choices}


def test_the_frames_are_such_as_every_sdk_reads(client):
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=user("Describe a lighthouse"), stream=True
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"]
        assert response.headers["x-tidegate-target"] == "mock/instant"
        data = events(response.read())
    assert data[-1] == "[DONE]"
    assert all(json.loads(each)["object"] == "chat.completion.chunk" for each in data[:-1])


async def test_sixty_four_streams_at_once_are_each_right(client, async_client):
    def messages(number: int) -> list[dict]:
        # Slow enough that all are open together: 24 tokens, 10 ms apart.
        return scripted(f"Story number {number}", tokens=24, between_tokens="10ms")

    ready = asyncio.Barrier(64)

    async def stream(number: int) -> str:
        parts = []
        chunks = await async_client.chat.completions.create(
            model=MODEL, messages=messages(number), stream=True
        )
        # No stream is read before every one has been opened.
        await ready.wait()
        async for chunk in chunks:
            parts.append(chunk.choices[0].delta.content or "")
        return "".join(parts)

    async def complete(number: int) -> str:
        reply = await async_client.chat.completions.create(model=MODEL, messages=messages(number))
        return reply.choices[0].message.content

    streamed = await asyncio.gather(*map(stream, range(64)))
    expected = await asyncio.gather(*map(complete, range(64)))
    assert streamed == expected
    assert len(set(streamed)) > 32, "the stories are told apart by their prompts"
