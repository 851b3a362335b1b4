"""Tools: chosen, several at once, named, streamed, and their answers handed back."""

from __future__ import annotations

import json
from enum import StrEnum

import openai
import pytest
from pydantic import BaseModel, Field
from support.prompts import user

MODEL = "mock/instant"


class Unit(StrEnum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Weather(BaseModel):
    """The weather at a place."""

    city: str
    days: int = Field(ge=1, le=7)
    unit: Unit


class Tides(BaseModel):
    """High and low water at a harbour."""

    harbour: str
    moments: list[str]
    exact: bool


WEATHER = openai.pydantic_function_tool(Weather)
TIDES = openai.pydantic_function_tool(Tides)
MODELS = {"Weather": Weather, "Tides": Tides}


def call(client, tools: list, choice, **options):
    return client.chat.completions.create(
        model=MODEL, messages=user("How is the sea at Brest?"), tools=tools, tool_choice=choice, **options
    )


def assert_conforms(name: str, arguments: str) -> None:
    """The arguments are JSON, and an instance of the named tool's schema."""
    MODELS[name].model_validate_json(arguments)


def test_a_required_tool_is_called_with_arguments_that_fit_it(client):
    choice = call(client, [WEATHER], "required").choices[0]
    assert choice.finish_reason == "tool_calls"
    [tool] = choice.message.tool_calls
    assert tool.type == "function" and tool.id
    assert tool.function.name == "Weather"
    assert_conforms(tool.function.name, tool.function.arguments)


def test_several_required_tools_are_called_in_parallel(client):
    calls = call(client, [WEATHER, TIDES], "required").choices[0].message.tool_calls
    assert {tool.function.name for tool in calls} == {"Weather", "Tides"}
    assert len({tool.id for tool in calls}) == len(calls)
    for tool in calls:
        assert_conforms(tool.function.name, tool.function.arguments)


def test_a_caller_may_forbid_parallel_calls(client):
    [tool] = (
        call(client, [WEATHER, TIDES], "required", parallel_tool_calls=False).choices[0].message.tool_calls
    )
    assert_conforms(tool.function.name, tool.function.arguments)


def test_a_named_tool_is_the_one_called(client):
    named = {"type": "function", "function": {"name": "Tides"}}
    [tool] = call(client, [WEATHER, TIDES], named).choices[0].message.tool_calls
    assert tool.function.name == "Tides"
    assert_conforms("Tides", tool.function.arguments)


def test_none_means_words(client):
    choice = call(client, [WEATHER], "none").choices[0]
    assert not choice.message.tool_calls and choice.message.content


def test_auto_gives_words_or_a_call_that_fits(client):
    choice = call(client, [WEATHER], "auto").choices[0]
    for tool in choice.message.tool_calls or []:
        assert_conforms(tool.function.name, tool.function.arguments)
    assert choice.message.tool_calls or choice.message.content


def test_the_parse_helper_reads_the_arguments(client):
    reply = client.chat.completions.parse(
        model=MODEL, messages=user("How is the sea?"), tools=[WEATHER], tool_choice="required"
    )
    [tool] = reply.choices[0].message.tool_calls
    assert isinstance(tool.function.parsed_arguments, Weather)


@pytest.mark.parametrize("tools", [[WEATHER], [WEATHER, TIDES]], ids=["one", "parallel"])
def test_streamed_calls_gather_to_those_given_whole(client, tools):
    gathered: dict[int, dict] = {}
    for chunk in call(client, tools, "required", stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            entry = gathered.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
            # Name and id come once: a client that adds up deltas would double them.
            entry["id"] += part.id or ""
            entry["name"] += part.function.name or ""
            entry["arguments"] += part.function.arguments or ""
    expected = call(client, tools, "required").choices[0].message.tool_calls
    assert len(gathered) == len(expected)
    for index, tool in enumerate(expected):
        assert gathered[index]["id"]
        assert gathered[index]["name"] == tool.function.name
        assert json.loads(gathered[index]["arguments"]) == json.loads(tool.function.arguments)
        assert_conforms(tool.function.name, gathered[index]["arguments"])


def test_the_stream_helper_parses_tool_calls(client):
    with client.chat.completions.stream(
        model=MODEL, messages=user("How is the sea?"), tools=[WEATHER], tool_choice="required"
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert [event.name for event in done] == ["Weather"]
    assert isinstance(final.choices[0].message.tool_calls[0].function.parsed_arguments, Weather)


def test_a_tool_s_answer_leads_to_words(client):
    messages = user("How is the sea at Brest?")
    asked = (
        client.chat.completions.create(
            model=MODEL, messages=messages, tools=[WEATHER], tool_choice="required"
        )
        .choices[0]
        .message
    )
    messages += [
        asked.model_dump(exclude_none=True),
        *({"role": "tool", "tool_call_id": tool.id, "content": "calm, 14 °C"} for tool in asked.tool_calls),
    ]
    reply = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert reply.choices[0].message.content
