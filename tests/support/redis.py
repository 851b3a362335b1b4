"""Redis processes of a test's own: killed, frozen, told to misbehave, and brought back where they were.

Not here: what a gateway makes of it.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes import free_port, listening
from support.waiting import wait_until

# Below the range that the system takes ports from: what tries to reconnect to a dead server in that range can
# happen to connect to itself.
PORTS = range(15_000, 22_000)
# A cluster's nodes talk on a second port, so far above the first.
BUS_ABOVE = 10_000
NODE_TIMEOUT_MS = 2000
SLOTS = ("0 5461", "5462 10922", "10923 16383")


class Redis:
    """One server on a loopback port. It keeps on disk only what it is told to save."""

    def __init__(self, folder: Path, *options: str):
        if not shutil.which("redis-server"):
            raise FileNotFoundError("redis-server is missing: install Debian's package of that name")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options = folder, options
        self.port = _port()
        self.process: subprocess.Popen | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it where it was, with what it has on disk."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*leash, *command, "--dir", str(self.folder), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until("Redis answers", self._answers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Ends it as an operator does, with all that it holds saved, and starts it again."""
        self.tell("SAVE")
        self.process.terminate()
        self.process.wait(10)
        self.start()

    def tell(self, command: str) -> str:
        """Sends a command of plain words on a connection of its own; its answer as it comes, told of errors."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            answer = _answer(connection.makefile("rb"))
        if answer.startswith("-"):
            raise RuntimeError(f"{command}: {answer}")
        return answer

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Redis ended at its start: {(self.folder / 'log').read_text()}")
        try:
            return listening(self.port) and self.tell("PING") == "+PONG"
        except (OSError, RuntimeError):  # It is loading what it had.
            return False

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *_exception) -> None:
        self.kill()


@contextmanager
def cluster(folder: Path) -> Iterator[list[Redis]]:
    """Three masters with a third of the slots each, and nobody to take over from them."""
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
    nodes: list[Redis] = []
    try:
        for number in range(len(SLOTS)):
            nodes.append(Redis(folder / f"node-{number}", *options))
        for number, (node, slots) in enumerate(zip(nodes, SLOTS, strict=True)):
            node.tell(f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
            node.tell(f"CLUSTER ADDSLOTSRANGE {slots}")
            node.tell(f"CLUSTER MEET 127.0.0.1 {nodes[0].port}")
        wait_until("the nodes are a cluster", lambda: is_whole(nodes))
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def is_whole(nodes: Iterable[Redis]) -> bool:
    """Whether every node sees all slots served and all others there."""
    states = [node.tell("CLUSTER INFO") for node in nodes]
    return all("cluster_state:ok" in state and "cluster_known_nodes:3" in state for state in states)


def _answer(stream) -> str:
    line = stream.readline().decode().rstrip()
    if not line.startswith("$") or line == "$-1":
        return line
    return stream.read(int(line[1:])).decode()


def _port() -> int:
    """A port that is free now, and with it the one where a cluster's node would talk."""
    for port in random.sample(PORTS, 200):
        if not listening(port) and not listening(port + BUS_ABOVE):
            return port
    return free_port()
