"""Chat completions, not streamed."""

from __future__ import annotations

import re

import pytest
from support.prompts import user

MODEL = "mock/instant"


def content_of(client, prompt: str, **options) -> str:
    reply = client.chat.completions.create(model=MODEL, messages=user(prompt), **options)
    return reply.choices[0].message.content


def test_a_completion_has_the_shape_the_sdk_promises(client):
    reply = client.chat.completions.create(model=MODEL, messages=user("What is a tide?"))
    assert reply.object == "chat.completion"
    assert reply.id and reply.model and reply.created > 0
    [choice] = reply.choices
    assert choice.index == 0 and choice.finish_reason in ("stop", "length")
    assert choice.message.role == "assistant" and choice.message.content.strip()
    usage = reply.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_the_async_client_gets_the_same_answer(client, async_client):
    reply = await async_client.chat.completions.create(model=MODEL, messages=user("What is a tide?"))
    assert reply.choices[0].message.content == content_of(client, "What is a tide?")


def test_one_prompt_and_seed_give_one_answer(client):
    first = content_of(client, "Name a river", seed=7)
    assert first == content_of(client, "Name a river", seed=7)
    assert first != content_of(client, "Name a mountain range", seed=7)


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_is_honoured(client, parameter):
    reply = client.chat.completions.create(model=MODEL, messages=user("Count"), **{parameter: 5})
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 5


def test_a_stop_word_ends_the_answer_before_it(client):
    whole = content_of(client, "Tell me about harbours")
    word = re.findall(r"\w{4,}", whole)[3]
    cut = client.chat.completions.create(model=MODEL, messages=user("Tell me about harbours"), stop=[word])
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].message.content == whole[: whole.index(word)]


def test_n_choices_come_in_order(client):
    reply = client.chat.completions.create(model=MODEL, messages=user("Think of a name"), n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in reply.choices)


def test_logprobs_spell_the_content(client):
    reply = client.chat.completions.create(
        model=MODEL, messages=user("A short word"), logprobs=True, top_logprobs=2, max_tokens=8
    )
    choice = reply.choices[0]
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_text_of_every_script_arrives_whole(client):
    prompt = 'naïve façade — 潮の満ち引き 🌊 \u0000-free \\ " \t end'
    assert content_of(client, prompt)


def test_a_conversation_of_parts_and_roles_is_passed_on(client):
    reply = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}],
            },
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "And now?"},
        ],
    )
    assert reply.choices[0].message.content


@pytest.mark.parametrize("alias", ["smart", "spread"])
def test_an_alias_answers_as_its_target_does(client, alias):
    reply = client.chat.completions.create(model=alias, messages=user("Name a river"))
    assert reply.choices[0].message.content == content_of(client, "Name a river")


def test_an_alias_spreads_its_calls_over_its_targets(client):
    seen = {
        client.chat.completions.with_raw_response.create(model="spread", messages=user("hi")).headers[
            "x-tidegate-target"
        ]
        for _ in range(40)
    }
    # Forty calls at even weights miss a target once in 10¹² runs, if they were drawn independently.
    assert seen == {"mock/instant", "hasty/instant"}


def test_the_response_headers_tell_who_answered_and_what_it_cost(client):
    raw = client.chat.completions.with_raw_response.create(model="smart", messages=user("hi"))
    headers = raw.headers
    assert headers["x-tidegate-target"] == "mock/instant"
    assert headers["x-tidegate-attempts"] == "1"
    assert float(headers["x-tidegate-overhead-ms"]) >= 0
    assert float(headers["x-process-time"]) >= 0
    assert headers["x-request-id"]
    assert raw.parse()._request_id == headers["x-request-id"]


def test_a_request_id_is_echoed(client):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=user("hi"), extra_headers={"x-request-id": "trace-4711"}
    )
    assert raw.headers["x-request-id"] == "trace-4711"


def test_the_built_in_provider_answers_beside_the_configured_ones(client):
    reply = client.chat.completions.create(model="sim/instant", messages=user("hi"))
    assert reply.choices[0].message.content


@pytest.mark.parametrize("path", ["", "/v1", "/openai/v1", "/openai", "/v1/"])
def test_any_usual_base_url_works(front, path):
    with front.client(path) as client:
        assert content_of(client, "hello")
        assert client.models.list().data
