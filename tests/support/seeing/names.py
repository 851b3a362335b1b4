"""Callers who invent names without end: how many series of metrics they make, and how much memory they take.

Every name that a caller can choose is another one each time: models, known to a provider that takes any and known to
nobody, tags, users, metadata, keys, request ids, paths. The provider is `tidegate mock`.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, processes
from support.processes import Daemon
from support.raw import Connection, ask, chat, head
from support.waiting import wait_until

PATH = "/v1/chat/completions"
# A key's own form; none of them is one.
KEY = "tg-{:012d}-{:043d}"
# Any name of a model is answered at once.
MOCK = ["mock", "--listen", "127.0.0.1:0", "--first-token-ms", "0", "--between-tokens-ms", "0", "--tokens", "4"]
# Of what is asked; on a busy machine some are turned away.
ANSWERED_MIN = 0.9
# There since the store has opened.
OF_STORE = "tidegate_workflow_step_seconds"
# Somebody waits and wonders.
PROGRESS_EVERY = 20_000


@dataclass
class Settings:
    # Names of each kind.
    count: int = 100_000
    connections: int = 8
    series_max: int = 100


@dataclass(frozen=True)
class Size:
    """Of a gateway at a moment."""

    series: int
    resident_bytes: int


@dataclass
class Findings:
    before: Size
    after: Size = Size(0, 0)
    # Answers by status.
    answers: Counter[int] = field(default_factory=Counter)
    # The series that are new, by metric.
    fresh: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def made(self) -> int:
        return self.after.series - self.before.series


def run(folder: Path, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Findings:
    """Invents so many names of each kind."""
    key = processes.create_key()
    with Daemon(MOCK, folder / "mock") as mock:
        text = configuration.gateway(
            folder / "data",
            configuration.key_row(key),
            # Few answers are remembered: it is names whose memory is told.
            configuration.table("cache.memory", entries=100),
            # It takes any model's name.
            configuration.provider("mock", mock.port),
            configuration.alias("smart", ("mock/instant", 1)),
        )
        with processes.start_gateway(folder / "gateway", text) as gateway:
            usual(gateway, key["key"])
            # What is told of its work is told once it is open, whatever anybody asks.
            wait_until("the store is open", lambda: any(name.startswith(OF_STORE) for name in metrics(gateway)))
            before = metrics(gateway)
            found = Findings(size(gateway, before))
            found.answers = invent(gateway, key["key"], settings, progress)
            after = metrics(gateway)
            found.after = size(gateway, after)
            found.fresh = Counter(name.partition("{")[0] for name in after.keys() - before.keys())
    judge(found, settings)
    return found


def judge(found: Findings, settings: Settings) -> None:
    if found.made > settings.series_max:
        found.wrong.append(f"{found.made} new series, mostly {found.fresh.most_common(3)}")
    # Otherwise it was not seen what names do, but what refusals do.
    wanted = {200: settings.count // 2, 401: settings.count, 404: settings.count}
    if any(found.answers[status] < count * ANSWERED_MIN for status, count in wanted.items()):
        found.wrong.append(f"the answers are {dict(found.answers)}, and should be {wanted}")


def usual(gateway: Daemon, secret: str) -> None:
    """What callers do who invent nothing: so much is there in any case."""
    with Connection(gateway.port) as connection:
        for model in ("smart", "mock/instant"):
            response = connection.post(chat(model, temperature=0), PATH, authorization=f"Bearer {secret}")
            assert response.status == 200, response.body


def metrics(gateway: Daemon) -> dict[str, float]:
    """All series, by name and labels."""
    text = ask(gateway.admin_port, "GET", "/metrics").body.decode()
    rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def size(gateway: Daemon, now: dict[str, float]) -> Size:
    return Size(len(now), gateway.resident_bytes())


def requests(port: int, secret: str, number: int) -> Iterator[bytes]:
    """What is asked with the names of one number, as bytes."""

    def request(path: str, model: str, secret: str, **more: str) -> bytes:
        body = {
            # So that the answer is kept, under its tag.
            **chat(model, temperature=0),
            "user": f"user-{number}",
            "metadata": {f"member-{number}": f"value-{number}"},
        }
        data = json.dumps(body).encode()
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {secret}",
            "x-request-id": f"request-{number}",
            "x-tidegate-tags": f"tag-{number}",
            **more,
        }
        return head("POST", path, port, data, headers) + data

    # A model that the provider takes, or one that nobody has: by turns, as the first is the slower.
    yield request(PATH, f"mock/model-{number}" if number % 2 else f"model-{number}", secret)
    yield request(PATH, "smart", KEY.format(number, number))
    yield request(f"/v1/path-{number}", "smart", secret)


def invent(gateway: Daemon, secret: str, settings: Settings, progress: Callable[[str], None]) -> Counter[int]:
    """Asks with each number's names once; the answers by status."""
    numbers, lock = itertools.count(), threading.Lock()
    answers: Counter[int] = Counter()
    faults: list[Exception] = []

    def caller() -> None:
        try:
            with Connection(gateway.port) as connection:
                while (number := next(numbers)) < settings.count and not faults:
                    statuses = [asked(connection, data) for data in requests(gateway.port, secret, number)]
                    with lock:
                        answers.update(statuses)
                    if number % PROGRESS_EVERY == PROGRESS_EVERY - 1:
                        progress(f"{number + 1:,} names of each kind")
        except Exception as fault:  # noqa: BLE001  A caller that ends alone would be names that nobody invents.
            faults.append(fault)

    callers = [threading.Thread(target=caller) for _ in range(settings.connections)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    if faults:
        raise faults[0]
    return answers


def asked(connection: Connection, data: bytes) -> int:
    connection.send(data)
    return connection.response("POST").status
