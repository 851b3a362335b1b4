"""What is never remembered: whatever failed, broke off, refused or left something out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support import configuration
from support.prompts import directive
from support.raw import Response, complete, events
from support.remembering import HIT, again, question, spoken, streamed, told
from support.upstream import STREAM, STREAM_HEAD, Request, Upstream, chunk, completion, frame, reply, reset

# Errors

STATUSES = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529]
FAULTS = {
    **{f"status {status}": {"status": status} for status in STATUSES},
    "a reset": {"reset": True},
    "a reset in the body": {"reset_after": 60},
    "garbage": {"garbage": True},
    "garbage in the middle": {"garbage_after": 2},
    "a cut": {"cut_after": 2},
}
STREAM_FAULTS = {
    "an error frame": {"error_frame_after": 3},
    "no end": {"no_done": True},
    "a late reset": {"reset_after": 900},
    "a late cut": {"cut_after": 5},
}


def failed(response: Response) -> bool:
    """Whether the caller was told of a failure: by the status, or by an error event that ends the stream."""
    if response.status >= 400:
        return True
    told = events(response.body)
    return "[DONE]" not in told and "error" in json.loads(told[-1])


def asked_twice(caller, fault: dict, stream: bool, model: str) -> None:
    """Asks what fails twice: the provider is asked for each."""
    body = question(model, directive(**fault), stream=stream)
    calls = 0
    for _ in range(2):
        response = again(lambda: caller.ask(body))
        assert failed(response), response.body
        assert told(response) in (None, "miss")
        assert response.header("age") is None
        assert len(caller.calls) > calls, "the provider is asked again"
        calls = len(caller.calls)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_failure_is_not_remembered(caller, fault, stream):
    asked_twice(caller, fault, stream, "mock/instant")


@pytest.mark.parametrize("fault", STREAM_FAULTS.values(), ids=STREAM_FAULTS.keys())
def test_a_stream_that_fails_late_is_not_remembered(caller, fault):
    asked_twice(caller, fault, True, "mock/instant")


@pytest.mark.parametrize("fault", [{"hang": True}, {"hang_after": 1}], ids=["before its head", "in its body"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_is_late_is_not_remembered(caller, fault, stream):
    asked_twice(caller, fault, stream, "hasty/instant")


# Answers that are complete, and yet not worth keeping

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
STREAMED_CALL = {"index": 0, **CALL}
# What is said, whole and as a delta; how it ends; and the policies under which it is kept.
SAID = {
    "an answer": ({"content": "Yes."}, "stop", {"strict", "cut", "calls"}),
    "an answer cut at its limit": ({"content": "Yes, beca"}, "length", {"cut"}),
    "a call": ({"content": None, "tool_calls": [CALL]}, "tool_calls", {"calls"}),
    "a call of the old form": (
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        "function_call",
        {"calls"},
    ),
    "a filtered answer": ({"content": "Yes."}, "content_filter", set()),
    "a refusal": ({"content": None, "refusal": "I will not."}, "stop", set()),
    "nothing": ({"content": ""}, "stop", set()),
    "no content": ({"content": None}, "stop", set()),
    "an error at its end": ({"content": "Yes."}, "error", set()),
    "an end of the provider's own": ({"content": "Yes."}, "tired", set()),
    "no end": ({"content": "Yes."}, None, set()),
}
POLICIES = {"strict": "", "cut": "truncated = true", "calls": "tool_calls = true"}


def says(message: dict, finish: str | None) -> Callable:
    """A provider that always says this, whole and as a stream."""

    def answer(connection, request: Request) -> None:
        if request.json().get("stream"):
            delta = {k: [STREAMED_CALL] if k == "tool_calls" else v for k, v in message.items()}
            frames = [frame({"role": "assistant"}), frame(delta), frame({}, finish), b"data: [DONE]\n\n"]
            connection.sendall(streamed(*frames))
            return
        whole = json.loads(completion())
        whole["choices"] = [
            {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        ]
        connection.sendall(reply("200 OK", json.dumps(whole).encode()))

    return answer


@pytest.mark.parametrize(("message", "finish", "kept"), SAID.values(), ids=SAID.keys())
def test_an_answer_is_kept_where_it_is_worth_it(launch, message, finish, kept):
    with Upstream(says(message, finish)) as upstream:
        aliases = [configuration.alias(name, ("up/m", 1), cache=rule) for name, rule in POLICIES.items()]
        gateway = launch(configuration.provider("up", upstream.port), *aliases)
        for model in POLICIES:
            for stream in (False, True):
                body = question(model, stream=stream)
                before = len(upstream.requests)
                answers = [again(lambda: complete(gateway.port, body)) for _ in range(3)]
                assert {response.body for response in answers} == {answers[0].body}
                hits = [told(response) == HIT for response in answers]
                expected = [False, True, True] if model in kept else [False, False, False]
                assert (hits, model, stream) == (expected, model, stream)
                assert len(upstream.requests) == before + 3 - sum(expected)


@pytest.mark.parametrize("name", ["an answer cut at its limit", "a call"])
def test_what_one_alias_keeps_is_not_for_one_who_would_not_keep_it(launch, name):
    message, finish, kept = SAID[name]
    with Upstream(says(message, finish)) as upstream:
        aliases = [configuration.alias(name, ("up/m", 1), cache=rule) for name, rule in POLICIES.items()]
        gateway = launch(configuration.provider("up", upstream.port), *aliases)
        (keeps,) = kept
        for stream in (False, True):
            body = question(keeps, stream=stream)
            complete(gateway.port, body)
            assert told(again(lambda: complete(gateway.port, body))) == HIT
            for model in {"up/m", *POLICIES} - kept:
                other = {**body, "model": model}
                for _ in range(2):
                    assert told(again(lambda: complete(gateway.port, other))) == "miss", model


def test_one_choice_of_several_that_is_not_worth_it_spoils_all(launch):
    def answer(connection, _request) -> None:
        whole = json.loads(completion())
        whole["choices"].append({**whole["choices"][0], "index": 1, "finish_reason": "content_filter"})
        connection.sendall(reply("200 OK", json.dumps(whole).encode()))

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", n=2)
        assert [told(again(lambda: complete(gateway.port, body))) for _ in range(2)] == ["miss", "miss"]


ODD = {
    "an error under 200": (b'{"error":{"message":"overloaded"},"choices":[]}', "/v1/chat/completions"),
    "no choice": (b'{"id":"c","object":"chat.completion","choices":[]}', "/v1/chat/completions"),
    "no choices": (b'{"id":"c","object":"chat.completion"}', "/v1/chat/completions"),
    "no vectors": (b'{"object":"list","data":[]}', "/v1/embeddings"),
    "an empty object": (b"{}", "/v1/embeddings"),
}


@pytest.mark.parametrize(("odd", "path"), ODD.values(), ids=ODD.keys())
def test_an_odd_answer_passes_and_is_not_remembered(launch, odd, path):
    with Upstream(lambda connection, _: connection.sendall(reply("200 OK", odd))) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", input="one text")
        for count in (1, 2):
            response = again(lambda: complete(gateway.port, body, path))
            assert (response.status, response.body, told(response)) == (200, odd, "miss")
            assert len(upstream.requests) == count


# Cuts

WHOLE_STREAM = b"".join(STREAM)
# Once `data: [DONE]` has come whole, nothing is missing but the line ends.
COMPLETE_FROM = len(WHOLE_STREAM) - 2


# What the body's framing says after the last byte, and what then becomes of the connection.
ENDS = {
    "closed": (b"0\r\n\r\n", lambda connection: None),
    "cut": (b"", lambda connection: connection.close()),
    "reset": (b"", reset),
}


@pytest.mark.parametrize(("last", "then"), ENDS.values(), ids=ENDS.keys())
def test_a_stream_cut_at_any_byte_is_never_remembered(launch, last, then):
    cut: int | None = 0

    def answer(connection, _request) -> None:
        if cut is None:
            connection.sendall(STREAM_HEAD + chunk(WHOLE_STREAM) + b"0\r\n\r\n")
            return
        connection.sendall(STREAM_HEAD + (chunk(WHOLE_STREAM[:cut]) if cut else b"") + last)
        then(connection)

    with Upstream(answer) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        for cut_here in range(COMPLETE_FROM):
            body = question("up/m", stream=True)
            before = len(upstream.requests)
            cut = cut_here
            assert failed(complete(gateway.port, body)), cut_here
            asked = len(upstream.requests)
            assert asked > before
            cut = None
            # In either form: nothing is made from what broke off.
            whole = again(lambda: complete(gateway.port, body))
            assert (whole.status, told(whole)) == (200, "miss"), cut_here
            assert events(whole.body)[-1] == "[DONE]"
            assert len(upstream.requests) == asked + 1, cut_here
        assert told(again(lambda: complete(gateway.port, body))) == HIT, "what is whole is remembered"


@pytest.mark.parametrize("form", ["with a length", "in chunks"])
def test_a_whole_answer_cut_at_any_byte_is_never_remembered(launch, form):
    cut: int | None = 0
    full = completion()

    def answer(connection, request) -> None:
        if cut is None:
            connection.sendall(spoken(request, "fine"))
        elif form == "with a length":
            connection.sendall(reply("200 OK", full)[: cut - len(full)])
            connection.close()
        else:
            head = STREAM_HEAD.replace(b"text/event-stream", b"application/json")
            connection.sendall(head + (chunk(full[:cut]) if cut else b"") + b"0\r\n\r\n")

    with Upstream(answer) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        for cut_here in range(len(full)):
            body = question("up/m")
            cut = cut_here
            broken = complete(gateway.port, body)
            assert broken.status == 502, (cut_here, broken.body)
            asked = len(upstream.requests)
            cut = None
            whole = again(lambda: complete(gateway.port, body))
            assert (whole.status, told(whole)) == (200, "miss"), cut_here
            assert len(upstream.requests) == asked + 1
        assert told(again(lambda: complete(gateway.port, body))) == HIT
