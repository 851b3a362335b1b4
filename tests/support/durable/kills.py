"""A gateway that is killed while jobs are under way, again and again: every acknowledged job comes to one end.

Each round starts it on what the last one left, lets callers add jobs without pause, and kills it at a moment of
chance. A caller that has heard nothing asks again in the next round, with the same idempotency key. In the end
everything that was ever acknowledged must be done, and every call that was made twice must carry the same id.
"""

from __future__ import annotations

import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, jobs, processes
from support.durable.ledger import Ledger, Order
from support.processes import Daemon
from support.raw import Closed, Connection, ask

CALLERS = 4
MODEL = "recorded/m"
# From the first job to the kill.
LIFE_SECONDS = (0.1, 1.2)
# A lease that nobody renews lasts 30 s; what it holds is then begun again.
SETTLE_SECONDS_MAX = 120.0


@dataclass
class Tally:
    """What came of the rounds so far."""

    rounds: int = 0
    acknowledged: int = 0
    # Asked for again, as nothing was heard.
    repeated: int = 0
    calls: int = 0
    twice: int = 0
    settle_seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)


@dataclass
class Settings:
    rounds: int = 12
    seed: int = 1
    # `postgres://…`; none: SQLite in the folder.
    database: str | None = None
    # Run once a round, in its middle: what else is to be broken.
    command: str | None = None


def run(
    folder: Path, settings: Settings, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """So many kills, and the reckoning."""
    chance, tally = random.Random(settings.seed), Tally()
    with Ledger() as ledger:
        text = configuration_of(folder, ledger, settings.database)
        pending: list[Order] = []
        for round_ in range(settings.rounds):
            gateway = processes.start_gateway(folder / f"gateway-{round_ % 2}", text)
            try:
                pending = add_until_killed(gateway, ledger, pending, chance, tally, settings.command)
            finally:
                gateway.kill()
            tally.rounds += 1
            count(ledger, tally)
            progress(tally)
        with processes.start_gateway(folder / "gateway-last", text) as gateway:
            jobs.ready(gateway)
            began = time.monotonic()
            for order in pending:
                assert place(gateway, order), order
            ends = settle(gateway, ledger)
            tally.settle_seconds = time.monotonic() - began
        count(ledger, tally)
        tally.complaints = ledger.complaints(ends)
    return tally


def configuration_of(folder: Path, ledger: Ledger, database: str | None) -> str:
    return configuration.gateway(
        folder / "data",
        configuration.table("store", url=database) if database else "",
        jobs.webhooks(),
        configuration.provider("recorded", ledger.provider_port, 'models = ["m"]'),
    )


def add_until_killed(
    gateway: Daemon,
    ledger: Ledger,
    pending: list[Order],
    chance: random.Random,
    tally: Tally,
    command: str | None,
) -> list[Order]:
    """Adds jobs until the gateway is gone; what was not acknowledged."""
    left, lock, dead = list(pending), threading.Lock(), threading.Event()
    unheard: list[Order] = []
    tally.repeated += len(pending)

    def call() -> None:
        while not dead.is_set():
            with lock:
                order = left.pop() if left else ledger.order(MODEL)
            if not place(gateway, order):
                with lock:
                    unheard.append(order)

    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(CALLERS):
            pool.submit(call)
        life = chance.uniform(*LIFE_SECONDS)
        if command:
            time.sleep(life / 2)
            subprocess.run(command, shell=True, check=True, timeout=120)
        time.sleep(life / 2 if command else life)
        gateway.kill()
        dead.set()
    return unheard + left


def place(gateway: Daemon, order: Order) -> bool:
    """Asks for a job; whether it was acknowledged."""
    try:
        with Connection(gateway.port) as connection:
            response = connection.post(order.body, "/v1/jobs", idempotency_key=order.key)
    except (OSError, Closed, socket.timeout):
        return False
    if response.status in (200, 202):
        order.ids.add(response.json()["id"])
    elif response.status == 409:
        order.ids.add(response.header("location").rsplit("/", 1)[1])
    else:
        # Not yet open, or away: nothing is acknowledged, and it is asked for again.
        assert response.status == 503 and response.header("retry-after"), response.body
        time.sleep(0.02)
        return False
    return True


def settle(gateway: Daemon, ledger: Ledger) -> dict[str, dict]:
    """Waits until nothing is under way; all that was acknowledged, as it stands then."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    wanted = {id for order in ledger.acknowledged() for id in order.ids}
    ends: dict[str, dict] = {}
    while time.monotonic() < deadline:
        with Connection(gateway.port) as connection:
            for id in sorted(wanted - set(ends)):
                response = connection.request("GET", f"/v1/jobs/{id}")
                if response.status == 200 and response.json()["state"] in jobs.OVER:
                    ends[id] = response.json()
        told = {each.event["data"]["id"] for each in ledger.application.told}
        if len(ends) == len(wanted) and wanted <= told:
            break
        time.sleep(0.2)
    missing = {id: ask(gateway.port, "GET", f"/v1/jobs/{id}").json() for id in wanted - set(ends)}
    return {**missing, **ends}


def count(ledger: Ledger, tally: Tally) -> None:
    tally.acknowledged = len(ledger.acknowledged())
    times = ledger.times_asked()
    tally.calls = sum(times)
    tally.twice = sum(count > 1 for count in times)
