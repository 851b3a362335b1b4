"""Simulated providers in processes of their own: frozen, killed, brought back where they were, and counted throughout.

Not here: what they are told to answer (see `support.simlog.script` and the directives of `support.prompts`).
"""

from __future__ import annotations

import json
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support import processes
from support.processes import Daemon, listening
from support.raw import ask, complete
from support.redis import PORTS

# A provider's log goes back a thousand calls.
LOG_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Call:
    """One call as the provider that got it tells it."""

    provider: str
    mark: str
    came_ms: int
    status: int | None
    outcome: str | None


class Provider:
    """One of them. Its port stays the same over its lives, and what it counted before it was killed is kept."""

    def __init__(self, name: str, folder: Path, *arguments: str):
        self.name, self.folder, self.arguments = name, folder, arguments
        self.port = _port()
        self.lock = threading.Lock()
        self.life = 0
        self.is_answering = False
        # Entries of its log, by life and number.
        self.entries: dict[tuple[int, int], dict] = {}
        self.revive()

    def revive(self) -> None:
        """Starts it, with an empty script and an empty log."""
        self.life += 1
        # The last entry of its log that was read, and those before that had not ended.
        self.seen = 0
        self.running: set[int] = set()
        listen = ["mock", "--listen", f"127.0.0.1:{self.port}", *self.arguments]
        self.daemon = Daemon(listen, self.folder / f"life-{self.life}")
        self.is_answering = True

    def kill(self) -> None:
        """Ends it without a word; connections to it are refused from now on."""
        with self.lock:
            self._take()
            self.is_answering = False
            self.daemon.kill()

    def freeze(self) -> None:
        """Stops it as it is: the kernel still takes connections and what is sent on them, and nobody reads it."""
        with self.lock:
            self.is_answering = False
            self.daemon.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        with self.lock:
            self.daemon.signal(signal.SIGCONT)
            self.is_answering = True

    def script(self, *directives: dict) -> None:
        """Tells it how to answer its next calls, one directive each."""
        response = ask(self.port, "POST", "/sim/script", json.dumps(directives).encode())
        assert response.json() == {"queued": len(directives)}, response.body

    def clear_script(self) -> int:
        """Takes the rest of its script away; how much that was."""
        return ask(self.port, "DELETE", "/sim/script").json()["removed"]

    def take(self) -> None:
        """Reads its log, where it can be read."""
        with self.lock:
            if self.is_answering:
                self._take()

    def _take(self) -> None:
        # From the first that had not ended: to read all again each time would hold up the calls under way.
        after = min(self.running, default=self.seen + 1) - 1
        entries = ask(self.port, "GET", f"/sim/log?after={after}").json()
        assert not entries or entries[0]["id"] <= after + 1, f"the log of {self.name} was not read often enough"
        for entry in entries:
            self.entries[self.life, entry["id"]] = entry
        self.seen = max((entry["id"] for entry in entries), default=self.seen)
        self.running = {entry["id"] for entry in entries if entry["outcome"] is None}

    def calls(self) -> list[Call]:
        """Every call in all its lives that had a request id."""
        return [
            Call(self.name, entry["x_request_id"], entry["received_ms"], entry["status"], entry["outcome"])
            for entry in list(self.entries.values())
            if entry["x_request_id"]
        ]

    def says(self, body: dict) -> bytes:
        """What it answers itself; such a call has no request id and is not counted."""
        response = complete(self.port, body)
        assert response.status == 200, response.body
        return response.body

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *_exception) -> None:
        if self.daemon.alive():
            self.daemon.kill()


class Account:
    """Reads the providers' logs as long as its `with` lasts, often enough to know every call."""

    def __init__(self, providers: Iterable[Provider]):
        self.providers = list(providers)
        self.over = threading.Event()
        self.broken: BaseException | None = None

    def __enter__(self) -> Account:
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.over.set()
        self.thread.join()
        if self.broken:
            raise self.broken
        self.take()

    def _read(self) -> None:
        try:
            while not self.over.wait(LOG_EVERY_SECONDS):
                self.take()
        except BaseException as fault:  # noqa: BLE001  Told where the thread is joined.
            self.broken = fault

    def take(self) -> None:
        for provider in self.providers:
            provider.take()

    def calls(self) -> dict[str, list[Call]]:
        """Every call, by request id."""
        found: dict[str, list[Call]] = defaultdict(list)
        for provider in self.providers:
            for call in provider.calls():
                found[call.mark].append(call)
        return found


def _port() -> int:
    """A port that the system gives to nobody while its provider is dead."""
    for port in random.sample(PORTS, 200):
        if not listening(port):
            return port
    return processes.free_port()
