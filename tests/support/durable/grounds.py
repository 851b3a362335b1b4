"""Databases that are away for a while, each in its own way: locked by somebody else, on a disk without room, gone."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import configuration
from support.postgres import Postgres
from support.processes import Daemon

# A file that may not grow ends who tries, unless the signal is muted first: then it is a failed write, as on a full
# disk. The muting is inherited.
MUTED = ("sh", "-c", 'trap "" XFSZ; exec "$@"', "sh")
# Less than two pages of a write-ahead log; enough for the gateway's own log.
ROOM_BYTES = 8192


@dataclass
class Ground:
    """A database, as a gateway is told of it, and the way to take it away from that gateway."""

    table: str
    inflict: Callable[[Daemon], AbstractContextManager]
    # What starts the gateway.
    under: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    text: str
    ground: Callable[[Path], AbstractContextManager[Ground]]
    # Usual length.
    seconds: int


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes to an SQLite file, and does not come to an end."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def without_room(gateway: Daemon) -> Iterator[None]:
    """The gateway can write to no file but near its beginning: no step of an order fits there. Needs no rights."""
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        yield
    finally:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def gone(server: Postgres) -> Iterator[None]:
    """Ended as by a loss of power, and started again."""
    server.crash()
    yield
    server.start()


@contextmanager
def _locked_sqlite(folder: Path) -> Iterator[Ground]:
    file = folder / "tidegate.db"
    yield Ground(configuration.table("store", url=f"sqlite:{file}"), lambda _: locked(file))


@contextmanager
def _sqlite_without_room(folder: Path) -> Iterator[Ground]:
    table = configuration.table("store", url=f"sqlite:{folder / 'tidegate.db'}")
    yield Ground(table, without_room, MUTED)


@contextmanager
def _postgres(_folder: Path) -> Iterator[Ground]:
    with Postgres() as server:
        url = server.url(server.create_database())
        yield Ground(configuration.table("store", url=url), lambda _: gone(server))


FAULTS = {
    "locked": Fault("SQLite, locked by another process", _locked_sqlite, 30),
    "full": Fault("SQLite, on a disk that is full", _sqlite_without_room, 30),
    "gone": Fault("PostgreSQL, gone", _postgres, 60),
}
