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
from support.raw import Connection, ask, head

PATH = "/v1/chat/completions"
# A key's own form; none of them is one.
KEY = "tg-{:012d}-{:043d}"
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
    # Of `/metrics`, as text.
    metrics_bytes: int


@dataclass
class Findings:
    before: Size
    after: Size
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
    with processes.start_mock(folder / "mock") as mock:
        text = configuration.gateway(
            folder / "data",
            configuration.key_row(key),
            # It takes any model's name.
            configuration.provider("mock", mock.port),
            configuration.alias("smart", ("mock/instant", 1)),
        )
        with processes.start_gateway(folder / "gateway", text) as gateway:
            usual(gateway, key["key"])
            names = series(gateway)
            before = size(gateway)
            answers = invent(gateway, key["key"], settings, progress)
            found = Findings(before, size(gateway), answers)
            found.fresh = Counter(name.partition("{")[0] for name in series(gateway) - names)
    judge(found, settings)
    return found


def judge(found: Findings, settings: Settings) -> None:
    if found.made > settings.series_max:
        found.wrong.append(f"{found.made} new series, mostly {found.fresh.most_common(3)}")
    # Otherwise it was not seen what names do, but what refusals do.
    wanted = {200: settings.count // 2, 401: settings.count, 404: settings.count}
    short = {status: found.answers[status] for status, count in wanted.items() if found.answers[status] < count}
    if short or set(found.answers) - set(wanted):
        found.wrong.append(f"the answers are {dict(found.answers)}, and should be {wanted}")


def usual(gateway: Daemon, secret: str) -> None:
    """What callers do who invent nothing: so much is there in any case."""
    with Connection(gateway.port) as connection:
        for model, status in (("smart", 200), ("mock/instant", 200)):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "temperature": 0}
            response = connection.post(body, PATH, authorization=f"Bearer {secret}")
            assert response.status == status, response.body


def series(gateway: Daemon) -> set[str]:
    """The names of all series, with their labels."""
    text = ask(gateway.admin_port, "GET", "/metrics").body.decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def size(gateway: Daemon) -> Size:
    text = ask(gateway.admin_port, "GET", "/metrics").body
    return Size(len(series(gateway)), gateway.resident_bytes(), len(text))


def requests(port: int, secret: str, number: int) -> Iterator[bytes]:
    """What is asked with the names of one number, as bytes."""

    def request(path: str, model: str, secret: str, **more: str) -> bytes:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": "hello"}],
            "user": f"user-{number}",
            "metadata": {f"member-{number}": f"value-{number}"},
            "temperature": 0,
            "max_tokens": 1,
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
