"""Embeddings in both encodings."""

from __future__ import annotations

import math

import openai
import pytest

MODEL = "mock/embed"


def embed(client, text, **options) -> list[float]:
    return client.embeddings.create(model=MODEL, input=text, **options).data[0].embedding


def cosine(left: list[float], right: list[float]) -> float:
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return dot / (math.hypot(*left) * math.hypot(*right))


def test_both_encodings_give_one_vector(client):
    # The SDK asks for base64 by itself and decodes it.
    packed = embed(client, "the tide turns")
    plain = embed(client, "the tide turns", encoding_format="float")
    assert packed == pytest.approx(plain, abs=1e-6)
    assert math.hypot(*plain) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_dimensions_are_honoured(client, encoding):
    reply = client.embeddings.create(model=MODEL, input="a", dimensions=64, encoding_format=encoding)
    vector = reply.data[0].embedding
    # Asked for base64 by name, the SDK hands over the text: 64 floats of 4 bytes in groups of 3.
    assert len(vector) == (64 if encoding == "float" else math.ceil(64 * 4 / 3) * 4)


def test_several_texts_come_in_order(client):
    reply = client.embeddings.create(model=MODEL, input=["ebb", "flow", "slack"])
    assert reply.object == "list"
    assert [row.index for row in reply.data] == [0, 1, 2]
    assert reply.data[1].embedding == pytest.approx(embed(client, "flow"), abs=1e-6)
    assert reply.usage.prompt_tokens > 0 and reply.usage.total_tokens == reply.usage.prompt_tokens


def test_near_texts_have_near_vectors(client):
    text = embed(client, "the harbour master opens the gate at high tide")
    near = embed(client, "the harbour master opens a gate at high tide")
    far = embed(client, "seven accountants reviewed quarterly invoices")
    assert cosine(text, near) > cosine(text, far) + 0.2


def test_tokens_are_taken_as_well_as_text(client):
    assert client.embeddings.create(model=MODEL, input=[12, 7, 1999]).data[0].embedding


async def test_the_async_client_embeds(client, async_client):
    reply = await async_client.embeddings.create(model=MODEL, input="the tide turns")
    assert reply.data[0].embedding == embed(client, "the tide turns")


def test_a_missing_input_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/embeddings", body={"model": MODEL}, cast_to=object)
    assert caught.value.param == "input"
