"""How long an answer lives: beyond its time while a new one is fetched, and over a change of the
configuration."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from support import configuration
from support.processes import Daemon, configured, write
from support.raw import ask, complete
from support.remembering import (
    HIT,
    Gate,
    again,
    answers,
    crowd,
    gated,
    numbered,
    question,
    spoken,
    streamed,
    text_of,
    told,
)
from support.upstream import Upstream, completion, frame, reply
from support.waiting import wait_until

STALE = 'ttl = "1s", stale = "60s"'


def answer_of(gateway: Daemon, body: dict) -> tuple[str | None, str]:
    """What is said of the cache, and the answer."""
    response = again(lambda: complete(gateway.port, body))
    assert response.status == 200, response.body
    text = text_of(response) if not body.get("stream") else response.body.decode()
    return told(response), text


# Beyond its time


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_stale_answer_is_served_while_one_refresh_is_under_way(launch, stream):
    answer = numbered("number")
    held = Gate(answer)

    def first_at_once(connection, request) -> None:
        (answer if len(upstream.requests) == 1 else held)(connection, request)

    with Upstream(first_at_once) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port), configuration.alias("swr", ("up/m", 1), cache=STALE)
        )
        body = question("swr", stream=stream)
        state, text = answer_of(gateway, body)
        assert state == "miss" and "number 1" in text

        def served_old() -> bool:
            state, text = answer_of(gateway, body)
            assert state == HIT and "number 1" in text
            return len(upstream.requests) == 2

        wait_until("the refresh is asked for", served_old)
        # It is under way, and whoever asks meanwhile neither waits for it nor begins another.
        for _ in range(50):
            assert served_old()
        held.open.set()

        def served_new() -> bool:
            state, text = answer_of(gateway, body)
            assert state == HIT
            return "number 2" in text

        wait_until("the new answer is served", served_new)


def test_a_refresh_that_fails_leaves_the_old_answer(launch):
    def answer(connection, request) -> None:
        if len(upstream.requests) == 1:
            connection.sendall(spoken(request, "old"))
        elif len(upstream.requests) < 4:
            connection.sendall(reply("500 Oops", b"{}"))
        else:
            connection.sendall(spoken(request, "new"))

    with Upstream(answer) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port), configuration.alias("swr", ("up/m", 1), cache=STALE)
        )
        body = question("swr")
        assert answer_of(gateway, body) == ("miss", "old")

        def served_new() -> bool:
            state, text = answer_of(gateway, body)
            assert state == HIT and (text == "old" or len(upstream.requests) >= 4)
            return text == "new"

        wait_until("the new answer is served", served_new)


def test_a_refresh_that_hangs_does_not_hold_the_process(launch):
    def answer(connection, request) -> None:
        if len(upstream.requests) == 1:
            connection.sendall(spoken(request, "old"))
        else:
            threading.Event().wait(30)

    with Upstream(answer) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port),
            configuration.alias("swr", ("up/m", 1), cache=STALE),
            server=('timeouts = { drain = "500ms" }',),
        )
        body = question("swr")
        assert answer_of(gateway, body) == ("miss", "old")
        wait_until(
            "the refresh is asked for",
            lambda: answer_of(gateway, body) == (HIT, "old") and len(upstream.requests) == 2,
        )
        gateway.stop()


def test_a_whole_gateway_may_serve_stale_answers(launch):
    """`cache.stale` holds where no alias says otherwise, beyond the stay in memory."""
    with Upstream(numbered()) as upstream:
        gateway = launch(
            '[cache]\nstale = "60s"\nmemory = { ttl = "1s" }\n', configuration.provider("up", upstream.port)
        )
        body = question("up/m")
        assert answer_of(gateway, body) == ("miss", "answer 1")

        def refreshed() -> bool:
            state, text = answer_of(gateway, body)
            assert state == HIT, "never a miss"
            return text == "answer 2"

        wait_until("the new answer is served", refreshed)


def test_one_alias_life_is_not_another_s(launch):
    """Two aliases of one model: what one keeps for minutes is not served by one who keeps for a second."""
    with Upstream(numbered()) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port),
            configuration.alias("brief", ("up/m", 1), cache='ttl = "1s"'),
            configuration.alias("long", ("up/m", 1), cache='ttl = "5m"'),
        )
        body = question("long")
        assert answer_of(gateway, body) == ("miss", "answer 1")
        begun = time.monotonic()

        def fetched() -> bool:
            state, _ = answer_of(gateway, {**body, "model": "brief"})
            return state == "miss" and time.monotonic() - begun > 1.2

        wait_until("the brief one asks anew, though the other's is remembered", fetched)
        assert answer_of(gateway, body) == (HIT, "answer 1")


# Over a change


def change(gateway: Daemon, text: str) -> None:
    """Puts a file in force that differs at least by one alias."""
    mark = f"mark-{time.monotonic_ns()}"
    write(gateway, text + configuration.alias(mark, ("sim/instant", 1)))
    gateway.signal(signal.SIGHUP)
    wait_until(
        "the new file is in force", lambda: ask(gateway.port, "GET", f"/v1/models/{mark}").status == 200
    )


def test_a_change_elsewhere_forgets_nothing(launch):
    with Upstream(numbered()) as upstream:
        provider = configuration.provider("up", upstream.port)
        gateway = launch("[cache]\nmemory = { entries = 100 }\n", provider)
        original, body = configured(gateway), question("up/m")
        assert answer_of(gateway, body) == ("miss", "answer 1")
        change(gateway, original)
        assert answer_of(gateway, body) == (HIT, "answer 1")
        change(gateway, original.replace("listen =", "body_bytes_max = 1000000\nlisten =", 1))
        assert answer_of(gateway, body) == (HIT, "answer 1")
        # A provider of the same name elsewhere is another one.
        change(gateway, original.replace("http://127.0.0.1", "http://localhost"))
        assert answer_of(gateway, body)[0] == "miss"
        change(gateway, original)
        assert answer_of(gateway, body) == (HIT, "answer 1")


def test_a_change_of_the_cache_s_bounds_begins_anew(launch):
    with Upstream(numbered()) as upstream:
        provider = configuration.provider("up", upstream.port)
        gateway = launch("[cache]\nmemory = { entries = 100 }\n", provider)
        original, body = configured(gateway), question("up/m")
        assert answer_of(gateway, body) == ("miss", "answer 1")
        change(gateway, original.replace("entries = 100", "entries = 200"))
        assert answer_of(gateway, body) == ("miss", "answer 2")
        change(gateway, original.replace("[cache]", "[cache]\nenabled = false"))
        assert answer_of(gateway, body) == ("bypass; reason=disabled", "answer 3")


def test_an_alias_that_changes_what_it_keeps_counts_at_once(launch):
    with Upstream(numbered()) as upstream:
        provider = configuration.provider("up", upstream.port)
        off = configuration.alias("smart", ("up/m", 1), cache="enabled = false")
        gateway = launch(provider, off)
        original, body = configured(gateway), question("smart")
        assert answer_of(gateway, body) == ("bypass; reason=disabled", "answer 1")
        change(gateway, original.replace("enabled = false", "enabled = true"))
        assert answer_of(gateway, body) == ("miss", "answer 2")
        assert answer_of(gateway, body) == (HIT, "answer 2")
        change(gateway, original)
        assert answer_of(gateway, body) == ("bypass; reason=disabled", "answer 3")


def test_a_call_under_way_outlives_a_change(launch):
    """It was begun under the old configuration, and is kept where the cache has stayed the same."""
    with gated(numbered()) as (upstream, gate):
        gateway = launch(configuration.provider("up", upstream.port))
        original, body = configured(gateway), question("up/m")
        with crowd(gateway, body, 5) as early:
            change(gateway, original)
            with crowd(gateway, body, 5) as late:
                gate.open.set()
                texts = {text_of(response) for response in answers(early) + answers(late)}
        assert texts == {"answer 1"}
        assert answer_of(gateway, body) == (HIT, "answer 1")
        assert len(upstream.requests) == 1


# What an answer costs


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_s_price_is_told_and_what_a_hit_saves_is_counted(launch, stream):
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}

    def answer(connection, request) -> None:
        if stream:
            last = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}
            last = b"data: " + json.dumps(last).encode() + b"\n\n"
            frames = [frame({"role": "assistant", "content": "dear"}), frame({}, "stop"), last]
            connection.sendall(streamed(*frames, b"data: [DONE]\n\n"))
        else:
            whole = json.loads(completion("dear")) | {"usage": usage}
            connection.sendall(reply("200 OK", json.dumps(whole).encode()))

    with Upstream(answer) as upstream:
        prices = "prices = { m = { input = 2.0, output = 10.0 } }"
        priced = configuration.provider("up", upstream.port, prices)
        gateway = launch(priced, configuration.alias("dear", ("up/m", 1)))
        body = question("dear", stream=stream)
        first = complete(gateway.port, body)
        # Of a stream it is not known yet when the head goes out.
        assert first.header("x-tidegate-cost-usd") == (None if stream else "0.007000")
        second = again(lambda: complete(gateway.port, body))
        assert told(second) == HIT and second.header("x-tidegate-cost-usd") == "0.000000"
        said = ask(gateway.admin_port, "GET", "/admin/cache").json()
        assert said["last_hour"]["saved"]["usd"] == 0.007
        metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
        assert "tidegate_cache_saved_micro_usd_total 7000" in metrics
