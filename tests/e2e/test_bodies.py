"""Bodies of every size and kind of wrongness: the right status and error, on a connection that stays sane."""

from __future__ import annotations

import json

import pytest
from support.raw import Closed, Connection, chat, complete, head

pytestmark = pytest.mark.usefixtures("still_well")

MEBIBYTE = 1024 * 1024
BODY_BYTES_MAX = 10 * MEBIBYTE
MODEL = "mock/instant"
VALID = json.dumps(chat(MODEL, max_tokens=2)).encode()


def padded(size: int) -> bytes:
    """A valid chat completion of exactly this many bytes."""
    empty = json.dumps(chat(MODEL, "", max_tokens=2)).encode()
    return json.dumps(chat(MODEL, "x" * (size - len(empty)), max_tokens=2)).encode()


def chunked(body: bytes, size: int) -> bytes:
    """The body in chunks of this size, with its end."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def assert_sane(connection: Connection) -> None:
    """The connection serves its next request, or the gateway has closed it; nothing else comes over it."""
    connection.send(head("GET", "/health", connection.port, None, None))
    try:
        assert connection.response().status == 200
    except Closed:
        assert connection.unread == b"", connection.unread[:200]


@pytest.mark.parametrize("size", [100 * 1024, MEBIBYTE, BODY_BYTES_MAX - 1, BODY_BYTES_MAX])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_up_to_the_limit_is_answered(gateway, size, framing):
    body = padded(size)
    with Connection(gateway.port) as connection:
        if framing == "length":
            response = connection.post(body)
        else:
            connection.send(
                head("POST", "/v1/chat/completions", gateway.port, None, {"transfer-encoding": "chunked"})
            )
            connection.send(chunked(body, 16384))
            response = connection.response()
        assert response.status == 200, response.body[:500]
        assert response.json()["choices"][0]["message"]["content"]
        assert_sane(connection)


@pytest.mark.parametrize("excess", [1, 8 * MEBIBYTE])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_over_the_limit_is_refused_and_the_connection_stays_sane(gateway, excess, framing):
    body = padded(BODY_BYTES_MAX + excess)
    with Connection(gateway.port) as connection:
        if framing == "length":
            response = connection.post(body)
        else:
            connection.send(
                head("POST", "/v1/chat/completions", gateway.port, None, {"transfer-encoding": "chunked"})
            )
            connection.send(chunked(body, 16384))
            response = connection.response()
        assert response.status == 413
        assert response.error()["type"] == "invalid_request_error"
        assert_sane(connection)


def test_a_body_that_is_too_large_need_not_be_sent(gateway):
    headers = {"expect": "100-continue", "content-length": str(BODY_BYTES_MAX + 1)}
    with Connection(gateway.port) as connection:
        connection.send(head("POST", "/v1/chat/completions", gateway.port, None, headers))
        assert connection.response().status == 413


def test_a_caller_that_asks_before_sending_is_told_to_go_on(gateway):
    headers = {"expect": "100-continue", "content-length": str(len(VALID))}
    with Connection(gateway.port) as connection:
        connection.send(head("POST", "/v1/chat/completions", gateway.port, None, headers))
        assert connection.response().status == 100
        connection.send(VALID)
        assert connection.response().status == 200


DEEP = 10_000
NOT_JSON = {
    "empty": b"",
    "one byte": b"{",
    "one digit": b"7",
    "a space": b" ",
    "words": b"hello",
    "an array": b"[]",
    "null": b"null",
    "a string": b'"model"',
    "single quotes": VALID.replace(b'"', b"'"),
    "a trailing comma": VALID[:-1] + b",}",
    "a missing comma": VALID.replace(b", ", b" ", 1),
    "a missing colon": VALID.replace(b": ", b" ", 1),
    "two values": VALID + VALID,
    "something after the end": VALID + b"x",
    "a comment": VALID[:-1] + b"/* */}",
    "a byte-order mark": b"\xef\xbb\xbf" + VALID,
    "UTF-16": VALID.decode().encode("utf-16"),
    "invalid UTF-8": VALID.replace(b"hello", b"\xff\xfe\xc0"),
    "overlong UTF-8": VALID.replace(b"hello", b"\xc0\xaf"),
    "a surrogate in UTF-8": VALID.replace(b"hello", b"\xed\xa0\x80"),
    "a lone surrogate escape": VALID.replace(b"hello", b"\\ud800"),
    "NUL": VALID.replace(b"hello", b"hel\x00lo"),
    "NUL outside a string": b"\x00" + VALID,
    "a control character": VALID.replace(b"hello", b"hel\nlo"),
    "a bad escape": VALID.replace(b"hello", b"\\x41"),
    "a half escape": VALID.replace(b"hello", b"\\u12"),
    "an open string": VALID.replace(b'hello"', b"hello"),
    "a leading zero": VALID[:-1] + b', "seed": 01}',
    "a bare point": VALID[:-1] + b', "seed": .5}',
    "a half exponent": VALID[:-1] + b', "seed": 1e}',
    "not a number": VALID[:-1] + b', "seed": NaN}',
    "a word": VALID[:-1] + b', "stream": tru}',
    "arrays 10,000 deep": VALID[:-1] + b', "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "objects 10,000 deep": VALID[:-1] + b', "x": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "arrays 10,000 deep, open": b"[" * DEEP,
    "a key twice": VALID[:-1] + b', "model": "mock/fast"}',
    "a key twice, once escaped": VALID[:-1] + b', "mod\\u0065l": "mock/fast"}',
    "a key twice, deep inside": VALID[:-1] + b', "x": [{"y": {"z": 1, "z": 1}}]}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_strict_json_is_refused(gateway, body):
    with Connection(gateway.port) as connection:
        response = connection.post(body)
        assert response.status == 400
        assert response.error()["type"] == "invalid_request_error"
        assert connection.post(VALID).status == 200, "the connection serves its next request"


def test_every_beginning_of_a_valid_body_is_refused(gateway):
    with Connection(gateway.port) as connection:
        for end in range(len(VALID)):
            response = connection.post(VALID[:end])
            assert response.status == 400, VALID[:end]
            assert response.error()


def test_every_byte_changed_to_nul_is_refused(gateway):
    with Connection(gateway.port) as connection:
        for place in range(len(VALID)):
            body = VALID[:place] + b"\x00" + VALID[place + 1 :]
            assert connection.post(body).status == 400, body


USER = [{"role": "user", "content": "hi"}]
WRONG = {
    "no model": ({"messages": USER}, "model"),
    "model null": ({"model": None, "messages": USER}, "model"),
    "model a number": ({"model": 1, "messages": USER}, "model"),
    "model empty": ({"model": "", "messages": USER}, "model"),
    "model an object": ({"model": {"a": 1}, "messages": USER}, "model"),
    "no messages": ({"model": MODEL}, "messages"),
    "messages null": ({"model": MODEL, "messages": None}, "messages"),
    "messages a string": ({"model": MODEL, "messages": "hi"}, "messages"),
    "messages an object": ({"model": MODEL, "messages": USER[0]}, "messages"),
    "messages empty": ({"model": MODEL, "messages": []}, "messages"),
    "messages of strings": ({"model": MODEL, "messages": ["hi"]}, "messages"),
    "stream a string": ({"model": MODEL, "messages": USER, "stream": "true"}, "stream"),
    "stream a number": ({"model": MODEL, "messages": USER, "stream": 1}, "stream"),
    "stream_options a list": (
        {"model": MODEL, "messages": USER, "stream": True, "stream_options": []},
        "stream_options",
    ),
    "include_usage a string": (
        {"model": MODEL, "messages": USER, "stream": True, "stream_options": {"include_usage": "yes"}},
        "stream_options.include_usage",
    ),
}


@pytest.mark.parametrize(("body", "param"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_field_is_refused_by_its_name(gateway, body, param):
    response = complete(gateway.port, body)
    assert response.status == 400
    error = response.error()
    place = error["param"]
    # A place within the field ("messages[0]") is as good as its name.
    assert place and place.startswith(param), error


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/completions", {"model": MODEL}, "prompt"),
        ("/v1/embeddings", {"model": "mock/embed"}, "input"),
    ],
)
def test_the_other_operations_name_what_they_miss(gateway, path, body, param):
    response = complete(gateway.port, body, path)
    assert response.status == 400
    assert response.error()["param"] == param


UNUSUAL = {
    "white space": b" \r\n\t" + VALID.replace(b", ", b" ,\n\t ") + b"\n ",
    "escaped": VALID.replace(b"mock", b"\\u006dock").replace(b"hello", b"\\u0068\\ud83c\\udf0a\\\\\\/"),
    "unknown fields": VALID[:-1] + b', "x_unknown": {"kept": [1, null, true, -1.5e-3]}, "": ""}',
    "a large number": VALID[:-1] + b', "x": 123456789012345678901234567890.5e+200}',
    "nulls": VALID[:-1] + b', "stream": null, "stream_options": null, "seed": null}',
    "a hundred deep": VALID[:-1] + b', "x": ' + b"[" * 100 + b"]" * 100 + b"}",
    "many keys": VALID[:-1] + b"".join(b', "k%d": %d' % (n, n) for n in range(5000)) + b"}",
}


@pytest.mark.parametrize("body", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_unusual_and_valid_is_answered(gateway, body):
    response = complete(gateway.port, body)
    assert response.status == 200, response.body[:500]


@pytest.mark.parametrize(
    "model", ["nope", "nope/instant", "/", "mock/", "/instant", "x" * 5000, "a\nb", "../etc", "mock"]
)
def test_an_unknown_model_is_not_found(gateway, model):
    response = complete(gateway.port, chat(model))
    assert response.status == 404
    error = response.error()
    assert error["param"] == "model"
    assert len(error["message"]) < 1000, "a long name is not echoed whole"
