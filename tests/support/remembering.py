"""What the tests of the cache share: callers whose questions are counted where they arrive, and crowds of them.

Questions have no temperature to speak of and a word that nobody has used before, so that no test meets
another's answers.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support import simlog
from support.processes import Daemon
from support.raw import Connection, Response, ask, chat, complete, head
from support.upstream import (
    STREAM_HEAD,
    Request,
    Upstream,
    chunk,
    completion,
    frame,
    reply,
)
from support.waiting import wait_until

CHAT = "/v1/chat/completions"
HIT = "hit; tier=memory"


def question(model: str = "mock/instant", content: str = "tell me", **options) -> dict:
    """A chat that nobody has asked before and that may be remembered."""
    return chat(model, f"{content} {uuid.uuid4().hex}", **{"temperature": 0, **options})


def told(response: Response) -> str | None:
    """What an answer says of the cache."""
    return response.header("x-tidegate-cache")


def again(question: Callable[[], Response]) -> Response:
    """Asks the same once more; where the answer before is still being kept, the two share one call, and it is
    asked once again."""
    return wait_until(
        "an answer that is not shared", lambda: (r := question()) and (told(r) != "coalesced") and r
    )


@dataclass
class Caller:
    """One who asks a gateway before the simulated provider, under one request id of its own."""

    gateway: Daemon
    mock: Daemon
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ask(self, body: dict | bytes, path: str = CHAT, **headers: str) -> Response:
        return complete(self.gateway.port, body, path, **{"x-request-id": self.mark, **headers})

    def again(self, body: dict | bytes, path: str = CHAT, **headers: str) -> Response:
        return again(lambda: self.ask(body, path, **headers))

    @property
    def calls(self) -> list[dict]:
        """The provider's calls, oldest first."""
        return simlog.about(self.mock, self.mark)


# A provider of the test's own


def numbered(prefix: str = "answer") -> Callable:
    """An answer that says how many were given before it, in the form that is asked for."""
    count = iter(range(1, 1_000_000))

    def answer(connection, request: Request) -> None:
        connection.sendall(spoken(request, f"{prefix} {next(count)}"))

    return answer


def spoken(request: Request, text: str) -> bytes:
    """A whole answer of this text, or a stream, as the request wants."""
    if not request.json().get("stream"):
        return reply("200 OK", completion(text))
    frames = [frame({"role": "assistant", "content": ""}), frame({"content": text}), frame({}, "stop")]
    return streamed(*frames, b"data: [DONE]\n\n")


def streamed(*frames: bytes) -> bytes:
    """A whole stream of these frames."""
    return STREAM_HEAD + b"".join(map(chunk, frames)) + b"0\r\n\r\n"


def text_of(response: Response) -> str:
    """The text of a whole answer."""
    return response.json()["choices"][0]["message"]["content"]


@dataclass
class Gate:
    """An answer that waits until it is let through."""

    answer: Callable
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection, request: Request) -> None:
        self.open.wait(30)
        self.answer(connection, request)


@contextmanager
def gated(answer: Callable) -> Iterator[tuple[Upstream, Gate]]:
    """A provider that answers once its gate is opened; it is opened at the end in any case."""
    gate = Gate(answer)
    with Upstream(gate) as upstream:
        try:
            yield upstream, gate
        finally:
            gate.open.set()


# Crowds

IN_FLIGHT = re.compile(r"^tidegate_requests_in_flight\{[^}]*\} (\d+)", re.MULTILINE)


def in_flight(gateway: Daemon) -> int:
    """Requests that the gateway has begun and not ended."""
    metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
    return sum(map(int, IN_FLIGHT.findall(metrics)))


@contextmanager
def crowd(gateway: Daemon, body: dict, count: int, path: str = CHAT, **headers: str):
    """So many connections that have asked the same and read nothing yet, all of them under way."""
    data = json.dumps(body).encode()
    named = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    request = head("POST", path, gateway.port, data, named) + data
    before = in_flight(gateway)
    connections = [Connection(gateway.port) for _ in range(count)]
    try:
        for connection in connections:
            connection.send(request)
        wait_until("all are under way", lambda: in_flight(gateway) >= before + count)
        yield connections
    finally:
        for connection in connections:
            connection.socket.close()


def answers(connections: list[Connection]) -> list[Response]:
    """What each of a crowd is answered."""
    return [connection.response("POST") for connection in connections]
