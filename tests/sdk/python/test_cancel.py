"""Callers who leave: the provider's call ends at once, streaming or not."""

from __future__ import annotations

import asyncio
import uuid
from statistics import median

import openai
import pytest
from support import simlog
from support.prompts import named, scripted, user

MODEL = "mock/instant"
CANCELLED_MS_MAX = 100
ROUNDS = 9


def cancelled_ms(front, leave) -> float:
    """How long after a caller left the provider's call had ended, by the provider's own clock.

    A request of ours straight to the provider marks the moment of leaving, so that no other clock comes in.
    """
    mark, moment = uuid.uuid4().hex, uuid.uuid4().hex
    with openai.OpenAI(base_url=front.mock.url + "/v1", api_key="direct", max_retries=0) as direct:
        # The connection is open before the moment that it marks.
        direct.models.list()
        leave(mark)
        direct.chat.completions.create(model="instant", messages=user("now"), **named(moment))
    gone, marker = simlog.ended(front.mock, mark), simlog.ended(front.mock, moment)
    assert gone["outcome"] == "cancelled", gone
    return gone["ended_ms"] - marker["received_ms"]


def assert_prompt(delays: list[float]) -> None:
    # The median, so that one pause of the machine does not fail us; every single one was seen, or `ended` had failed.
    assert median(delays) <= CANCELLED_MS_MAX, delays


def long_stream(mark: str) -> dict:
    messages = scripted(tokens=2000, between_tokens="20ms")
    return {"model": MODEL, "messages": messages, "stream": True, **named(mark)}


def test_a_stream_left_mid_way_ends_at_the_provider(front, client):
    def leave(mark: str) -> None:
        stream = client.chat.completions.create(**long_stream(mark))
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()

    assert_prompt([cancelled_ms(front, leave) for _ in range(ROUNDS)])


def test_an_async_stream_left_mid_way_ends_at_the_provider(front):
    def leave(mark: str) -> None:
        async def read_a_little() -> None:
            async with front.async_client() as client:
                async with await client.chat.completions.create(**long_stream(mark)) as stream:
                    async for chunk in stream:
                        if chunk.choices[0].delta.content:
                            break

        asyncio.run(read_a_little())

    assert_prompt([cancelled_ms(front, leave) for _ in range(ROUNDS)])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_left_before_its_answer_ends_at_the_provider(front, stream):
    def leave(mark: str) -> None:
        async def give_up() -> None:
            async with front.async_client() as client:
                hanging = client.chat.completions.create(
                    model=MODEL, messages=scripted(hang=True), stream=stream, **named(mark)
                )
                call = asyncio.create_task(hanging)
                await asyncio.to_thread(simlog.asked, front.mock, mark)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

        asyncio.run(give_up())

    assert_prompt([cancelled_ms(front, leave) for _ in range(ROUNDS)])


def test_a_client_s_own_timeout_ends_the_call_at_the_provider(front):
    mark = uuid.uuid4().hex
    with front.client(timeout=0.3) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=MODEL, messages=scripted(hang=True), **named(mark))
    assert simlog.ended(front.mock, mark)["outcome"] == "cancelled"


def test_a_caller_who_leaves_disturbs_nobody_else(front, client):
    mark = uuid.uuid4().hex
    leaver = client.chat.completions.create(**long_stream(mark))
    stayer = client.chat.completions.create(
        model=MODEL, messages=scripted("stay", tokens=30, between_tokens="10ms"), stream=True
    )
    next(iter(leaver))
    leaver.close()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stayer)
    expected = client.chat.completions.create(
        model=MODEL, messages=scripted("stay", tokens=30, between_tokens="10ms")
    )
    assert text == expected.choices[0].message.content
    assert simlog.ended(front.mock, mark)["outcome"] == "cancelled"
