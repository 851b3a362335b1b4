"""HTTP/1.1 framing: whatever two servers could read differently is refused, and nothing hangs."""

from __future__ import annotations

import json
import time

import pytest
from support.raw import Closed, Connection, ask, chat, head

pytestmark = pytest.mark.usefixtures("still_well")

BODY = json.dumps(chat("mock/instant", max_tokens=2)).encode()
# What an attacker would slip to the next reader of the connection.
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# Longer than every time-out of the corpus' gateway.
CLOSED_SECONDS_MAX = 8.0


def post_head(*rows: str) -> bytes:
    """The head of a chat completion with exactly these rows beside Host and the media type."""
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *rows]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def statuses(port: int, data: bytes) -> list[int]:
    """Sends the bytes and reads answers until the gateway closes, as it does with the idle and the slow."""
    found = []
    with Connection(port) as connection:
        connection.send(data)
        try:
            while True:
                found.append(connection.response().status)
        except Closed:
            return found


AMBIGUOUS = {
    "a length and chunks": post_head(f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "chunks and a length": post_head("Transfer-Encoding: chunked", "Content-Length: 4")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "two lengths": post_head("Content-Length: 0", f"Content-Length: {len(BODY)}") + BODY + SMUGGLED,
    "a list of lengths": post_head(f"Content-Length: 0, {len(BODY)}") + BODY + SMUGGLED,
    "a negative length": post_head("Content-Length: -1") + BODY,
    "a signed length": post_head(f"Content-Length: +{len(BODY)}") + BODY,
    "a hexadecimal length": post_head(f"Content-Length: {len(BODY):#x}") + BODY,
    "a length with a blank": post_head("Content-Length: 1 0") + BODY,
    "an empty length": post_head("Content-Length:") + BODY,
    "a length beyond 64 bits": post_head("Content-Length: 99999999999999999999") + BODY,
    "chunks twice": post_head("Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunks, then identity": post_head("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + SMUGGLED,
    "an unknown coding": post_head("Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SMUGGLED,
    "a coding with a tab": post_head("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n" + SMUGGLED,
    "a blank before the colon": post_head(f"Content-Length : {len(BODY)}") + BODY,
    "a blank before the coding's colon": post_head("Transfer-Encoding : chunked") + b"0\r\n\r\n" + SMUGGLED,
    "a folded row": post_head("X-A: b\r\n c", f"Content-Length: {len(BODY)}") + BODY,
    "a folded length": post_head(f"Content-Length:\r\n {len(BODY)}") + BODY,
    "a bare line feed between rows": post_head(f"X-A: b\nContent-Length: {len(BODY)}") + BODY,
    "bare line feeds throughout": post_head(f"Content-Length: {len(BODY)}").replace(b"\r\n", b"\n") + BODY,
    "a bare carriage return": post_head("X-A: b\rc", f"Content-Length: {len(BODY)}") + BODY,
    "NUL in a value": post_head("X-A: b\x00c", f"Content-Length: {len(BODY)}") + BODY,
    "NUL in a name": post_head("X-\x00A: b", f"Content-Length: {len(BODY)}") + BODY,
    "a row without a colon": post_head("hello", f"Content-Length: {len(BODY)}") + BODY,
    "a row without a name": post_head(": b", f"Content-Length: {len(BODY)}") + BODY,
    "a blank in the target": SMUGGLED.replace(b"/v1/models", b"/v1/ models"),
    "another version": SMUGGLED.replace(b"HTTP/1.1", b"HTTP/9.9"),
    "no version": b"GET /\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    "a bad chunk size": post_head("Transfer-Encoding: chunked") + b"zz\r\n" + BODY,
    "a chunk size beyond 64 bits": post_head("Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n" + BODY,
    "a signed chunk size": post_head("Transfer-Encoding: chunked") + b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": post_head("Transfer-Encoding: chunked") + b"2\r\nhello\r\n0\r\n\r\n",
    "a chunk ended by a bare line feed": post_head("Transfer-Encoding: chunked") + b"5\nhello\n0\n\n",
    "an endless chunk extension": post_head("Transfer-Encoding: chunked")
    + b"5;"
    + b"x" * 100_000
    + b"\r\nhello\r\n0\r\n\r\n",
    "random bytes": bytes(range(256)) * 16,
    "a TLS hello": bytes.fromhex("160301020001000001fc0303") + bytes(500),
    "an SSH greeting": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_framing_is_refused_and_nothing_is_smuggled(gateway, data):
    found = statuses(gateway.port, data)
    # Refused by a status or by closing; never served, and never a second answer.
    assert len(found) <= 1, found
    assert all(400 <= status < 600 for status in found), found


def test_a_head_over_the_limit_is_too_large(gateway):
    rows = [f"X-{number}: {'x' * 4000}" for number in range(20)]
    assert statuses(gateway.port, post_head(*rows, "Content-Length: 0")) == [431]


def test_one_giant_header_is_too_large(gateway):
    assert statuses(gateway.port, post_head("X-A: " + "x" * 200_000, "Content-Length: 0")) == [431]


def test_two_hundred_headers_are_too_many(gateway):
    rows = [f"X-{number}: y" for number in range(200)]
    assert statuses(gateway.port, post_head(*rows, "Content-Length: 0")) == [431]


def test_a_giant_target_is_refused(gateway):
    [status] = statuses(gateway.port, b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert status in (414, 431)


def test_pipelined_requests_are_answered_in_order(gateway):
    health = head("GET", "/health", gateway.port, None, None)
    unknown = head("GET", "/no/such/path", gateway.port, None, None)
    whole = (
        head("POST", "/v1/chat/completions", gateway.port, BODY, {"content-type": "application/json"}) + BODY
    )
    with Connection(gateway.port) as connection:
        connection.send(health + whole + unknown + health)
        assert [connection.response().status for _ in range(4)] == [200, 200, 404, 200]


def test_what_follows_a_refused_body_is_not_read_as_its_end(gateway):
    bad = head("POST", "/v1/chat/completions", gateway.port, b"{", None) + b"{"
    with Connection(gateway.port) as connection:
        connection.send(bad + head("GET", "/health", gateway.port, None, None))
        assert connection.response().status == 400
        assert connection.response().status == 200


def closed_after(connection: Connection) -> tuple[float, bytes]:
    """Seconds until the gateway closes the connection, and what it said before."""
    begun = time.monotonic()
    connection.socket.settimeout(CLOSED_SECONDS_MAX)
    said = connection.until_closed()
    return time.monotonic() - begun, said


def test_a_head_that_never_ends_is_closed(gateway):
    with Connection(gateway.port) as connection:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        seconds, said = closed_after(connection)
        assert seconds < CLOSED_SECONDS_MAX
        assert said == b"" or said.startswith(b"HTTP/1.1 408")


def test_a_head_that_drips_is_closed(gateway):
    with Connection(gateway.port) as connection:
        begun = time.monotonic()
        # A byte every 100 ms would keep a per-read time-out alive for ever.
        while time.monotonic() - begun < CLOSED_SECONDS_MAX:
            connection.socket.settimeout(0.1)
            connection.send(b"x")
            try:
                if not connection.socket.recv(1):
                    return
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
            else:
                return  # an answer, which the close follows
        raise AssertionError("still open")


def test_a_connection_that_says_nothing_is_closed(gateway):
    with Connection(gateway.port) as connection:
        _, said = closed_after(connection)
        assert said == b"" or said.startswith(b"HTTP/1.1 408")


def test_a_body_that_never_comes_is_a_timeout(gateway):
    with Connection(gateway.port) as connection:
        connection.send(
            head("POST", "/v1/chat/completions", gateway.port, None, {"content-length": "100"}) + b'{"model"'
        )
        response = connection.response()
        assert response.status == 408
        assert response.error()["type"]


def test_a_caller_who_hangs_up_in_its_body_harms_nobody(gateway):
    for sent in (b"", b"{", BODY[:-1]):
        with Connection(gateway.port) as connection:
            connection.send(head("POST", "/v1/chat/completions", gateway.port, BODY, None) + sent)
    assert ask(gateway.port, "GET", "/health").status == 200


def test_five_hundred_connections_that_say_nothing_keep_nobody_out(gateway):
    idle = [Connection(gateway.port) for _ in range(500)]
    try:
        assert ask(gateway.port, "GET", "/health").status == 200
    finally:
        for connection in idle:
            connection.socket.close()
