"""HTTP/1.1 as bytes on a socket: what no well-behaved client can send, and answers byte by byte.

Not a client for general use: it trusts its own tests. Every body it reads is searched for canary secrets.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from support.secrets import assert_no_secret

WAIT_SECONDS = 15.0


class Closed(Exception):
    """The peer ended the connection where bytes were expected."""


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The header's value; names are compared without case."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> dict:
        """The OpenAI error object, whose four members must all be there."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and error["message"], error
        assert isinstance(error["type"], str), error
        return error


class Connection:
    """One TCP connection to the gateway."""

    def __init__(self, port: int, receive_buffer_bytes: int | None = None):
        self.port = port
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(WAIT_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.unread = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exception) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends what the peer will take: one that has answered early may have stopped reading."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Sends one well-formed request and reads its answer."""
        self.send(head(method, path, self.port, body, headers) + (body or b""))
        return self.response(method)

    def post(self, body: bytes | dict, path: str = "/v1/chat/completions", **headers: str) -> Response:
        """A JSON request; a dictionary is encoded first."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, data, {"content-type": "application/json", **named})

    def response(self, method: str = "GET") -> Response:
        """The next answer on the connection, its body whole."""
        status, headers = self.response_head()
        names = {name: value for name, value in headers}
        if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
            body = b""
        elif "chunked" in names.get("transfer-encoding", ""):
            body = b"".join(self.chunks())
        elif "content-length" in names:
            body = self.exactly(int(names["content-length"]))
        else:
            body = self.until_closed()
        assert_no_secret(body, "a response's body")
        return Response(status, headers, body)

    def response_head(self) -> tuple[int, list[tuple[str, str]]]:
        """The status and the headers, names in lower case."""
        block = self.until(b"\r\n\r\n")
        assert_no_secret(block, "a response's head")
        line, *rows = block[:-4].decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        pairs = (row.split(":", 1) for row in rows)
        return int(status), [(name.lower(), value.strip()) for name, value in pairs]

    def chunks(self):
        """The chunks of a chunked body, each as it was sent, to the proper end."""
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            yield self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"

    def until(self, mark: bytes) -> bytes:
        """All bytes to the mark and the mark itself."""
        while mark not in self.unread:
            self._read()
        found, _, self.unread = self.unread.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        while len(self.unread) < count:
            self._read()
        found, self.unread = self.unread[:count], self.unread[count:]
        return found

    def until_closed(self) -> bytes:
        """All bytes to the end of the connection, however it ends."""
        try:
            while True:
                self._read()
        except Closed:
            found, self.unread = self.unread, b""
            return found

    def _read(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(f"closed after {self.unread[:200]!r}")
        self.unread += data


def head(method: str, path: str, port: int, body: bytes | None, headers: dict[str, str] | None) -> bytes:
    """A request's head, with `Host` and `Content-Length` unless the headers give them."""
    rows = {"host": f"127.0.0.1:{port}", **(headers or {})}
    if body is not None:
        rows.setdefault("content-length", str(len(body)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in rows.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
    """One request on a connection of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with Connection(port) as connection:
        return connection.request(method, path, body, named)


def chat(model: str, content: str = "hello", **options: Any) -> dict:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": content}], **options}


def complete(port: int, body: dict | bytes, path: str = "/v1/chat/completions", **headers: str) -> Response:
    """One JSON request on a connection of its own."""
    with Connection(port) as connection:
        return connection.post(body, path, **headers)


def events(body: bytes) -> list[str]:
    """The data of an SSE body's frames. Fails on any line that OpenAI's SDKs cannot read."""
    found = []
    for frame in body.decode().replace("\r\n", "\n").split("\n\n"):
        data = []
        for line in filter(None, frame.split("\n")):
            assert line.startswith(("data:", ":")), f"a line the SDKs cannot read: {line!r}"
            if line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
        if data:
            found.append("\n".join(data))
    return found
