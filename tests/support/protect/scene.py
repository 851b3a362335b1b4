"""Where misfortunes happen: an alias that leads to the provider that fails, and two others to fall back on.

The provider is a simulated one, or one that writes anything, or one that is not there, or one that takes no
connection. For each there are two aliases. `strict` is as aliases are: whoever may have accepted a request is the
last to be asked. `eager` has opted in to be asked twice.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration
from support.processes import Daemon, free_port
from support.protect.misfortunes import MISFORTUNES
from support.protect.providers import Call
from support.protect.stand import MODEL, Stand, alias, generous_retries, never_trips, provider, stand
from support.raw import Response, chat
from support.redis import Redis
from support.upstream import Request, Upstream

STRICT, EAGER = "strict", "eager"
MODES = (STRICT, EAGER)
TRIES_MAX = 3
# More than ever ask at once.
CALLERS_MAX = 64


@dataclass
class Question:
    """One request, and what came of it."""

    misfortune: str
    mode: str
    stream: bool
    # Through a flight, as what may be remembered goes; or directly.
    is_shared: bool
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    response: Response | None = None
    fault: str = ""
    seconds: float = 0.0

    @property
    def content(self) -> str:
        """Nobody else asks the same where answers are shared."""
        return f"tell me of {self.mark}" if self.is_shared else "tell me"

    def body(self, model: str) -> dict:
        options = {"temperature": 0} if self.is_shared else {}
        return chat(model, self.content, stream=self.stream, **options)


class Scene:
    """The stand, and the providers that are no processes: one that writes anything, one that is not there, one
    that takes no connection."""

    def __init__(self, stand: Stand, odd: Upstream, script: OddScript):
        self.stand, self.odd, self.script = stand, odd, script
        self.spoken: dict[str, tuple[str, str]] = {}

    @property
    def gateway(self) -> Daemon:
        return self.stand.gateway

    def calls(self) -> dict[str, list[Call]]:
        """Every call by request id, those at the odd provider among them."""
        self.stand.account.take()
        found = self.stand.account.calls()
        for request in list(self.odd.requests):
            mark = request.header("x-request-id") or ""
            found.setdefault(mark, []).append(Call("odd", mark, 0, None, None))
        return found

    def expected(self, question: Question) -> tuple[str, str]:
        """What the providers say to it: they all say the same."""
        if question.content not in self.spoken:
            answer = self.stand.providers["third"].says(chat(MODEL, question.content))
            (choice,) = json.loads(answer)["choices"]
            self.spoken[question.content] = choice["message"]["content"], choice["finish_reason"]
        return self.spoken[question.content]


class OddScript:
    """What the provider that is written by hand does next."""

    def __init__(self) -> None:
        self.answer = MISFORTUNES["no HTTP"].answer

    def __call__(self, connection: socket.socket, request: Request) -> None:
        self.answer(connection, request)


@contextmanager
def hole() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue of those who knock is full."""
    knockers = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        try:
            for _ in range(8):
                knockers.append(socket.socket())
                knockers[-1].settimeout(0.2)
                if knockers[-1].connect_ex(("127.0.0.1", port)):
                    break
            else:
                raise RuntimeError("the port takes every connection")
            yield port
        finally:
            for knocker in knockers:
                knocker.close()


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Everything in its place. The time-outs are short, and nothing keeps a call from being made: no breaker trips,
    no budget runs out, nobody waits for a permit."""
    script = OddScript()
    with Redis(folder / "redis") as redis, Upstream(script) as odd, hole() as swallowing:
        ports = {"odd": odd.port, "gone": free_port(), "hole": swallowing}
        fallback = [f"second/{MODEL}", f"third/{MODEL}"]
        aliases = [
            alias(
                f"{mode}-{name}",
                f"{name}/{MODEL}",
                fallback=fallback,
                strategy="patient",
                retry={"accepted": mode == EAGER},
            )
            for mode in MODES
            for name in ("first", *ports)
        ]
        parts = [
            configuration.table("cache.redis", url=redis.url),
            *(provider(name, port, strategy="patient") for name, port in ports.items()),
            never_trips(),
            generous_retries(tries=TRIES_MAX),
            configuration.table("guard.concurrency", algorithm="fixed", initial=CALLERS_MAX),
            *aliases,
        ]
        with stand(folder, *parts) as started:
            yield Scene(started, odd, script)


