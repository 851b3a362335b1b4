"""What the provider is sent and what comes back: the same bytes, our key, and nothing of the caller's."""

from __future__ import annotations

import json
import time

import pytest
from support import configuration
from support.prompts import directive
from support.raw import Connection, ask, chat, complete, events
from support.secrets import PROVIDER_KEY
from support.upstream import STREAM, STREAM_HEAD, Upstream, chunk, completion, reply


def fine(connection, _request) -> None:
    connection.sendall(reply("200 OK", completion()))


# Every JSON form that a re-serialisation would change.
ODD_BODY = (
    b'{ "messages" : [ {"content":"\\u0068i \\/ \xf0\x9f\x8c\x8a" , "role":"user"} ],\n'
    b'  "temperature":1.0, "seed":12345678901234567890, "x":1e2, "logit_bias":{"50256":-100},\t"model":"MODEL", "z":[ ]}  '
)


def body_for(model: str) -> bytes:
    return ODD_BODY.replace(b"MODEL", model.encode())


def test_the_body_keeps_every_byte_but_the_model_s_name(launch):
    with Upstream(fine) as upstream:
        gateway = launch(
            configuration.provider("up", upstream.port), configuration.alias("smart", ("up/m", 1))
        )
        for model in ("up/m", "smart"):
            assert complete(gateway.port, body_for(model)).status == 200
            assert upstream.requests[-1].body == body_for("m")


def test_a_name_with_a_second_slash_is_split_at_the_first(launch):
    with Upstream(fine) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        assert complete(gateway.port, chat("up/vendor/model:free")).status == 200
        assert upstream.requests[-1].json()["model"] == "vendor/model:free"


def test_usage_is_always_asked_for_in_a_stream_and_nothing_else_changes(launch):
    def stream(connection, _request) -> None:
        connection.sendall(STREAM_HEAD + b"".join(map(chunk, STREAM)) + b"0\r\n\r\n")

    with Upstream(stream) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        for options in ({}, {"stream_options": None}, {"stream_options": {"include_usage": False, "x": 1}}):
            body = chat("up/m", stream=True, **options)
            response = complete(gateway.port, body)
            assert response.status == 200
            sent = upstream.requests[-1].json()
            assert sent.pop("stream_options")["include_usage"] is True
            body.pop("stream_options", None)
            assert sent == {**body, "model": "m"}


def test_the_answer_keeps_every_byte(launch):
    odd = b'{ "id":"c-1", "choices":[ {"index":0,"message":{"role":"assistant","content":"\\u0068i \\/"},"x":1.0} ],\n "new":[ ]}'

    def answer(connection, _request) -> None:
        connection.sendall(reply("200 OK", odd))

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        assert complete(gateway.port, chat("up/m")).body == odd


CALLERS_OWN = {
    "authorization": "Bearer sk-callers-own",
    "x-api-key": "sk-callers-own",
    "api-key": "sk-callers-own",
    "openai-organization": "org-callers-own",
    "openai-project": "proj-callers-own",
    "cookie": "session=callers-own",
    "proxy-authorization": "Basic callers-own",
    "forwarded": "for=callers-own",
    "x-forwarded-for": "10.9.8.7",
    "x-real-ip": "10.9.8.7",
    "x-callers-own": "callers-own",
    "user-agent": "callers-own/1.0",
    "x-base-url": "http://callers-own.example",
    "accept-encoding": "br;callers-own",
}


def test_the_provider_gets_our_key_and_no_header_of_the_caller_s(launch):
    with Upstream(fine) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        assert complete(gateway.port, chat("up/m"), **CALLERS_OWN).status == 200
        [request] = upstream.requests
        assert request.header("authorization") == f"Bearer {PROVIDER_KEY}"
        assert request.header("host") == f"127.0.0.1:{upstream.port}"
        head = request.head.decode("latin-1").lower()
        assert "callers-own" not in head and "10.9.8.7" not in head
        assert head.startswith("post /v1/chat/completions http/1.1")


def test_a_caller_can_name_no_other_place_to_go(launch):
    with Upstream(fine) as upstream, Upstream(fine) as elsewhere:
        gateway = launch(configuration.provider("up", upstream.port))
        place = f"http://127.0.0.1:{elsewhere.port}/v1"
        fields = {
            name: place
            for name in (
                "base_url",
                "api_base",
                "baseURL",
                "url",
                "endpoint",
                "proxy",
                "custom_host",
                "upstream",
            )
        }
        body = chat("up/m", **fields, extra_body={"base_url": place}, metadata={"api_base": place})
        headers = {
            f"x-{name}": place for name in ("base-url", "custom-host", "forwarded-host", "upstream", "target")
        }
        assert complete(gateway.port, body, **headers).status == 200
        for model in (place, f"{place}/m", f"up@{place}/m", "//127.0.0.1/m"):
            assert complete(gateway.port, chat(model)).status == 404
        assert len(upstream.requests) == 1 and elsewhere.requests == []


@pytest.mark.parametrize("model", ["up/../../admin", "up/m?x=1", "up/m#x", "up/m\r\nX-Evil: 1"])
def test_a_model_s_name_never_reaches_the_request_s_target(launch, model):
    with Upstream(fine) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        complete(gateway.port, chat(model))
        for request in upstream.requests:
            assert request.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
            assert request.header("x-evil") is None


def test_the_provider_s_own_headers_stay_behind(launch):
    def answer(connection, _request) -> None:
        rows = (
            "set-cookie: theirs=1",
            "x-theirs: 1",
            "server: theirs",
            "openai-organization: theirs",
            "via: theirs",
        )
        connection.sendall(reply("200 OK", completion(), *rows))

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        response = complete(gateway.port, chat("up/m"))
        assert response.status == 200
        assert not [pair for pair in response.headers if "theirs" in pair[0] + pair[1]]


def test_a_connection_to_the_provider_is_used_again(launch):
    seen = set()

    def answer(connection, request) -> None:
        seen.add(connection.getpeername())
        fine(connection, request)

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port), server=("workers = 1",))
        for _ in range(20):
            assert complete(gateway.port, chat("up/m")).status == 200
        assert len(seen) <= 3, "two are opened before the first request"


BIG_FRAME = (
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 65_000}}]}).encode() + b"\n\n"
)
FRAMES = 1024  # 64 MiB in all
HELD_BYTES_MAX = 32 * 1024 * 1024


def test_a_caller_who_does_not_read_holds_the_provider_back(launch):
    sent = 0

    def answer(connection, _request) -> None:
        nonlocal sent
        connection.sendall(STREAM_HEAD)
        for data in [*[BIG_FRAME] * FRAMES, *STREAM]:
            connection.sendall(chunk(data))
            sent += len(data)
        connection.sendall(b"0\r\n\r\n")

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("up", upstream.port))
        with Connection(gateway.port, receive_buffer_bytes=65536) as connection:
            body = json.dumps(chat("up/m", stream=True)).encode()
            connection.send(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            status, _ = connection.response_head()
            assert status == 200
            held = settled(lambda: sent)
            assert held < HELD_BYTES_MAX, "only the sockets' own buffers stand between"
            frames = events(b"".join(connection.chunks()))
            assert len(frames) == FRAMES + len(STREAM) and frames[-1] == "[DONE]"


def settled(value) -> int:
    """The value once it has not changed for a third of a second."""
    deadline = time.monotonic() + 20
    last, since = value(), time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.02)
        if value() != last:
            last, since = value(), time.monotonic()
        elif last and time.monotonic() - since > 0.33:
            return last
    raise AssertionError(f"never settled: {last}")


def test_models_are_listed_from_the_configuration_not_from_the_provider(launch):
    with Upstream(fine) as upstream:
        gateway = launch(configuration.provider("up", upstream.port, 'models = ["a", "b/c"]'))
        listed = [model["id"] for model in ask(gateway.port, "GET", "/v1/models").json()["data"]]
        assert {"up/a", "up/b/c"} <= set(listed)
        assert upstream.requests == []


def test_a_prompt_is_logged_at_no_level(launch, mock):
    gateway = launch('[log]\nlevel = "trace"\n', configuration.mock_provider(mock.port))
    prompt = "the-prompt-of-a-caller"
    for trouble in ("", directive(status=500), directive(status=400), directive(reset=True), directive(cut_after=2)):
        for stream in (False, True):
            complete(gateway.port, chat("mock/instant", f"{prompt} {trouble}", stream=stream))
    complete(gateway.port, json.dumps(chat("mock/instant", prompt)).encode()[:-1])
    complete(gateway.port, chat("no-such/model", prompt))
    assert prompt not in gateway.log()
