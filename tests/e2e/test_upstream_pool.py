"""How many connections the gateway opens to a provider, and what callers are told where there may be no more."""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import configuration
from support.processes import configured, write
from support.raw import Connection, ask, chat, complete
from support.upstream import Upstream, completion, reply
from support.waiting import wait_until

CALLERS = 24
UNHURRIED = 'timeouts = { connect = "20s", first_token = "20s" }'
HURRIED = 'timeouts = { connect = "300ms", first_token = "20s" }'


def pools(gateway) -> dict:
    return json.loads(ask(gateway.admin_port, "GET", "/admin/pools").body)


def metrics(gateway) -> str:
    return ask(gateway.admin_port, "GET", "/metrics").body.decode()


def slow(connection, _request) -> None:
    time.sleep(0.05)
    connection.sendall(reply("200 OK", completion()))


def all_ask(port: int, models: list[str]) -> list[int]:
    """The statuses of as many callers as models, all at once."""
    with ThreadPoolExecutor(len(models)) as callers:
        # Each its own question: none is answered by another's answer.
        questions = [chat(model, f"question {number}") for number, model in enumerate(models)]
        return [answer.status for answer in callers.map(lambda body: complete(port, body), questions)]


@pytest.mark.parametrize("workers", [1, 2])
def test_callers_beyond_the_bound_wait_for_a_connection(launch, workers):
    with Upstream(slow) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port, UNHURRIED, "connections = { max = 2 }"),
            server=(f"workers = {workers}",),
        )
        assert all_ask(gateway.port, ["up/m"] * CALLERS) == [200] * CALLERS
        assert len(upstream.requests) == CALLERS
        assert upstream.most_open == 2
        state = pools(gateway)
        (pool,) = state["pools"]
        assert (state["open"], pool["opened"], pool["idle"], pool["busy"]) == (2, 2, 2, 0)
        assert pool["max"] == pool["most"] == 2
        assert pool["waited"] > 0 and pool["starved"] == pool["waiting"] == 0
        assert "connections.max" in pool["advice"]


def test_providers_share_the_bound_of_all_connections(launch):
    with Upstream(slow) as one, Upstream(slow) as other:
        gateway = launch(
            configuration.provider("one", one.port, UNHURRIED),
            configuration.provider("other", other.port, UNHURRIED),
            server=("workers = 2", "upstream_connections_max = 3"),
        )
        assert all_ask(gateway.port, ["one/m", "other/m"] * (CALLERS // 2)) == [200] * CALLERS
        assert len(one.requests) == len(other.requests) == CALLERS // 2
        state = pools(gateway)
        assert state["max"] == 3 and state["open"] <= 3
        assert any("upstream_connections_max" in (pool["advice"] or "") for pool in state["pools"])


def test_a_worker_borrows_the_connection_that_lies_idle_on_another(launch):
    with Upstream(slow) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port, HURRIED, "connections = { max = 1, warm = 1 }"),
            server=("workers = 2",),
        )
        # Callers' connections are dealt to the worker that has fewest: these are on both.
        with Connection(gateway.port) as one, Connection(gateway.port) as other:
            for number in range(4):
                for caller in (one, other):
                    assert caller.post(chat("up/m", f"{caller.socket.fileno()} {number}")).status == 200
        assert upstream.most_open == 1
        (pool,) = pools(gateway)["pools"]
        assert (pool["opened"], pool["starved"]) == (1, 0)


def test_an_idle_connection_makes_room_for_another_providers(launch):
    with Upstream(slow) as one, Upstream(slow) as other:
        gateway = launch(
            configuration.provider("one", one.port, HURRIED, "connections = { warm = 0 }"),
            configuration.provider("other", other.port, HURRIED, "connections = { warm = 0 }"),
            server=("workers = 2", "upstream_connections_max = 1"),
        )
        for number in range(4):
            for model in ("one/m", "other/m"):
                assert complete(gateway.port, chat(model, f"{number}")).status == 200
        assert pools(gateway)["open"] == 1


def test_one_who_waits_in_vain_is_told_when_to_come_again_and_no_breaker_learns_of_it(launch):
    release = threading.Event()

    def held(connection, _request) -> None:
        release.wait(30)
        connection.sendall(reply("200 OK", completion()))

    with Upstream(held) as upstream:
        gateway = launch(
            configuration.provider(
                "up", upstream.port, HURRIED, "connections = { max = 1, warm = 0 }", 'strategy = "aggressive"'
            )
        )
        with ThreadPoolExecutor(1) as first:
            answer = first.submit(complete, gateway.port, chat("up/m", "first"))
            while not upstream.requests:
                time.sleep(0.01)
            # More of them than any breaker bears.
            for number in range(10):
                refused = complete(gateway.port, chat("up/m", f"later {number}"))
                assert refused.status == 503, refused.body
                assert refused.error()["code"] == "connections_exhausted"
                assert int(refused.header("retry-after")) >= 1
            release.set()
            assert answer.result().status == 200
        assert complete(gateway.port, chat("up/m", "last")).status == 200
        assert len(upstream.requests) == 2
        (pool,) = pools(gateway)["pools"]
        assert (pool["starved"], pool["opened"]) == (10, 1)


def test_connections_survive_a_reload_that_does_not_concern_them(launch):
    with Upstream(slow) as upstream:
        unchanged = configuration.provider("up", upstream.port, "connections = { warm = 0 }")
        gateway = launch(unchanged)
        text = configured(gateway)
        changes = ['strategy = "critical"', "limits = { requests_per_minute = 900 }", "concurrency = { max = 7 }"]
        for number, change in enumerate(changes):
            assert complete(gateway.port, chat("up/m", f"question {number}")).status == 200
            write(gateway, text.replace(unchanged, unchanged + change + "\n"))
            gateway.signal(signal.SIGHUP)
            wait_until("it is in force", lambda: f"config_reloads_total {number + 2}" in metrics(gateway))
        assert complete(gateway.port, chat("up/m", "last")).status == 200
        (pool,) = pools(gateway)["pools"]
        assert (pool["opened"], pool["reused"], upstream.most_open) == (1, 3, 1)


def test_what_the_pools_do_is_measured(launch):
    with Upstream(slow) as upstream:
        gateway = launch(configuration.provider("up", upstream.port, "connections = { warm = 0 }"))
        for number in range(3):
            assert complete(gateway.port, chat("up/m", f"{number}")).status == 200
        text = metrics(gateway)
    measured = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    found = float(measured['tidegate_upstream_connections_reused_total{provider="up"}'])
    opened = float(measured['tidegate_upstream_connections_opened_total{provider="up"}'])
    assert opened + found == 3
    states = [
        measured[f'tidegate_upstream_connections{{provider="up",state="{state}"}}'] for state in ("idle", "busy")
    ]
    assert states == [str(int(opened)), "0"]
    # Its address is an address: nobody has to be asked.
    assert measured['tidegate_dns_lookups_total{provider="up",result="ok"}'] == "0"
