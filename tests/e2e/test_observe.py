"""What is seen of requests: each one's way, and the search for it, in `/admin/requests`.

Times are the machine's; what is checked is which steps there were and in which order.
"""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from support import configuration, processes
from support.prompts import directive
from support.raw import Connection, ask, chat, complete, events
from support.upstream import Upstream, fails
from support.waiting import wait_until

SLOW_SECONDS = 0.3


@pytest.fixture
def mark() -> str:
    """An id that no other request has."""
    return f"req-{uuid.uuid4().hex}"


@pytest.fixture
def gateway(launch):
    """A gateway that calls slow whatever takes longer than a moment."""
    return launch(
        configuration.table("observe", slow=f"{int(SLOW_SECONDS * 1000)}ms"),
        configuration.alias("smart", ("sim/instant", 1)),
    )


def search(gateway, **which) -> dict:
    """What `/admin/requests` finds."""
    response = ask(gateway.admin_port, "GET", f"/admin/requests?{urlencode(which)}")
    assert response.status == 200, response.body
    return response.json()


def found(gateway, **which) -> list[str]:
    """The ids of what is found."""
    return [row["id"] for row in search(gateway, **which)["requests"]]


def whole(gateway, request_id: str) -> dict:
    """One request with its waterfall."""
    response = ask(gateway.admin_port, "GET", f"/admin/requests/{request_id}")
    assert response.status == 200, response.body
    return response.json()


def steps(request: dict) -> list[str]:
    """The names of the steps, in order; each has begun and ended within the request."""
    for step in request["waterfall"]:
        assert 0 <= step["from_ms"] <= request["total_ms"], step
        assert step["to_ms"] is None or step["from_ms"] <= step["to_ms"] <= request["total_ms"], step
    return [step["step"] for step in request["waterfall"]]


def tries(request: dict) -> list[tuple[str, str]]:
    """Who was asked, and what came of it."""
    return [(step["target"], step["result"]) for step in request["waterfall"] if step["step"] == "attempt"]


def metrics(gateway) -> int:
    """How many series `/metrics` has."""
    text = ask(gateway.admin_port, "GET", "/metrics").body.decode()
    return sum(not line.startswith("#") for line in text.splitlines())


def remembered(content: str) -> dict:
    """A question whose answer is kept."""
    return chat("smart", content, temperature=0)


# The way of each


def test_a_miss_and_its_hit(gateway, mark):
    body = remembered(mark)
    assert complete(gateway.port, body, x_request_id=mark).status == 200
    miss = whole(gateway, mark)
    assert steps(miss) == ["identify", "read", "plan", "memory", "tiers", "queue", "attempt", "answer"]
    assert tries(miss) == [("sim/instant", "ok")]
    assert (miss["cache"], miss["target"], miss["attempts"]) == ("miss", "sim/instant", 1)
    assert (miss["status"], miss["outcome"], miss["error"]) == (200, "ok", None)
    assert (miss["operation"], miss["route"], miss["alias"]) == ("chat", "smart", "smart")
    assert miss["tokens"]["input"] > 0 and miss["tokens"]["output"] > 0
    assert miss["total_ms"] >= miss["overhead_ms"] > 0

    assert complete(gateway.port, body, x_request_id=f"{mark}-2").status == 200
    hit = whole(gateway, f"{mark}-2")
    assert steps(hit) == ["identify", "read", "plan", "memory", "answer"]
    assert (hit["cache"], hit["target"], hit["attempts"]) == ("hit; tier=memory", None, 0)
    assert hit["tokens"] == {"input": 0, "output": 0, "cached_input": 0}


def test_what_is_not_looked_up_is_asked_directly(gateway, mark):
    assert complete(gateway.port, chat("sim/instant", temperature=1), x_request_id=mark).status == 200
    request = whole(gateway, mark)
    assert steps(request) == ["identify", "read", "plan", "queue", "attempt", "answer"]
    assert request["cache"] == "bypass; reason=temperature"
    assert (request["route"], request["alias"]) == ("sim/instant", None)


@pytest.mark.parametrize("temperature", [0, 1], ids=["by a flight", "directly"])
def test_a_stream_has_a_first_token_and_an_end(gateway, mark, temperature):
    said = directive(first_token="50ms", between_tokens="5ms", tokens=20)
    body = chat("sim/fast", f"{mark} {said}", stream=True, temperature=temperature)
    response = complete(gateway.port, body, x_request_id=mark)
    assert events(response.body)[-1] == "[DONE]"
    request = whole(gateway, mark)
    assert steps(request)[-2:] == ["first_token", "stream"]
    assert tries(request) == [("sim/fast", "ok")]
    assert request["stream"] and 50 <= request["first_token_ms"] <= request["total_ms"]
    assert request["tokens"]["output"] == 20


def test_a_crowd_tells_of_one_call_and_counts_it_once(gateway, mark):
    body = remembered(f"{mark} {directive(first_token='200ms')}")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(complete, gateway.port, body, x_request_id=f"{mark}-{n}") for n in range(8)]
        assert {future.result().status for future in asked} == {200}
    rows = [whole(gateway, f"{mark}-{n}") for n in range(8)]
    told = sorted(row["cache"] for row in rows)
    assert told.count("miss") == 1 and told.count("coalesced") == 7, told
    assert {str(tries(row)) for row in rows} == {"[('sim/instant', 'ok')]"}
    paid = [row for row in rows if row["tokens"]["output"]]
    assert [row["cache"] for row in paid] == ["miss"], "the others came along"


def test_tries_that_failed_are_told_before_the_one_that_answered(falling_back, mark):
    assert complete(falling_back.port, chat("safe"), x_request_id=mark).status == 200
    request = whole(falling_back, mark)
    assert tries(request) == [("bad/m", "failed"), ("good/m", "ok")]
    assert (request["target"], request["attempts"], request["outcome"]) == ("good/m", 2, "ok")
    assert steps(request).count("queue") == 2
    assert found(falling_back, target="bad/m") == [mark]


def test_a_target_that_is_left_alone_is_told_as_such(launch, mark):
    with Upstream(fails) as bad:
        gateway = launch(
            configuration.provider("bad", bad.port, 'strategy = "touchy"'),
            "[guard.strategies.touchy]\nconsecutive = 1\n[guard.retry]\ntries = 1\n",
        )
        assert complete(gateway.port, chat("bad/m")).status == 502
        assert complete(gateway.port, chat("bad/m"), x_request_id=mark).status == 503
    request = whole(gateway, mark)
    closed = [(step["target"], step["result"]) for step in request["waterfall"] if step["step"] == "queue"]
    assert closed == [("bad/m", "breaker_open")], request["waterfall"]
    assert (tries(request), request["attempts"], request["target"]) == ([], 0, None)
    assert (request["outcome"], request["error"]) == ("gateway_error", "overloaded")


def test_a_provider_that_fails_is_kept_as_failed(gateway, mark):
    body = chat("sim/instant", directive(status=500), temperature=1)
    assert complete(gateway.port, body, x_request_id=mark).status == 502
    request = whole(gateway, mark)
    assert (request["status"], request["outcome"], request["error"]) == (502, "provider_error", "provider")
    assert {result for _, result in tries(request)} == {"failed"}
    assert mark in found(gateway, failed="true") and mark in found(gateway, status="5xx")


def test_the_slow_and_the_failed_outlive_the_newest(launch, mark):
    gateway = launch(configuration.table("observe", requests=5, slow="200ms"))

    def asked(request_id: str, said: str, status: int) -> None:
        body = chat("sim/instant", said, temperature=1)
        assert complete(gateway.port, body, x_request_id=request_id).status == status

    asked(f"{mark}-failed", directive(status=500), 502)
    asked(f"{mark}-slow", directive(first_token="400ms"), 200)
    for number in range(10):
        asked(f"{mark}-{number}", "hello", 200)
    kept = [f"{mark}-{number}" for number in range(9, 4, -1)]
    assert found(gateway) == [*kept, f"{mark}-slow", f"{mark}-failed"]
    held = search(gateway)["held"]
    assert (held["newest"], held["slow"], held["failed"], held["thinned"]) == (5, 1, 1, 0)


REFUSALS = [
    (b"{", 400, "invalid_request", "other", None),
    ({"model": "smart"}, 400, "invalid_request", "smart", None),
    (chat("no-such-model"), 404, "not_found", "other", "no-such-model"),
    (chat("x" * 300), 404, "not_found", "other", "x" * 64),
]


@pytest.mark.parametrize(("body", "status", "error", "route", "asked_for"), REFUSALS)
def test_what_is_refused_is_told_too(gateway, mark, body, status, error, route, asked_for):
    assert complete(gateway.port, body, x_request_id=mark).status == status
    request = whole(gateway, mark)
    assert (request["status"], request["error"], request["outcome"]) == (status, error, "caller_error")
    if route == "other":
        assert request["route"] == "other"
    assert (request["asked_for"], request["target"], request["attempts"]) == (asked_for, None, 0)
    assert "answer" not in steps(request)


def test_whose_it_was_is_told_by_the_public_part_of_the_key(launch, mark):
    key = processes.create_key()
    gateway = launch(configuration.key_row(key, models=["sim/*"], tenant="acme"))
    bearer = {"authorization": f"Bearer {key['key']}"}
    assert complete(gateway.port, chat("sim/instant"), x_request_id=mark, **bearer).status == 200
    assert complete(gateway.port, chat("mock/secret"), x_request_id=f"{mark}-2", **bearer).status == 403
    assert complete(gateway.port, chat("sim/instant"), x_request_id=f"{mark}-3").status == 401
    request = whole(gateway, mark)
    assert (request["key"], request["tenant"]) == (key["id"], "acme")
    assert found(gateway, key=key["id"]) == found(gateway, tenant="acme") == [f"{mark}-2", mark]
    assert whole(gateway, f"{mark}-2")["asked_for"] == "mock/secret"
    stranger = whole(gateway, f"{mark}-3")
    assert (stranger["status"], stranger["key"], steps(stranger)) == (401, None, [])


@pytest.mark.parametrize("temperature", [0, 1], ids=["by a flight", "directly"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_caller_who_left_is_told_as_gone(gateway, mark, stream, temperature):
    said = directive(first_token="20s") if not stream else directive(first_token="1ms", between_tokens="1s", tokens=50)
    body = chat("sim/instant", f"{mark} {said}", stream=stream, temperature=temperature)
    with Connection(gateway.port) as connection:
        data = json.dumps(body).encode()
        head = {"content-type": "application/json", "x-request-id": mark}
        if stream:
            connection.send(_request(gateway.port, data, head))
            connection.response_head()
            connection.until(b"data:")
        else:
            connection.send(_request(gateway.port, data, head))
            wait_until("it is under way", lambda: _in_flight(gateway))
    request = wait_until("it is over", lambda: next(iter(search(gateway, id=mark)["requests"]), None))
    assert request["outcome"] == "caller_left"
    assert request["status"] == (200 if stream else 499)
    assert whole(gateway, mark)["waterfall"], "it had come some way"


def _request(port: int, data: bytes, headers: dict[str, str]) -> bytes:
    rows = {"host": f"127.0.0.1:{port}", "content-length": str(len(data)), **headers}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in rows.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def _in_flight(gateway) -> bool:
    targets = ask(gateway.admin_port, "GET", "/admin/targets").json()["targets"]
    return any(target["concurrency"]["in_flight"] for target in targets)


# Slow ones


def test_a_slow_request_is_told_in_the_log_with_where_its_time_went(gateway, mark):
    body = chat("sim/instant", directive(first_token="500ms"), temperature=1)
    assert complete(gateway.port, body, x_request_id=mark).status == 200
    assert complete(gateway.port, chat("sim/instant", temperature=1)).status == 200
    assert found(gateway, slow="true") == [mark]
    lines = [line for line in gateway.log().splitlines() if "a request was slow" in line]
    assert len(lines) == 1 and mark in lines[0], lines
    assert "attempt sim/instant ok" in lines[0] and "sim/instant" in lines[0]


# The search


def test_each_is_found_by_what_it_was_and_pages_have_no_gap(gateway):
    ids = [f"r-{number}" for number in range(25)]
    for number, request_id in enumerate(ids):
        body = remembered(f"the same {number % 5}")
        assert complete(gateway.port, body, x_request_id=request_id).status == 200
    newest_first = ids[::-1]
    assert found(gateway, limit=100) == newest_first
    assert found(gateway, cache="miss", limit=100) == ids[4::-1]
    assert found(gateway, cache="hit", limit=100) == found(gateway, cache="memory", limit=100) == ids[:4:-1]
    assert found(gateway, alias="smart", outcome="ok", status=200, limit=100) == newest_first
    assert found(gateway, route="smart", operation="embeddings") == []
    assert found(gateway, since="10m", limit=100) == newest_first
    assert found(gateway, until="10m") == []
    assert found(gateway, id="r-7") == ["r-7"]
    seen, after = [], {}
    while True:
        page = search(gateway, limit=7, **after)
        seen += [row["id"] for row in page["requests"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == newest_first


def test_times_are_those_of_the_wall(gateway, mark):
    assert complete(gateway.port, chat("sim/instant"), x_request_id=mark).status == 200
    at = whole(gateway, mark)["at"]
    assert found(gateway, since=at, id=mark) == [mark]
    assert found(gateway, until=at, id=mark) == []


@pytest.mark.parametrize("query", ["status=6xx", "outcome=good", "since=soon", "nothing=1", "after=x", "slow=maybe"])
def test_what_cannot_be_asked_is_refused(gateway, query):
    response = ask(gateway.admin_port, "GET", f"/admin/requests?{query}")
    assert response.status == 400 and response.error()


def test_what_is_not_kept_is_not_found(gateway):
    response = ask(gateway.admin_port, "GET", "/admin/requests/nothing")
    assert (response.status, response.error()["code"]) == (404, "not_found")


def test_nothing_of_what_was_said_is_there(gateway, mark):
    secret = f"my-diary-{uuid.uuid4().hex}"
    assert complete(gateway.port, remembered(secret), x_request_id=mark).status == 200
    assert complete(gateway.port, chat("sim/instant", secret + directive(status=500))).status == 502
    for path in ["/admin/requests?limit=1000", f"/admin/requests/{mark}"]:
        assert secret.encode() not in ask(gateway.admin_port, "GET", path).body


# Bounds


def test_inventors_of_names_make_nothing_grow(launch):
    """Ids, models and keys of a caller's own are kept as long as their request is, and under one name in all else.

    A hundred thousand of them are told to what counts and what keeps beside the code.
    """
    gateway = launch(configuration.table("observe", requests=200))
    asked, at_once = 0, directive(first_token="0ms", between_tokens="0ms", tokens=1)
    with Connection(gateway.port) as connection:
        def rush(count: int) -> None:
            nonlocal asked
            for _ in range(count):
                asked += 1
                name = f"invented-{asked}"
                model = f"sim/{name}" if asked % 2 else name
                headers = {"x_request_id": f"{name}-{'x' * 90}", "authorization": f"Bearer tg-{name}"}
                assert connection.post(chat(model, at_once), **headers).status in (200, 404)

        rush(400)
        before, series = search(gateway)["held"], metrics(gateway)
        rush(400)
        after = search(gateway)["held"]
    assert before["newest"] == after["newest"] == 200
    assert abs(after["bytes"] - before["bytes"]) < 20_000, (before, after)
    assert metrics(gateway) == series
    assert found(gateway, id=f"invented-{asked}-" + "x" * 90)
    assert not found(gateway, id="invented-1-" + "x" * 90), "the oldest gave way"


def test_it_can_be_switched_off_and_on_while_it_runs(launch, mark):
    gateway = launch(configuration.table("observe", enabled=False))
    assert complete(gateway.port, chat("sim/instant"), x_request_id=mark).status == 200
    assert found(gateway) == []
    text = processes.configured(gateway)
    processes.write(gateway, text.replace("enabled = false", "enabled = true\nrequests = 1"))

    def is_seen() -> list[str]:
        complete(gateway.port, chat("sim/instant"), x_request_id=f"{mark}-2")
        return found(gateway)

    assert wait_until("requests are looked at", is_seen) == [f"{mark}-2"]
    assert search(gateway)["held"]["newest"] == 1


def test_many_who_look_disturb_nobody(gateway):
    over = threading.Event()

    def look() -> int:
        seen = 0
        while not over.is_set():
            assert ask(gateway.admin_port, "GET", "/admin/requests?limit=1000").status == 200
            seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(4)]
        with Connection(gateway.port) as connection:
            for _ in range(300):
                assert connection.post(chat("sim/instant")).status == 200
        over.set()
        assert all(future.result() for future in looking)
    assert search(gateway)["held"]["dropped"] == 0
