"""A gateway that is killed while jobs, batches and workflows are under way, again and again: every one that was
acknowledged comes to its one end.

Each round starts it on what the last one left, lets callers ask for more without pause, and kills it at a moment of
chance. A caller that has heard nothing asks again in the next round, with the same idempotency key where there is
one. A PostgreSQL of the scenario's own crashes in every third round, too.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, jobs, processes, workflows
from support.durable.ledger import Ledger, of_kind
from support.durable.orders import Batch, Job, Order, Run, unheard
from support.postgres import Postgres
from support.processes import Daemon
from support.raw import Connection

# Who adds jobs, and the pause between two of one caller's.
JOB_CALLERS = 3
JOB_PAUSE_SECONDS = 0.005
# Begun when fewer are open.
BATCHES_OPEN_MAX = 8
RUNS_OPEN_MAX = 24
# Between two looks at what is open.
LOOK_SECONDS = 0.05
# From the first order to the kill.
LIFE_SECONDS = (0.1, 1.2)
# The database crashes once in so many rounds.
CRASH_EVERY = 3
# A lease that nobody renews lasts 30 s; what it holds is then begun again. Nothing ends for so long: nothing will.
STANDSTILL_SECONDS_MAX = 90.0


@dataclass
class Tally:
    """What came of the rounds so far."""

    rounds: int = 0
    crashes: int = 0
    # Acknowledged.
    jobs: int = 0
    batches: int = 0
    lines: int = 0
    runs: int = 0
    # Asked for again, as nothing was heard.
    repeated: int = 0
    calls: int = 0
    # Prompts that a provider was asked more than once.
    twice: int = 0
    settle_seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> str:
        return f"{self.jobs} jobs, {self.batches} batches of {self.lines} lines and {self.runs} runs"


@dataclass
class Settings:
    rounds: int = 12
    seed: int = 1
    # Of a batch.
    lines: int = 300
    # `postgres://…`; none: SQLite in the folder.
    database: str | None = None
    # The server with that database, where it is to be broken as well.
    server: Postgres | None = None


def run(
    folder: Path, settings: Settings, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """So many kills, and the reckoning."""
    tally = Tally()
    with Ledger() as ledger:
        text = configuration_of(folder, ledger, settings.database)
        rounds = Rounds(ledger, settings, tally)
        for number in range(settings.rounds):
            gateway = processes.start_gateway(folder / f"gateway-{number % 2}", text)
            try:
                rounds.one(gateway, number)
            finally:
                gateway.kill()
            count(ledger, tally)
            progress(tally)
        with processes.start_gateway(folder / "gateway-last", text) as gateway:
            jobs.ready(gateway)
            began = time.monotonic()
            for order in rounds.pending:
                assert order.place(gateway), order.name
            unheard(gateway, of_kind(ledger.orders, Batch))
            settle(gateway, ledger)
            tally.settle_seconds = time.monotonic() - began
        count(ledger, tally)
        tally.complaints = ledger.complaints()
    return tally


def configuration_of(folder: Path, ledger: Ledger, database: str | None) -> str:
    return configuration.gateway(
        folder / "data",
        configuration.table("store", url=database) if database else "",
        jobs.webhooks(),
        ledger.provider(),
    )


class Rounds:
    """Callers, who go on from round to round with what nobody has acknowledged yet."""

    def __init__(self, ledger: Ledger, settings: Settings, tally: Tally):
        self.pending: list[Order] = []
        self._ledger, self._settings, self._tally = ledger, settings, tally
        self._chance = random.Random(settings.seed)
        self._lock = threading.Lock()
        # Not known to be over.
        self._open: list[Order] = []

    def one(self, gateway: Daemon, number: int) -> None:
        """Callers ask until the gateway is gone."""
        if number == 0:
            define(gateway)
        dead = threading.Event()
        with ThreadPoolExecutor(JOB_CALLERS + 2) as pool:
            callers = [pool.submit(self._add_jobs, gateway, dead) for _ in range(JOB_CALLERS)]
            callers.append(pool.submit(self._keep_open, gateway, dead, Batch, BATCHES_OPEN_MAX))
            callers.append(pool.submit(self._keep_open, gateway, dead, Run, RUNS_OPEN_MAX))
            try:
                self._break(gateway, number)
            finally:
                gateway.kill()
                dead.set()
            for caller in callers:
                caller.result()
        self._tally.rounds += 1

    def _break(self, gateway: Daemon, number: int) -> None:
        """Lets it live for a while, and ends it; sometimes the database is gone before, and sometimes it stays away
        until the gateway is."""
        life = self._chance.uniform(*LIFE_SECONDS)
        server = self._settings.server
        if server is None or number % CRASH_EVERY != CRASH_EVERY - 1:
            time.sleep(life)
            return
        time.sleep(life / 2)
        server.crash()
        self._tally.crashes += 1
        if self._chance.random() < 0.5:
            gateway.kill()
        server.start()
        time.sleep(life / 2)

    def _add_jobs(self, gateway: Daemon, dead: threading.Event) -> None:
        while not dead.wait(JOB_PAUSE_SECONDS):
            with self._lock:
                waiting = next((order for order in self.pending if isinstance(order, Job)), None)
                if waiting:
                    self.pending.remove(waiting)
            url = self._ledger.application.url
            self._place(gateway, waiting or self._ledger.order(lambda number: Job(number, url)))

    def _keep_open(self, gateway: Daemon, dead: threading.Event, kind: type[Order], most: int) -> None:
        """Has so many batches or runs open."""
        while not dead.wait(LOOK_SECONDS):
            with self._lock:
                waiting = [order for order in self.pending if isinstance(order, kind)]
                self.pending = [order for order in self.pending if order not in waiting]
                open_ = [order for order in self._open if isinstance(order, kind)]
            for order in waiting:
                self._place(gateway, order)
            over = [order for order in open_ if self._is_over(gateway, order)]
            with self._lock:
                self._open = [order for order in self._open if order not in over]
            if len(open_) - len(over) + len(waiting) < most:
                make = Run if kind is Run else lambda number: Batch(number, self._settings.lines)
                self._place(gateway, self._ledger.order(make))

    def _place(self, gateway: Daemon, order: Order) -> None:
        is_taken = order.place(gateway)
        with self._lock:
            if is_taken and not isinstance(order, Job):
                self._open.append(order)
            # A batch that nobody was told of may be there all the same: it is looked for in the end.
            if not is_taken and not isinstance(order, Batch):
                self.pending.append(order)
                self._tally.repeated += 1
        if not is_taken:
            time.sleep(LOOK_SECONDS)

    @staticmethod
    def _is_over(gateway: Daemon, order: Order) -> bool:
        try:
            with Connection(gateway.port) as connection:
                return order.look(connection)
        except Exception:  # noqa: BLE001  However the killed end is noticed.
            return False


def define(gateway: Daemon) -> None:
    """Hands in the workflows."""
    workflows.ready(gateway)
    for definition in Run.definitions():
        response = workflows.put(gateway, definition)
        assert response.status == 200, response.body


def settle(gateway: Daemon, ledger: Ledger) -> None:
    """Waits until nothing is under way, and nothing moves."""
    moved = time.monotonic()
    left, untold = ledger.acknowledged(), 1
    while (left or untold) and time.monotonic() < moved + STANDSTILL_SECONDS_MAX:
        with Connection(gateway.port) as connection:
            still = [order for order in left if not order.look(connection)]
        told = ledger.told()
        still_untold = sum(order.id not in told for order in of_kind(ledger.acknowledged(), Job))
        if (len(still), still_untold) != (len(left), untold):
            moved = time.monotonic()
        left, untold = still, still_untold
        time.sleep(0.2)


def count(ledger: Ledger, tally: Tally) -> None:
    acknowledged = ledger.acknowledged()
    tally.jobs = len(of_kind(acknowledged, Job))
    tally.runs = len(of_kind(acknowledged, Run))
    tally.batches = len(of_kind(acknowledged, Batch))
    tally.lines = sum(batch.plan.lines for batch in of_kind(acknowledged, Batch))
    tally.calls, tally.twice = ledger.counts()
