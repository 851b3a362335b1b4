"""What providers should not do, byte by byte, and what the caller is told of it."""

from __future__ import annotations

import email.utils
import json
import threading
import time

import pytest
from support import configuration
from support.raw import chat, complete, events
from support.upstream import STREAM, STREAM_HEAD, Upstream, chunk, completion, reply, reset

# Long enough for a loaded machine to answer, short enough to wait for.
TIMEOUTS = 'timeouts = { connect = "1s", first_token = "500ms", between_tokens = "500ms", total = "3s" }'


def hang(_connection, _request) -> None:
    threading.Event().wait(10)


def sends(*parts: bytes, then=lambda connection: connection.close()):
    """An answer of these bytes, after which the connection is closed, or what `then` does."""

    def answer(connection, _request) -> None:
        for part in parts:
            connection.sendall(part)
        then(connection)

    return answer


def truncated(connection, _request) -> None:
    connection.sendall(reply("200 OK", completion())[:-10])
    connection.close()


def error(message: str, param: str | None = None) -> bytes:
    """An error's body as OpenAI writes it."""
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return json.dumps({"error": body}).encode()


WHOLE = {
    "hangs": (hang, 504),
    "resets before the head": (sends(then=reset), 502),
    "closes before the head": (sends(), 502),
    "half a head": (sends(b"HTTP/1.1 200 OK\r\ncontent-ty"), 502),
    "is no HTTP": (sends(b"220 smtp.example ESMTP\r\n"), 502),
    "random bytes": (sends(bytes(range(256)) * 8), 502),
    "two lengths": (sends(reply("200 OK", b"{}", "content-length: 5")), 502),
    "a body cut short": (truncated, 502),
    "a body reset": (sends(reply("200 OK", completion())[:-10], then=reset), 502),
    "a body that stalls": (lambda c, r: (c.sendall(reply("200 OK", completion())[:-10]), hang(c, r)), 504),
    "chunks cut short": (
        sends(STREAM_HEAD.replace(b"text/event-stream", b"application/json"), chunk(completion())),
        502,
    ),
    "an empty body": (sends(reply("200 OK", b"")), 502),
    "words": (sends(reply("200 OK", b"All is well.")), 502),
    "a web page": (sends(reply("200 OK", b"<html>", "x-a: b")), 502),
    "an array": (sends(reply("200 OK", b"[]")), 502),
    "invalid UTF-8": (sends(reply("200 OK", b'{"a":"\xff"}')), 502),
    "arrays 10,000 deep": (sends(reply("200 OK", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}")), 502),
    "half of its JSON": (sends(reply("200 OK", completion()[:-1])), 502),
    "a redirect": (sends(reply("302 Found", b"", "location: http://127.0.0.1:1/")), 502),
    "not modified": (sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"), 502),
    "no content": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), 502),
    "a switch of protocols": (
        sends(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        502,
    ),
    "a giant head": (sends(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000 + b"\r\n\r\n"), 502),
    "a stream unasked": (sends(STREAM_HEAD, *map(chunk, STREAM), b"0\r\n\r\n"), 502),
    "an internal error": (sends(reply("500 Oops", b'{"error":{"message":"oops"}}')), 502),
    "an error without a body": (sends(reply("503 Oops", b"")), 502),
    "an error that is no JSON": (sends(reply("500 Oops", b"<html>oops</html>")), 502),
    "our key is wrong": (sends(reply("401 No", b'{"error":{"message":"bad key"}}')), 502),
    "our account is empty": (sends(reply("402 No", b'{"error":{"message":"pay"}}')), 502),
    "a rate limit": (sends(reply("429 Slow", b'{"error":{"message":"slow down"}}')), 503),
    "the request is wrong": (
        sends(reply("400 Bad", error("bad temperature", "temperature"))),
        400,
    ),
    "no such model there": (sends(reply("404 No", error("no model m", "model"))), 404),
}


# Where a stream is asked for, a stream is right, and a whole answer wrong before it ends.
IN_A_STREAM = {WHOLE["a stream unasked"][0]: 200, WHOLE["a body that stalls"][0]: 502}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("answer", "status"), WHOLE.values(), ids=WHOLE.keys())
def test_an_answer_that_is_none_has_the_status_of_its_fault(launch, answer, status, stream):
    if stream:
        status = IN_A_STREAM.get(answer, status)
    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port, TIMEOUTS))
        response = complete(gateway.port, chat("up/m", stream=stream))
        assert response.status == status, response.body[:500]
        if status == 200:
            assert events(response.body)[-1] == "[DONE]"
        else:
            assert response.error()
            assert response.header("x-request-id")
        if status == 503:
            assert int(response.header("retry-after")) >= 1
        assert complete(gateway.port, chat("sim/instant")).status == 200, "another provider answers on"


def test_a_provider_nobody_hears_is_a_bad_gateway(launch):
    with Upstream(hang) as upstream:
        port = upstream.port
    gateway = launch(configuration.provider("up", port, TIMEOUTS))
    assert complete(gateway.port, chat("up/m")).status == 502


@pytest.mark.parametrize(
    "status", ["400 Bad", "401 No", "403 No", "404 No", "422 Bad", "429 Slow", "500 Oops", "302 Found"]
)
def test_a_provider_that_repeats_our_key_is_not_repeated(launch, status):
    """The raw client and the log's judge search every byte for the canary."""

    def echo(connection, request) -> None:
        head = request.head.decode("latin-1")
        body = {"error": {"message": head, "type": head, "param": head, "code": head}, "request": head}
        connection.sendall(
            reply(status, json.dumps(body).encode(), f"x-echo: {request.header('authorization')}")
        )

    with Upstream(echo) as upstream:
        gateway = launch('[log]\nlevel = "trace"\n', configuration.provider("up", upstream.port))
        for stream in (False, True):
            assert complete(gateway.port, chat("up/m", stream=stream)).status >= 400
        assert upstream.requests[0].header("authorization")


RETRY_AFTER = {
    "seconds": (["retry-after: 7"], (7, 7)),
    "decimal": (["retry-after: 1.5"], (2, 2)),
    "milliseconds first": (["retry-after-ms: 3500", "retry-after: 30"], (4, 4)),
    "a date": (["retry-after: {soon}"], (15, 21)),
    "a date gone by": (["retry-after: Wed, 21 Oct 2015 07:28:00 GMT"], (0, 1)),
    "a year": (["retry-after: 31536000"], (1, 60)),
    "beyond 64 bits": (["retry-after: 99999999999999999999999"], (0, 60)),
    "negative": (["retry-after: -5"], (0, 60)),
    "infinite": (["retry-after: inf"], (0, 60)),
    "not a number": (["retry-after: NaN"], (0, 60)),
    "words": (["retry-after: soon"], (0, 60)),
    "empty": (["retry-after:"], (0, 60)),
    "absent": ([], (0, 60)),
    "twice": (["retry-after: 5", "retry-after: 9"], (5, 9)),
}


@pytest.mark.parametrize(("rows", "bounds"), RETRY_AFTER.values(), ids=RETRY_AFTER.keys())
def test_whatever_the_provider_says_of_waiting_the_caller_can_read_it(launch, rows, bounds):
    # A date is made when it is needed: the tests before this one take their time.
    soon = email.utils.formatdate(time.time() + 20, usegmt=True)
    rows = [row.format(soon=soon) for row in rows]
    with Upstream(sends(reply("429 Slow", b"{}", *rows))) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        response = complete(gateway.port, chat("up/m"))
        assert response.status == 503
        least, most = bounds
        assert least <= int(response.header("retry-after")) <= most


# Streams


def streamed(port: int) -> tuple[int, list[str]]:
    """The status, and the events of the stream or of the error's one body."""
    response = complete(port, chat("up/m", stream=True))
    return response.status, events(response.body) if response.status == 200 else [
        json.dumps(response.error())
    ]


def failed(status: int, told: list[str]) -> bool:
    """Whether the caller was told of a failure: by the status, or by an error event that ends the stream."""
    return status >= 500 or ("[DONE]" not in told and "error" in json.loads(told[-1]))


WHOLE_STREAM = b"".join(STREAM)


@pytest.mark.parametrize("orderly", [True, False], ids=["closed", "cut"])
def test_a_stream_cut_at_any_byte_ends_with_an_error(launch, orderly):
    cut = 0

    def answer(connection, _request) -> None:
        connection.sendall(STREAM_HEAD)
        if cut:
            connection.sendall(chunk(WHOLE_STREAM[:cut]))
        if orderly:
            connection.sendall(b"0\r\n\r\n")
        connection.close()

    # Once `data: [DONE]` has come whole, nothing is missing but the line ends.
    complete_from = len(WHOLE_STREAM) - 2
    with Upstream(answer) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        for cut in range(len(WHOLE_STREAM) + 1):
            status, told = streamed(gateway.port)
            if cut < complete_from:
                assert failed(status, told), (cut, told)
            assert all(event == "[DONE]" or json.loads(event) for event in told), "no half frame"
            if cut == len(WHOLE_STREAM):
                assert status == 200 and told[-1] == "[DONE]"


def test_a_stream_that_arrives_byte_by_byte_is_the_same_stream(launch):
    def answer(connection, _request) -> None:
        connection.sendall(STREAM_HEAD)
        for byte in WHOLE_STREAM:
            connection.sendall(chunk(bytes([byte])))
        connection.sendall(b"0\r\n\r\n")

    with Upstream(answer) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        status, told = streamed(gateway.port)
        assert status == 200
        assert told == [frame.decode().removeprefix("data: ").strip() for frame in STREAM]


def stream_of(*frames: bytes, then=lambda connection: connection.sendall(b"0\r\n\r\n")):
    return sends(STREAM_HEAD, *map(chunk, frames), then=then)


BROKEN_STREAMS = {
    "stalls": stream_of(*STREAM[:2], then=lambda connection: threading.Event().wait(10)),
    "resets": stream_of(*STREAM[:2], then=reset),
    "no end marker": stream_of(*STREAM[:-1]),
    "garbage": stream_of(*STREAM[:2], b"data: \x00\xff not json\n\n", *STREAM[2:]),
    "half a frame of JSON": stream_of(*STREAM[:2], b'data: {"choices":[\n\n', *STREAM[2:]),
    "a web page": stream_of(*STREAM[:2], b"<html>\n\n"),
    "a frame without end": stream_of(*STREAM[:2], b"data: {" + b"x" * 3_000_000),
    "an error": stream_of(*STREAM[:2], b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
}


@pytest.mark.parametrize("answer", BROKEN_STREAMS.values(), ids=BROKEN_STREAMS.keys())
def test_a_stream_that_breaks_ends_with_one_error_event(launch, answer):
    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port, TIMEOUTS))
        status, told = streamed(gateway.port)
        assert status == 200
        assert failed(status, told), told
        assert sum("error" in json.loads(event) for event in told) == 1
        assert complete(gateway.port, chat("sim/instant")).status == 200


ODD_STREAMS = {
    "carriage returns": b"".join(STREAM).replace(b"\n", b"\r\n"),
    "comments": b": ping\n\n" + b": ping\n\n".join(STREAM),
    "ids, retries and names": b"".join(b"event: message\nid: 7\nretry: 10\n" + frame for frame in STREAM),
    "no blank after the colon": b"".join(STREAM).replace(b"data: ", b"data:"),
    "a byte-order mark": b"\xef\xbb\xbf" + b"".join(STREAM),
    "more after the end": b"".join(STREAM) + STREAM[1],
    "empty events": b"\n\n\n" + b"\n\n".join(STREAM),
    "a ping with a name": b"event: ping\n\n" + b"".join(STREAM),
}


@pytest.mark.parametrize("data", ODD_STREAMS.values(), ids=ODD_STREAMS.keys())
def test_an_odd_stream_reaches_the_caller_as_every_sdk_reads_it(launch, data):
    with Upstream(sends(STREAM_HEAD, chunk(data), b"0\r\n\r\n")) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        status, told = streamed(gateway.port)
        assert status == 200
        assert [event if event == "[DONE]" else json.loads(event) for event in told] == [
            *(json.loads(frame.removeprefix(b"data: ")) for frame in STREAM[:-1]),
            "[DONE]",
        ]


def test_a_caller_s_own_deadline_is_kept(launch):
    with Upstream(hang) as upstream:
        gateway = launch(configuration.UNGUARDED, configuration.provider("up", upstream.port))
        begun = time.monotonic()
        response = complete(gateway.port, chat("up/m"), **{"x-tidegate-timeout-ms": "300"})
        assert response.status == 504
        # Far from the provider's own 30 s; no finer, for the machine may be busy.
        assert time.monotonic() - begun < 10
