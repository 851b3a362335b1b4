"""Structured output: JSON mode, and instances of a schema by the SDK's own helpers."""

from __future__ import annotations

import json
from enum import StrEnum

from pydantic import BaseModel
from support.prompts import user

MODEL = "mock/instant"


class Light(StrEnum):
    fixed = "fixed"
    flashing = "flashing"


class Place(BaseModel):
    name: str
    latitude: float
    longitude: float


class Lighthouse(BaseModel):
    place: Place
    light: Light
    keepers: list[str]
    metres: int
    automated: bool
    note: str | None


def test_json_mode_gives_an_object(client):
    reply = client.chat.completions.create(
        model=MODEL, messages=user("Answer in JSON"), response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(reply.choices[0].message.content), dict)


def test_the_parse_helper_gives_an_instance(client):
    reply = client.chat.completions.parse(
        model=MODEL, messages=user("Describe a lighthouse"), response_format=Lighthouse
    )
    message = reply.choices[0].message
    assert isinstance(message.parsed, Lighthouse)
    assert message.parsed == Lighthouse.model_validate_json(message.content)


async def test_the_async_parse_helper_gives_an_instance(async_client):
    reply = await async_client.chat.completions.parse(
        model=MODEL, messages=user("Describe a lighthouse"), response_format=Lighthouse
    )
    assert isinstance(reply.choices[0].message.parsed, Lighthouse)


def test_the_stream_helper_gives_an_instance(client):
    with client.chat.completions.stream(
        model=MODEL, messages=user("Describe a lighthouse"), response_format=Lighthouse
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Lighthouse)
