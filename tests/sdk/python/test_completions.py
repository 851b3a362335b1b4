"""Legacy text completions."""

from __future__ import annotations

MODEL = "mock/instant"
PROMPT = "Once upon a tide"


def test_a_text_completion_has_the_shape_the_sdk_promises(client):
    reply = client.completions.create(model=MODEL, prompt=PROMPT)
    assert reply.object == "text_completion"
    [choice] = reply.choices
    assert choice.text and choice.finish_reason in ("stop", "length")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_spells_the_text_that_is_given_whole(client):
    chunks = list(client.completions.create(model=MODEL, prompt=PROMPT, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    text = "".join(chunk.choices[0].text for chunk in chunks)
    assert text == client.completions.create(model=MODEL, prompt=PROMPT).choices[0].text


def test_usage_comes_last_to_a_caller_that_asks(client):
    *_, last = client.completions.create(
        model=MODEL, prompt=PROMPT, stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert last.usage == client.completions.create(model=MODEL, prompt=PROMPT).usage


def test_a_token_limit_is_honoured(client):
    reply = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=3)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 3


def test_n_texts_come_in_order(client):
    reply = client.completions.create(model=MODEL, prompt=PROMPT, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
