"""The queue before a target: who is served first, who is refused, and that every place in it comes back.

The provider answers when it is let; what it was asked, and in which order, it keeps. `scripts/protect leave` and
`scripts/protect overload` do this with crowds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from support import configuration, processes
from support.processes import Daemon
from support.prompts import directive
from support.protect import leave, overload, views
from support.protect.stand import LONG_PATIENCE, MODEL, alias, provider, stand
from support.raw import Connection, Response, chat, complete, head
from support.remembering import CHAT, Gate, gated, spoken
from support.upstream import Request, Upstream
from support.waiting import wait_until

# No wait is a sign of overload: what is tested is the order.
UNHURRIED = {"target": "60s", "interval": "60s"}
PRIORITIES = ("high", "normal", "low", "batch")


def echo(connection, request: Request) -> None:
    connection.sendall(spoken(request, request.json()["messages"][0]["content"]))


@dataclass
class Counter:
    """A gateway with so many permits for a provider that waits to be let."""

    gateway: Daemon
    upstream: Upstream
    gate: Gate
    keys: dict[str, str]

    def ask(self, name: str, key: str = "normal", stream: bool = False, **headers: str) -> Connection:
        """One who asks and has read nothing yet; `name` is what is asked."""
        connection = Connection(self.gateway.port)
        body = chat("up/m", name, stream=stream)
        send(connection, self.gateway, body, authorization=f"Bearer {self.keys[key]}", **headers)
        return connection

    def occupy(self, count: int = 1) -> list[Connection]:
        """So many who are being answered."""
        asked = [self.ask(f"occupant {number}", "high") for number in range(count)]
        wait_until("the provider is asked", lambda: len(self.upstream.requests) == count)
        return asked

    def wait_in_line(self, name: str, key: str = "normal", **headers: str) -> Connection:
        """One who waits, once that is seen."""
        before = self.seen().waiting
        connection = self.ask(name, key, **headers)
        wait_until(f"{name} waits", lambda: self.seen().waiting == before + 1)
        return connection

    def seen(self) -> views.Target:
        return views.target(self.gateway, "up")

    def order(self) -> list[str]:
        """What the provider was asked, in its order, without the occupants."""
        asked = [request.json()["messages"][0]["content"] for request in self.upstream.requests]
        return [name for name in asked if not name.startswith("occupant")]


def send(connection: Connection, gateway: Daemon, body: dict, **headers: str) -> None:
    """Asks, and reads nothing."""
    data = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["content-type"] = "application/json"
    connection.send(head("POST", CHAT, gateway.port, data, named) + data)


Open = Callable[..., AbstractContextManager[Counter]]


@pytest.fixture
def counter(launch) -> Open:
    """Opens a counter with so many permits and a queue of such a size."""
    keys = {name: processes.create_key() for name in (*PRIORITIES, "crowd")}

    @contextmanager
    def open_(permits: int = 1, size: int = 20, **queue: object) -> Iterator[Counter]:
        rows = [configuration.key_row(keys[name], tenant=name, priority=name) for name in PRIORITIES]
        fixed = {"algorithm": "fixed", "initial": permits, "min": permits, "max": permits}
        with gated(echo) as (upstream, gate):
            gateway = launch(
                *rows,
                configuration.key_row(keys["crowd"], tenant="crowd", priority="normal"),
                provider("up", upstream.port, timeouts=LONG_PATIENCE, models=["m"], concurrency=fixed),
                configuration.table("guard.queue", size=size, **{**UNHURRIED, **queue}),
                configuration.table("guard.batch", initial=permits, min=permits, max=permits),
            )
            # The target is known once somebody has asked for it.
            gate.open.set()
            warm = complete(gateway.port, chat("up/m"), authorization=f"Bearer {keys['normal']['key']}")
            assert warm.status == 200
            upstream.requests.clear()
            gate.open.clear()
            yield Counter(gateway, upstream, gate, {name: key["key"] for name, key in keys.items()})

    return open_


def answer_of(connection: Connection) -> Response:
    with connection:
        return connection.response("POST")


def refused(connection: Connection) -> Response:
    response = answer_of(connection)
    assert response.status == 503, response.body
    assert response.error() and int(response.header("retry-after")) >= 1
    return response


# Order


def test_high_goes_before_normal_before_low_before_batch(counter):
    with counter() as at:
        waiting = at.occupy() + [at.wait_in_line(name, name) for name in reversed(PRIORITIES)]
        at.gate.open.set()
        assert [answer_of(connection).status for connection in waiting] == [200] * 5
        assert at.order() == list(PRIORITIES)


def test_a_caller_may_stand_back_and_not_push_forward(counter):
    with counter() as at:
        waiting = at.occupy() + [
            at.wait_in_line("stands back", "high", x_tidegate_priority="low"),
            at.wait_in_line("pushes", "low", x_tidegate_priority="high"),
            at.wait_in_line("normal", "normal"),
        ]
        at.gate.open.set()
        assert [answer_of(connection).status for connection in waiting] == [200] * 4
        assert at.order()[0] == "normal"


def test_a_tenant_with_many_does_not_keep_out_one_with_few(counter):
    with counter() as at:
        waiting = at.occupy() + [at.wait_in_line(f"crowd {number}", "crowd") for number in range(8)]
        waiting.append(at.wait_in_line("the other", "normal"))
        at.gate.open.set()
        assert [answer_of(connection).status for connection in waiting] == [200] * 10
        assert at.order().index("the other") <= 1


# Bounds


def test_beyond_the_queue_is_refused_at_once(counter):
    with counter(size=2) as at:
        waiting = at.occupy() + [at.wait_in_line(f"waits {number}") for number in range(2)]
        assert (at.seen().in_flight, at.seen().waiting) == (1, 2)
        refused(at.ask("one too many"))
        at.gate.open.set()
        assert [answer_of(connection).status for connection in waiting] == [200] * 3
        assert "one too many" not in at.order()
        views.wait_for_rest(at.gateway)


def test_high_priority_takes_the_place_of_low_in_a_full_queue(counter):
    with counter(size=1) as at:
        occupants, low = at.occupy(), at.wait_in_line("low", "low")
        high = at.ask("high", "high")
        refused(low)
        at.gate.open.set()
        assert [answer_of(connection).status for connection in (*occupants, high)] == [200, 200]


def test_without_a_queue_nobody_waits(counter):
    with counter(size=0) as at:
        occupants = at.occupy()
        refused(at.ask("waits"))
        at.gate.open.set()
        assert answer_of(occupants[0]).status == 200


def test_who_cannot_be_served_in_time_does_not_reach_the_provider(counter):
    with counter() as at:
        occupants = at.occupy()
        hasty = at.wait_in_line("hasty", x_tidegate_timeout_ms="300")
        assert answer_of(hasty).status in (503, 504)
        wait_until("its place is free", lambda: at.seen().waiting == 0)
        at.gate.open.set()
        assert answer_of(occupants[0]).status == 200
        assert at.order() == []


def test_who_would_make_a_queue_stand_is_told_at_the_door(counter):
    """CoDel would drop them before their turn: they hear so at once, and who waits already goes on waiting."""
    with counter(target="50ms", interval="100ms") as at:
        occupants, first = at.occupy(), at.wait_in_line("waits")
        # Nobody is served for longer than a queue may take: who came now would wait longer still.
        time.sleep(0.3)
        assert refused(at.ask("comes late")).error()["code"] == "queue_dropped"
        at.gate.open.set()
        assert [answer_of(connection).status for connection in (*occupants, first)] == [200, 200]
        assert at.order() == ["waits"]
        views.wait_for_rest(at.gateway)


# Places and permits that come back


def test_who_leaves_the_queue_gives_a_place_free(counter):
    with counter(size=1) as at:
        occupants, leaver = at.occupy(), at.wait_in_line("leaves")
        leaver.socket.close()
        wait_until("the place is free", lambda: at.seen().waiting == 0)
        stayer = at.wait_in_line("stays")
        at.gate.open.set()
        assert [answer_of(connection).status for connection in (*occupants, stayer)] == [200, 200]
        assert at.order() == ["stays"]


def test_who_leaves_while_being_answered_lets_the_next_in(counter):
    with counter() as at:
        (occupant,), next_ = at.occupy(), at.wait_in_line("next")
        occupant.socket.close()
        wait_until("the next is let in", lambda: at.order() == ["next"])
        assert (at.seen().in_flight, at.seen().waiting) == (1, 0)
        at.gate.open.set()
        assert answer_of(next_).status == 200


def test_a_permit_is_held_until_the_stream_ends(tmp_path):
    one = {"algorithm": "fixed", "initial": 1, "min": 1, "max": 1}
    fixed = {"concurrency": one, "timeouts": LONG_PATIENCE}
    unhurried = configuration.table("guard.queue", **UNHURRIED)
    with stand(tmp_path, unhurried, alias("any", f"first/{MODEL}"), members={"first": fixed}) as there:
        content = f"go on {directive(tokens=10, between_tokens='100ms')}"
        body = chat("any", content, stream=True)
        with Connection(there.gateway.port) as streaming, Connection(there.gateway.port) as next_:
            send(streaming, there.gateway, body)
            assert streaming.response_head()[0] == 200
            send(next_, there.gateway, chat("any"))
            wait_until("the next waits", lambda: views.target(there.gateway, "first").waiting == 1)
            assert views.target(there.gateway, "first").in_flight == 1
            assert b"[DONE]" in b"".join(streaming.chunks())
            assert next_.response("POST").status == 200
        views.wait_for_rest(there.gateway)


# Crowds, without judging times


def test_half_of_a_crowd_leaves_and_every_permit_comes_back(tmp_path):
    assert leave.run(tmp_path, leave.Size(callers=160, at_once=40, seconds=3)).wrong == []


def test_three_times_too_much_is_refused_and_high_priority_is_not(tmp_path):
    assert overload.run(tmp_path, overload.Size(seconds=5, at_once=10)).wrong == []
