"""Live percentiles against exact ones: callers who write down how long each request took, and what the gateway says.

Each prompt tells the simulated provider how long to take. The delays are spread over a decade, the shortest of them
long enough that the callers' own time is no matter. Half of the requests are streams.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, processes
from support.processes import Daemon
from support.prompts import directive
from support.raw import ask, chat, head
from support.waiting import wait_until

PATH = "/v1/chat/completions"
SHARES = (50, 95, 99)
# Of the delay to the first token; then there are a few more of them.
SECONDS = (0.2, 2.0)
TOKENS = 4
WATCH_SECONDS = 0.02
# A stream's first token, beside a frame that only says who speaks.
CONTENT = b'"content":"'
NOTHING = b'"content":""'


@dataclass
class Settings:
    requests: int = 3000
    connections: int = 100
    seed: int = 1
    # By how much a percentile may be off, as a share of the exact one.
    error_max: float = 0.02
    seconds: tuple[float, float] = SECONDS


@dataclass(frozen=True)
class Compared:
    """One percentile, in milliseconds: by the callers' own log, and by the gateway."""

    figure: str
    share: int
    exact: float
    told: float

    @property
    def error(self) -> float:
        return self.told / self.exact - 1


@dataclass
class Findings:
    seconds: float = 0.0
    # By how much the callers' own clock was late: on a busy machine they measure that, too.
    late_p50: float = 0.0
    late_p99: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    compared: list[Compared] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Log:
    """Seconds, as callers measured them."""

    total: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    # By how much who wanted to be woken after a while was woken too late.
    late: list[float] = field(default_factory=list)


def run(folder: Path, settings: Settings) -> Findings:
    """So many requests, and both accounts of them."""
    found = Findings()
    with processes.start_mock(folder / "mock") as mock:
        text = configuration.gateway(folder / "data", configuration.UNGUARDED, configuration.mock_provider(mock.port))
        with processes.start_gateway(folder / "gateway", text) as gateway:
            began = time.monotonic()
            log = asyncio.run(asked(gateway.port, settings))
            found.seconds = time.monotonic() - began
            told = figures(gateway, settings.requests)
    found.late_p50, found.late_p99 = percentile(log.late, 50), percentile(log.late, 99)
    for figure, exact in (("total", log.total), ("first_token", log.first_token)):
        compare(found, figure, exact, told[figure], settings.error_max)
    return found


def compare(found: Findings, figure: str, exact: list[float], told: dict, error_max: float) -> None:
    found.counts[figure] = len(exact)
    if told["count"] != len(exact):
        found.wrong.append(f"the gateway has {told['count']} of {figure}, the log {len(exact)}")
    for share in SHARES:
        one = Compared(figure, share, percentile(exact, share) * 1000, told[f"p{share}_ms"])
        found.compared.append(one)
        if abs(one.error) > error_max:
            found.wrong.append(f"p{share} of {figure} is off by {one.error:+.2%}")


def percentile(values: list[float], share: int) -> float:
    """By nearest rank: of 100 sorted values, p95 is the 95th."""
    return sorted(values)[math.ceil(len(values) * share / 100) - 1]


def figures(gateway: Daemon, count: int) -> dict:
    """What the gateway says of the last ten minutes, once it has seen all."""

    def there() -> dict | None:
        said = ask(gateway.admin_port, "GET", "/admin/performance").json()["all"]["10m"]["figures"]
        return said if said["total"]["count"] >= count else None

    return wait_until("all requests are seen", there)


def delays(settings: Settings) -> Iterator[float]:
    """Evenly spread over their magnitudes: as many from 0.2 s to 0.4 s as from 1 s to 2 s."""
    chance = random.Random(settings.seed)
    low, high = map(math.log, settings.seconds)
    for _ in range(settings.requests):
        yield math.exp(chance.uniform(low, high))


async def asked(port: int, settings: Settings) -> Log:
    """Callers, each on a connection of its own, who ask until all was asked."""
    log = Log()
    todo = enumerate(delays(settings))
    loop = asyncio.get_running_loop()
    callers = [Caller(port, todo, log) for _ in range(settings.connections)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    watch = loop.create_task(watched(log))
    await asyncio.gather(*(caller.done for caller in callers))
    watch.cancel()
    return log


async def watched(log: Log) -> None:
    """Wants to be woken again and again, and notes by how much that is late."""
    while True:
        due = time.perf_counter() + WATCH_SECONDS
        await asyncio.sleep(WATCH_SECONDS)
        log.late.append(time.perf_counter() - due)


def body(number: int, delay: float) -> dict:
    told = directive(first_token=f"{delay * 1000:.1f}ms", between_tokens="20ms", tokens=TOKENS)
    return chat("mock/any", f"{number} {told}", stream=number % 2 == 0)


class Caller(asyncio.Protocol):
    """Asks one after the other. The clock is read where bytes come, before anything is made of them, and all callers
    share one thread: threads would wait for each other in between."""

    def __init__(self, port: int, todo: Iterator[tuple[int, float]], log: Log):
        self.port, self.todo, self.log = port, todo, log
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if (question := next(self.todo, None)) is None:
            self.done.set_result(None)
            self.transport.close()
            return
        asks = body(*question)
        data = json.dumps(asks).encode()
        request = head("POST", PATH, self.port, data, {"content-type": "application/json"}) + data
        self.is_stream, self.answer, self.first = asks["stream"], b"", None
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter() - self.began
        self.answer += data
        if self.is_stream and self.first is None and CONTENT in self.answer.replace(NOTHING, b""):
            self.first = now
        if not is_whole(self.answer, self.is_stream):
            return
        if not self.answer.startswith(b"HTTP/1.1 200 ") or (self.is_stream and self.first is None):
            self.fail(f"answered {self.answer[:300]!r}")
            return
        self.log.total.append(now)
        if self.first is not None:
            self.log.first_token.append(self.first)
        self.ask()

    def connection_lost(self, fault: Exception | None) -> None:
        self.fail(f"closed: {fault}")

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))


def is_whole(answer: bytes, is_stream: bool) -> bool:
    """Whether all bytes of an answer are there; what is no stream has a length."""
    if is_stream and answer.startswith(b"HTTP/1.1 200 "):
        return answer.endswith(b"\r\n0\r\n\r\n")
    front, mark, content = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", front, re.IGNORECASE)
    return bool(mark) and length is not None and len(content) >= int(length[1])
