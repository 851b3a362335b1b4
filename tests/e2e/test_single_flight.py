"""Identical requests under way at once are one call: whoever comes, leaves, or is in a hurry."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import configuration, simlog
from support.processes import listening
from support.prompts import directive
from support.raw import Connection, Response, complete, events
from support.remembering import (
    HIT,
    Caller,
    again,
    answers,
    crowd,
    gated,
    in_flight,
    numbered,
    question,
    spoken,
    streamed,
    text_of,
    told,
)
from support.upstream import STREAM, STREAM_HEAD, Upstream, chunk, frame, reply, reset
from support.waiting import wait_until

CROWD = 200
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def slow(stream: bool) -> dict:
    """A question whose answer takes its time: half a second to its first token, and as long to its end."""
    return question(content=directive(first_token="500ms", between_tokens="25ms", tokens=20), stream=stream)


def states(all_answers: list[Response]) -> Counter:
    """How often each word about the cache was said."""
    return Counter(told(response) for response in all_answers)


# Sharing


@FORMS
def test_a_crowd_costs_one_call(caller, stream):
    body = slow(stream)
    with crowd(caller.gateway, body, CROWD, x_request_id=caller.mark) as connections:
        all_answers = answers(connections)
    assert {response.status for response in all_answers} == {200}
    assert {response.body for response in all_answers} == {all_answers[0].body}
    if stream:
        assert events(all_answers[0].body)[-1] == "[DONE]"
    assert len(caller.calls) == 1
    seen = states(all_answers)
    assert seen["miss"] == 1
    # Whoever was read late may have come after the end.
    assert seen["coalesced"] + seen[HIT] == CROWD - 1 and seen["coalesced"] > 0
    assert told(caller.again(body)) == HIT


@FORMS
def test_a_crowd_that_comes_before_the_answer_shares_it(launch, stream):
    """Nobody is answered before all are there: one asked, all others share."""
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        with crowd(gateway, question("up/m", stream=stream), CROWD) as connections:
            gate.open.set()
            all_answers = answers(connections)
        assert len({response.body for response in all_answers}) == 1
        assert states(all_answers) == {"miss": 1, "coalesced": CROWD - 1}
        assert {response.header("age") for response in all_answers} == {None}
        assert {response.header("x-tidegate-attempts") for response in all_answers} == {"1"}
        assert len({response.header("x-request-id") for response in all_answers}) == CROWD
        assert len(upstream.requests) == 1


def test_who_joins_a_stream_late_gets_it_from_its_first_frame(launch):
    last = threading.Event()

    def answer(connection, _request) -> None:
        connection.sendall(STREAM_HEAD + b"".join(map(chunk, STREAM[:2])))
        last.wait(30)
        connection.sendall(b"".join(map(chunk, STREAM[2:])) + b"0\r\n\r\n")

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", stream=True)
        with crowd(gateway, body, 1) as (first,):
            first.response_head()
            assert b"Hello" in first.until(b"Hello")
            with crowd(gateway, body, 20) as late:
                for connection in late:
                    connection.response_head()
                    # While the stream is still under way.
                    connection.unread = connection.until(b"Hello") + connection.unread
                last.set()
                bodies = {b"".join(connection.chunks()) for connection in late}
        assert bodies == {b"".join(STREAM)}
        assert len(upstream.requests) == 1


def test_usage_is_for_those_of_a_crowd_who_asked_for_it(caller):
    body = slow(stream=True)
    with_usage = {**body, "stream_options": {"include_usage": True}}
    mark = {"x_request_id": caller.mark}
    with crowd(caller.gateway, body, 5, **mark) as without:
        with crowd(caller.gateway, with_usage, 5, **mark) as asked:
            told_usage, told_none = answers(asked), answers(without)
    last = [json.loads(events(response.body)[-2]) for response in told_usage]
    assert all(chunk["choices"] == [] and chunk["usage"]["total_tokens"] > 0 for chunk in last)
    assert all(b'"usage":{' not in response.body for response in told_none)
    assert len(caller.calls) == 1


def test_different_questions_are_different_calls(launch):
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        with crowd(gateway, question("up/m"), 10) as one, crowd(gateway, question("up/m"), 10) as other:
            gate.open.set()
            texts = {text_of(response) for response in answers(one) + answers(other)}
        assert texts == {"answer 1", "answer 2"}
        assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("options", "headers"),
    [({"temperature": None}, {}), ({}, {"cache-control": "no-store"}), ({"store": True}, {})],
    ids=["sampled", "no-store", "stateful"],
)
def test_who_may_not_be_answered_from_memory_shares_no_call(launch, options, headers):
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        with crowd(gateway, question("up/m", **options), 10, **headers) as connections:
            gate.open.set()
            texts = {text_of(response) for response in answers(connections)}
        assert len(texts) == 10 == len(upstream.requests)


def test_who_wants_it_fresh_does_not_share_a_call_that_began_without(launch):
    """`no-cache` shares with `no-cache`, and not with those whom a remembered answer would do."""
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m")
        with crowd(gateway, body, 5) as content, crowd(gateway, body, 5, cache_control="no-cache") as fresh:
            gate.open.set()
            assert len({text_of(response) for response in answers(content)}) == 1
            assert len({text_of(response) for response in answers(fresh)}) == 1
        assert len(upstream.requests) == 2


# Leaving


def hang_up(connection: Connection) -> None:
    connection.socket.close()


@FORMS
def test_the_first_may_leave_without_hurting_the_others(caller, stream):
    body = slow(stream)
    mark = {"x_request_id": caller.mark}
    with crowd(caller.gateway, body, 1, **mark) as (first,):
        simlog.asked(caller.mock, caller.mark)
        with crowd(caller.gateway, body, 20, **mark) as others:
            if stream:
                first.response_head()
                # Half-way: frames have come, the end has not.
                for _ in range(5):
                    first.until(b"\n\n")
            hang_up(first)
            all_answers = answers(others)
    expected = complete(caller.mock.port, {**body, "model": "instant", "stream": False})
    assert {response.status for response in all_answers} == {200}
    for response in all_answers:
        if stream:
            *data, last = events(response.body)
            assert last == "[DONE]"
            deltas = [json.loads(each)["choices"][0]["delta"].get("content") or "" for each in data]
            assert "".join(deltas) == text_of(expected)
        else:
            assert text_of(response) == text_of(expected)
    (call,) = caller.calls
    assert call["outcome"] == "done"
    assert told(caller.again(body)) == HIT, "and it is kept"


@FORMS
def test_the_call_ends_when_everybody_has_left(caller, stream):
    body = question(content=directive(first_token="20ms", between_tokens="20ms", tokens=2000), stream=stream)
    mark = {"x_request_id": caller.mark}
    with crowd(caller.gateway, body, 20, **mark) as connections:
        simlog.asked(caller.mock, caller.mark)
        if stream:
            for connection in connections:
                connection.response_head()
                connection.until(b"\n\n")
        for connection in connections[1:]:
            hang_up(connection)
        wait_until("one is left", lambda: in_flight(caller.gateway) <= 1)
        assert simlog.about(caller.mock, caller.mark)[0]["outcome"] is None, "one still listens"
        hang_up(connections[0])
        assert simlog.ended(caller.mock, caller.mark)["outcome"] == "cancelled"
    assert len(caller.calls) == 1


def test_what_everybody_left_is_fetched_anew(launch):
    let_go = threading.Event()

    def answer(connection, request) -> None:
        if len(upstream.requests) > 1:
            connection.sendall(spoken(request, "anew"))
            return
        connection.sendall(STREAM_HEAD + chunk(STREAM[0]) + chunk(STREAM[1]))
        if connection.recv(1) == b"":
            let_go.set()

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", stream=True)
        with crowd(gateway, body, 3) as connections:
            for connection in connections:
                connection.response_head()
                connection.until(b"Hello")
        assert let_go.wait(10), "the provider's call is ended"
        response = complete(gateway.port, body)
        assert told(response) == "miss" and b"anew" in response.body
        assert len(upstream.requests) == 2


# Failing

FAILURES = {
    "an internal error": lambda connection, _: connection.sendall(
        reply("500 Oops", b'{"error":{"message":"oops"}}')
    ),
    "a reset": lambda connection, _: reset(connection),
    "a rate limit": lambda connection, _: connection.sendall(reply("429 Slow", b"{}", "retry-after: 7")),
    "a fault of the request": lambda connection, _: connection.sendall(
        reply("400 Bad", b'{"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}}')
    ),
    "no JSON": lambda connection, _: connection.sendall(reply("200 OK", b"All is well.")),
}


@FORMS
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_releases_everybody_with_the_same_error(launch, fault, stream):
    with gated(fault) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", stream=stream)
        with crowd(gateway, body, CROWD) as connections:
            wait_until("the provider is asked", lambda: upstream.requests)
            calls = len(upstream.requests)
            assert calls == 1
            gate.open.set()
            all_answers = answers(connections)
        assert len({(response.status, response.body) for response in all_answers}) == 1
        assert all_answers[0].status >= 400 and all_answers[0].error()
        for name in ("retry-after", "x-should-retry", "x-tidegate-attempts"):
            assert len({response.header(name) for response in all_answers}) == 1, name
        assert all_answers[0].header("x-tidegate-attempts") != "0", "the provider was asked"
        assert told(again(lambda: complete(gateway.port, body))) in (None, "miss"), "nothing is kept of it"
        assert len(upstream.requests) > calls


def test_a_stream_that_breaks_tells_everybody_once(launch):
    broken = STREAM_HEAD + b"".join(map(chunk, STREAM[:3]))

    def answer(connection, _request) -> None:
        connection.sendall(broken)
        reset(connection)

    with gated(answer) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        with crowd(gateway, question("up/m", stream=True), 50) as connections:
            gate.open.set()
            all_answers = answers(connections)
        assert len({(response.status, response.body) for response in all_answers}) == 1
        if all_answers[0].status == 200:
            *data, last = events(all_answers[0].body)
            assert "error" in json.loads(last)
            assert not any("error" in json.loads(each) for each in data)
        else:
            assert all_answers[0].status == 502


# Being in a hurry


@FORMS
def test_a_hurry_of_one_s_own_ends_one_s_own_wait(launch, stream):
    """Whether of the first or of one who came later."""
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", stream=stream)
        hurry = {"x-tidegate-timeout-ms": "300"}
        with crowd(gateway, body, 1, **hurry) as first, crowd(gateway, body, 5) as patient:
            with crowd(gateway, body, 3, **hurry) as late:
                hurried = answers(first) + answers(late)
                assert {response.status for response in hurried} == {504}
                assert in_flight(gateway) >= len(patient), "the others wait on"
                gate.open.set()
                assert {response.status for response in answers(patient)} == {200}
        assert len(upstream.requests) == 1


@FORMS
def test_a_hurry_of_the_only_one_ends_the_call(caller, stream):
    body = question(content=directive(hang=True), stream=stream)
    response = caller.ask(body, x_tidegate_timeout_ms="300")
    assert response.status == 504 and response.error()["code"] == "deadline_passed"
    assert simlog.ended(caller.mock, caller.mark)["outcome"] == "cancelled"


def test_a_hurry_in_a_stream_ends_with_an_error_event(caller):
    body = question(content=directive(tokens=60, between_tokens="25ms"), stream=True)
    mark = {"x_request_id": caller.mark}
    with crowd(caller.gateway, body, 2, **mark) as patient:
        with crowd(caller.gateway, body, 2, x_tidegate_timeout_ms="400", **mark) as hurried:
            for response in answers(hurried):
                *_, last = events(response.body)
                assert response.status == 200 and "error" in json.loads(last)
        for response in answers(patient):
            assert response.status == 200 and events(response.body)[-1] == "[DONE]"
    assert len(caller.calls) == 1


def test_one_who_reads_nothing_holds_up_nobody(launch):
    """A stream longer than what is kept for those who lag: they are told that they lost it, the others get it
    all."""
    frames = [STREAM[0], *[frame({"content": "x" * 100_000})] * 200, *STREAM[-2:]]
    with Upstream(lambda connection, _: connection.sendall(streamed(*frames))) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        body = question("up/m", stream=True)
        with crowd(gateway, body, 1) as (idle,), crowd(gateway, body, 2) as reading:
            with ThreadPoolExecutor() as readers:
                bodies = list(readers.map(lambda each: each.response("POST").body, reading))
            told_idle = events(idle.response("POST").body)
    for each in bodies:
        assert each == b"".join(frames)
    assert told_idle[-1] != "[DONE]" and "error" in json.loads(told_idle[-1])


# Stopping


@FORMS
def test_a_crowd_is_answered_before_the_process_ends(launch, stream):
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        with crowd(gateway, question("up/m", stream=stream), 20) as connections:
            gateway.signal(signal.SIGTERM)
            wait_until("the listener is closed", lambda: not listening(gateway.port))
            gate.open.set()
            all_answers = answers(connections)
        assert {response.status for response in all_answers} == {200}
        assert len({response.body for response in all_answers}) == 1
        assert gateway.wait() == 0


# A storm


@FORMS
def test_waves_of_askers_cost_one_call_a_question(caller, stream):
    """Answers that come at once, so that asking, ending and keeping meet in every order."""
    for _ in range(100):
        caller = Caller(caller.gateway, caller.mock)
        data = json.dumps(question(stream=stream)).encode()

        def ask(_, caller=caller, data=data) -> None:
            with Connection(caller.gateway.port) as connection:
                for _ in range(3):
                    assert connection.post(data, x_request_id=caller.mark).status == 200

        with ThreadPoolExecutor(8) as askers:
            list(askers.map(ask, range(8)))
        assert len(caller.calls) == 1
