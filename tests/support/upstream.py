"""A provider that answers with exactly the bytes a test gives it, and keeps what it was asked.

The simulated provider (`tidegate mock`) covers what providers do; this one covers what they should not.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Request:
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def json(self) -> dict:
        return json.loads(self.body)


Answer = Callable[[socket.socket, Request], None]


@dataclass
class Upstream:
    """A server on a free loopback port, a thread a connection, until the `with` block ends."""

    answer: Answer
    requests: list[Request] = field(default_factory=list)
    # The most connections that were open at once.
    most_open: int = 0

    def __enter__(self) -> Upstream:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception) -> None:
        # shutdown wakes the thread that waits in accept; close alone would not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self.most_open = max(self.most_open, len(self._open))
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while request := read_request(connection):
                    self.requests.append(request)
                    self.answer(connection, request)
        except OSError:
            pass  # the gateway or the answer itself closed the connection
        finally:
            self._open.discard(connection)


class Serving:
    """A provider, or another who is asked, of a test's own, until the `with` block ends: `_answer` says what."""

    def __init__(self) -> None:
        self._upstream = Upstream(self._answer)

    def __enter__(self) -> Self:
        self._upstream.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._upstream.__exit__(*exception)

    @property
    def port(self) -> int:
        return self._upstream.port

    def _answer(self, connection: socket.socket, request: Request) -> None:
        raise NotImplementedError


def fails(connection: socket.socket, _request: Request) -> None:
    connection.sendall(reply("500 Internal Server Error", b'{"error":{"message":"no"}}'))


def answers(connection: socket.socket, _request: Request) -> None:
    connection.sendall(reply("200 OK", completion()))


def read_request(connection: socket.socket) -> Request | None:
    """The next request on the connection, or nothing where the peer has closed it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(Request(head, b"").header("content-length") or 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    return Request(head, body)


def reset(connection: socket.socket) -> None:
    """Ends the connection with a TCP reset instead of an orderly close."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """A whole answer with a length."""
    rows = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(rows) + "\r\n\r\n").encode() + body


def completion(content: str = "fine") -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()


def frame(delta: dict, finish: str | None = None) -> bytes:
    """One `data:` frame of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM = [
    frame({"role": "assistant", "content": ""}),
    frame({"content": "Hello"}),
    frame({"content": " there"}),
    frame({}, "stop"),
    b"data: [DONE]\n\n",
]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
