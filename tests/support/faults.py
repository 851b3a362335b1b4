"""Ways in which a Redis fails under gateways that use it: each breaks it on entering and mends it on leaving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import free_port
from support.redis import Redis, cluster, is_whole
from support.slow_line import SlowLine
from support.waiting import wait_until

SLOW_MS = 200


@dataclass
class Ground:
    """The Redis that is to fail, and how gateways reach it."""

    nodes: list[Redis]
    url: str
    line: SlowLine | None = None

    @property
    def redis(self) -> Redis:
        return self.nodes[0]


@dataclass(frozen=True)
class Fault:
    """One way to fail."""

    text: str
    inflict: Callable[[Ground], AbstractContextManager]
    # Which breaker must open, if any: "server" or "writes".
    opens: str | None = None
    is_cluster: bool = False
    has_slow_line: bool = False


@contextmanager
def ground(folder: Path, fault: Fault) -> Iterator[Ground]:
    """What a fault needs."""
    with ExitStack() as stack:
        if fault.is_cluster:
            nodes = stack.enter_context(cluster(folder))
            yield Ground(nodes, ",".join(node.url for node in nodes))
            return
        redis = stack.enter_context(Redis(folder / "redis"))
        if not fault.has_slow_line:
            yield Ground([redis], redis.url)
            return
        line = stack.enter_context(SlowLine(free_port(), redis.port))
        yield Ground([redis], f"redis://127.0.0.1:{line.port}", line)


@contextmanager
def killed(ground: Ground) -> Iterator[None]:
    ground.redis.kill()
    yield
    ground.redis.start()


@contextmanager
def frozen(ground: Ground) -> Iterator[None]:
    ground.redis.freeze()
    yield
    ground.redis.thaw()


@contextmanager
def slow(ground: Ground) -> Iterator[None]:
    ground.line.delay(SLOW_MS)
    yield
    ground.line.delay(0)


@contextmanager
def read_only(ground: Ground) -> Iterator[None]:
    """The replica of a master that is not there: it serves what it has."""
    ground.redis.tell("REPLICAOF 127.0.0.1 1")
    yield
    ground.redis.tell("REPLICAOF NO ONE")


@contextmanager
def out_of_memory(ground: Ground) -> Iterator[None]:
    ground.redis.tell("CONFIG SET maxmemory-policy noeviction")
    ground.redis.tell("CONFIG SET maxmemory 1")
    yield
    ground.redis.tell("CONFIG SET maxmemory 0")


@contextmanager
def full(ground: Ground) -> Iterator[None]:
    """It throws away whatever it has, the invalidations among it, to make room."""
    ground.redis.tell("CONFIG SET maxmemory-policy allkeys-random")
    used = next(
        int(line.removeprefix("used_memory:"))
        for line in ground.redis.tell("INFO memory").splitlines()
        if line.startswith("used_memory:")
    )
    ground.redis.tell(f"CONFIG SET maxmemory {used}")
    yield
    ground.redis.tell("CONFIG SET maxmemory 0")


@contextmanager
def restarted(ground: Ground) -> Iterator[None]:
    """Ended and started again with what it had, once on breaking and once on mending."""
    ground.redis.restart()
    yield
    ground.redis.restart()


@contextmanager
def a_node_killed(ground: Ground) -> Iterator[None]:
    """The one that gateways do not know first."""
    ground.nodes[-1].kill()
    yield
    ground.nodes[-1].start()
    wait_until("the cluster is whole", lambda: is_whole(ground.nodes))


FAULTS = {
    "killed": Fault("SIGKILL; started again with nothing in it", killed, "server"),
    "frozen": Fault("SIGSTOP", frozen, "server"),
    "slow": Fault(f"a line that takes {SLOW_MS} ms", slow, "server", has_slow_line=True),
    "read-only": Fault("takes no writes, answers reads", read_only, "writes"),
    "out-of-memory": Fault("full, and may throw nothing away", out_of_memory, "writes"),
    "full": Fault("full, and throws away what it has", full),
    "restarted": Fault("ended and started again with what it had, twice", restarted),
    "cluster": Fault("three nodes, of which one is killed", a_node_killed, is_cluster=True),
}


@dataclass(frozen=True)
class Times:
    """When it was broken and mended, and when all was over."""

    begun: float
    broken: float
    mended: float
    ended: float


def pass_through(fault: Fault, ground: Ground, before: float, broken: float, after: float) -> Times:
    """Waits so many seconds before, under and after the fault."""
    begun = time.monotonic()
    time.sleep(before)
    breaks = time.monotonic()
    with fault.inflict(ground):
        time.sleep(broken)
    mended = time.monotonic()
    time.sleep(after)
    return Times(begun, breaks, mended, time.monotonic())
