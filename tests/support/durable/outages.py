"""A database that is away for a while, in the middle of much work: who orders is told to come again, who waits for a
model's answer feels nothing, and when it is back everything that was acknowledged comes to its end.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, jobs, processes
from support.durable import interactive
from support.durable.grounds import Fault
from support.durable.interactive import Waits
from support.durable.kills import define, settle
from support.durable.ledger import Ledger
from support.durable.orders import Batch, Job, Order, Run
from support.processes import Daemon
from support.raw import Connection, ask

INTERACTIVE = "mock/fast"
# What is under way when the database goes: jobs at once, jobs that are due meanwhile, batches of so many lines, runs.
BEFORE_JOBS, DUE_JOBS, BATCHES, LINES, RUNS = 100, 100, 2, 300, 6
ORDERERS = 3
PAUSE_SECONDS = 0.1


@dataclass
class Settings:
    seconds: int = 30
    # For which callers are measured without it; 0: nobody is.
    alone_seconds: int = 20
    # Interactive requests a second.
    rate: int = 50
    p99_ratio: float = 1.2
    recovery_seconds: float = 10.0


@dataclass
class Findings:
    """What came of it."""

    # While the database was away: told to come again, the longest wait for that, and acknowledged all the same.
    refused: int = 0
    refusal_seconds_max: float = 0.0
    taken: int = 0
    # From its return to the first order that is acknowledged.
    recovery_seconds: float = 0.0
    settle_seconds: float = 0.0
    alone: Waits = Waits(0, 0, 0)
    during: Waits = Waits(0, 0, 0)
    wrong: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.during.p99 / self.alone.p99 if self.alone.p99 else 0.0


def run(folder: Path, fault: Fault, settings: Settings) -> Findings:
    """One outage, and what was found."""
    found = Findings()
    with Ledger() as ledger, processes.start_mock(folder / "mock") as mock, fault.ground(folder) as ground:
        text = configuration.gateway(
            folder / "data",
            ground.table,
            jobs.webhooks(),
            ledger.provider(),
            configuration.mock_provider(mock.port),
        )
        with processes.start_gateway(folder / "gateway", text, ground.under) as gateway:
            define(gateway)
            if settings.alone_seconds:
                found.alone = interactive.measure(gateway, INTERACTIVE, settings.rate, settings.alone_seconds)
            for order in under_way(ledger, settings.seconds):
                assert order.place(gateway), order.name
            with ground.inflict(gateway):
                meanwhile(gateway, ledger, settings, found)
            recover(gateway, ledger, found)
            began = time.monotonic()
            settle(gateway, ledger)
            found.settle_seconds = time.monotonic() - began
        found.wrong += ledger.complaints()
    judge(settings, found)
    return found


def under_way(ledger: Ledger, seconds: int) -> list[Order]:
    """What is ordered before."""
    url = ledger.application.url
    orders = [ledger.order(lambda number: Batch(number, LINES)) for _ in range(BATCHES)]
    orders += [ledger.order(Run) for _ in range(RUNS)]
    orders += [ledger.order(lambda number: Job(number, url)) for _ in range(BEFORE_JOBS)]
    for due in range(DUE_JOBS):
        delay = f"{seconds * 1000 * due // DUE_JOBS}ms"
        orders.append(ledger.order(lambda number, delay=delay: Job(number, url, delay=delay)))
    return orders


def meanwhile(gateway: Daemon, ledger: Ledger, settings: Settings, found: Findings) -> None:
    """Orderers order without pause, interactive callers come at their rate."""
    over, lock = threading.Event(), threading.Lock()

    def order_on(place: int) -> None:
        url = ledger.application.url
        makes = [lambda number: Job(number, url), Run, lambda number: Batch(number, 10)]
        while not over.wait(PAUSE_SECONDS):
            order, began = ledger.order(makes[place % len(makes)]), time.monotonic()
            try:
                with Connection(gateway.port) as connection:
                    is_taken = order.ask(connection)
            except Exception as fault:  # noqa: BLE001  Whatever it is, it is no proper answer.
                with lock:
                    found.wrong.append(f"{order.name}: {type(fault).__name__}: {fault}")
                continue
            with lock:
                found.taken += is_taken
                found.refused += not is_taken
                waited = 0.0 if is_taken else time.monotonic() - began
                found.refusal_seconds_max = max(found.refusal_seconds_max, waited)

    threads = [threading.Thread(target=order_on, args=(place,)) for place in range(ORDERERS)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + settings.seconds
    if settings.alone_seconds:
        # Less its warming up and its own start.
        seconds = max(1, settings.seconds - 4)
        found.during = interactive.measure(gateway, INTERACTIVE, settings.rate, seconds)
    while time.monotonic() < ends:
        if ask(gateway.port, "GET", "/health/ready").status != 200:
            found.wrong.append("the gateway says that it is not ready")
        time.sleep(0.2)
    over.set()
    for thread in threads:
        thread.join()


def recover(gateway: Daemon, ledger: Ledger, found: Findings) -> None:
    """Orders until something is acknowledged."""
    began = time.monotonic()
    order = ledger.order(lambda number: Job(number, ledger.application.url))
    while not order.place(gateway):
        time.sleep(PAUSE_SECONDS)
    found.recovery_seconds = time.monotonic() - began


def judge(settings: Settings, found: Findings) -> None:
    if not found.refused:
        found.wrong.append("nobody was told to come again: it was no outage")
    if found.taken:
        found.wrong.append(f"{found.taken} orders were acknowledged, and by whom?")
    if found.recovery_seconds > settings.recovery_seconds:
        found.wrong.append(f"nothing was acknowledged for {found.recovery_seconds:.1f} s after its return")
    if found.ratio > settings.p99_ratio:
        found.wrong.append(f"interactive callers waited {found.ratio:.2f} times as long")
    if found.during.errors:
        found.wrong.append(f"{found.during.errors} interactive callers had no answer")
