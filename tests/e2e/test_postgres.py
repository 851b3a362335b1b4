"""Jobs, batches and workflows on PostgreSQL, straight and behind PgBouncer; two gateways on one; and a server that
is away.

The store's own tests ask the same of its rows; `scripts/durable kills --postgres` kills far more often.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
from support import batches, configuration, jobs, workflows
from support.batches import Plan, Provider
from support.jobs import Application, add, added, get, model_job, over, ready, webhooks
from support.postgres import Bouncer, Postgres
from support.raw import ask, chat, complete
from support.waiting import wait_until
from support.workflows import Recorded

# A lease that nobody renews lasts 30 s.
LEASE_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One for all; whoever breaks it mends it."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def bouncer(server) -> Iterator[Bouncer]:
    with Bouncer(server) as bouncer:
        yield bouncer


def at(url: str) -> str:
    return configuration.table("store", url=url)


@pytest.mark.parametrize("way", ["straight", "behind PgBouncer"])
def test_everything_comes_to_its_end(way, server, bouncer, launch, tmp_path):
    url = (server if way == "straight" else bouncer).url(server.create_database())
    plan = Plan(300)
    with Recorded() as recorded, Provider() as provider, Application() as application:
        lines = configuration.provider("plan", provider.port, 'models = ["m"]')
        gateway = launch(at(url), webhooks(), recorded.provider(), lines)
        ready(gateway)
        webhook = {"url": application.url}
        ids = [
            added(gateway, model_job(workflows.MODEL, f"job {number}", webhook=webhook))["id"]
            for number in range(50)
        ]
        run = workflows.started(gateway, workflows.thirty(), {"topic": "tea"})
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
            file = batches.bring(client, plan.write(tmp_path / "in.jsonl", "plan/m"))
            batch = batches.over(client, batches.create(client, file.id).id)
            files = (batches.lines(client, id) for id in (batch.output_file_id, batch.error_file_id))
            assert batches.complaints(plan, batch, *files) == []
        assert {over(gateway, id)["state"] for id in ids} == {"done"}
        prompts = workflows.prompts_of_thirty("tea")
        assert workflows.over(gateway, run)["output"] == workflows.answer(prompts["sum4"])
        asked = [*prompts.values(), *(f"job {number}" for number in range(50))]
        assert sorted(recorded.asked()) == sorted(asked), "each once"
        told = lambda: {each.event["data"]["id"] for each in application.told}  # noqa: E731
        wait_until("all are told", lambda: told() == set(ids))


def test_two_gateways_share_the_work_and_one_takes_over_from_the_other(server, launch, record_property):
    go, database = threading.Event(), server.create_database()
    with Recorded(lambda _prompt: go.wait(LEASE_SECONDS_MAX) and None) as recorded:
        parts = (at(server.url(database)), configuration.table("jobs", workers_max=10), recorded.provider())
        gateways = [launch(*parts), launch(*parts)]
        for gateway in gateways:
            ready(gateway)
        ids = [added(gateways[n % 2], model_job(workflows.MODEL, f"job {n}"))["id"] for n in range(40)]
        wait_until("both are busy", lambda: len(holders(gateways[0])) == 2)
        gateways[1].kill()
        killed = time.monotonic()
        held = held_by(gateways[1], gateways[0])
        go.set()
        for id in ids:
            if id not in held:
                assert over(gateways[0], id)["state"] == "done"
        done = {}
        while len(done) < len(held):
            assert time.monotonic() < killed + LEASE_SECONDS_MAX, "never: its leases are taken over"
            done |= {id: time.monotonic() - killed for id in held - set(done) if is_done(gateways[0], id)}
            time.sleep(0.05)
        told = f"taken over and done {max(done.values()):.1f} s after the kill"
        print(told)
        record_property("take_over", told)
        for n, id in enumerate(ids):
            assert set(recorded.calls[f"job {n}"]) == {id}, "under one id, however often"
            assert len(recorded.calls[f"job {n}"]) == (2 if id in held else 1)
            assert get(gateways[0], id)["attempts"] == (2 if id in held else 1)


def running(gateway) -> list[dict]:
    """The jobs under way anywhere, as operators see them."""
    response = ask(gateway.admin_port, "GET", "/admin/jobs?state=running&limit=100")
    return json.loads(response.body)["jobs"]["data"]


def holders(gateway) -> set[str]:
    return {job["owner"] for job in running(gateway)}


def held_by(gateway, other) -> set[str]:
    """The jobs that one has, or had when it was killed, as another sees them."""
    return {job["id"] for job in running(other) if job["owner"].endswith(f" {gateway.process.pid}")}


def is_done(gateway, id: str) -> bool:
    return get(gateway, id)["state"] == "done"


# A server that is away


@contextmanager
def gone(server: Postgres) -> Iterator[None]:
    server.crash()
    yield
    server.start()


@contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


FAULTS = {"gone": gone, "frozen": frozen}


def refused_and_nothing_else(gateway) -> None:
    """Whoever adds a job is told to come again, and whoever asks a model feels nothing."""
    response = add(gateway, model_job(), idempotency_key="once")
    assert (response.status, response.error()["code"]) == (503, "store_away"), response.body
    assert int(response.header("retry-after")) >= 1
    assert complete(gateway.port, chat("sim/instant")).status == 200
    assert ask(gateway.port, "GET", "/health/ready").status == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_is_away_at_the_start_is_found_later(fault, server, launch):
    url = server.url(server.create_database())
    with FAULTS[fault](server):
        gateway = launch(at(url))
        refused_and_nothing_else(gateway)
        assert b"tidegate_store_up 0" in ask(gateway.admin_port, "GET", "/metrics").body
    ready(gateway)
    assert over(gateway, added(gateway, model_job())["id"])["state"] == "done"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_goes_away_loses_nothing(fault, server, launch):
    url = server.url(server.create_database())
    gateway = launch(configuration.table("store", url=url, wait="1s"))
    ready(gateway)
    before = [added(gateway, model_job(delay=f"{n * 100}ms"))["id"] for n in range(30)]
    with FAULTS[fault](server):
        refused_and_nothing_else(gateway)

    def taken():
        response = add(gateway, model_job(), idempotency_key="once")
        return response if response.status in (200, 202) else None

    response = wait_until("it is back", taken)
    for id in [*before, response.json()["id"]]:
        assert over_in_the_end(gateway, id)["state"] == "done"
    assert len(jobs.listed(gateway, "?limit=100")["data"]) == 31, "nothing was added twice"


def over_in_the_end(gateway, id: str) -> dict:
    """The job, once it is over; a lease that was lost with the server is waited out."""

    def end() -> dict | None:
        job = get(gateway, id)
        return job if job["state"] in jobs.OVER else None

    return wait_until(f"{id} is over", end, LEASE_SECONDS_MAX)
