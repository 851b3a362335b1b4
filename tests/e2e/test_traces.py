"""Traces: what a collector gets of a request, what a provider is told of it, and what becomes of both where nobody
takes them."""

from __future__ import annotations

import json
import re
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest
from support import configuration, processes
from support.collector import OVER, over_http
from support.prompts import directive
from support.protect import views
from support.protect.stand import LONG_PATIENCE, MODEL, provider
from support.raw import ask, chat, complete
from support.remembering import gated
from support.upstream import Upstream, completion, reply
from support.waiting import wait_until

# What a caller and a model say to each other: never to be found in a trace.
SECRET = "the-prompt-that-nobody-may-read"
PARENT_SPAN = "b7ad6b7169203331"
# A span that is there where a turn did not come at once, as on a machine that is busy elsewhere.
MAYBE = {"queue"}
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def traces(collector, **members: object) -> str:
    members = {"endpoint": collector.endpoint, "protocol": collector.protocol, "ratio": 1.0, **members}
    return configuration.table("traces", **members)


def new_trace(flags: str = "01") -> tuple[str, dict[str, str]]:
    """A caller's trace, and the header that says so."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{PARENT_SPAN}-{flags}"}


def metric(gateway, name: str) -> int:
    text = ask(gateway.admin_port, "GET", "/metrics").body.decode()
    return sum(int(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def answer(connection, _request, status: str = "200 OK") -> None:
    connection.sendall(reply(status, completion(SECRET)))


def answering(status: str = "200 OK"):
    """A provider that answers each request with the same completion."""
    return Upstream(partial(answer, status=status))


@pytest.fixture(params=sorted(OVER))
def collector(request):
    with OVER[request.param]() as collector:
        yield collector


def test_the_spans_of_a_request_hang_beneath_the_callers(launch, collector):
    with answering() as upstream:
        gateway = launch(
            traces(collector, service_name="front", attributes={"team": "search"}),
            configuration.provider("mock", upstream.port),
            configuration.alias("smart", ("mock/m-1", 1)),
        )
        trace_id, headers = new_trace()
        body = chat("smart", SECRET, temperature=1)
        response = complete(gateway.port, body, **headers, tracestate="vendor=1", x_request_id="tree")
        assert response.status == 200
        root, *rest = collector.trace(trace_id, 2)
    assert (root.name, root.kind, root.parent) == ("POST /v1/chat/completions", "SERVER", PARENT_SPAN)
    assert root.flags & 0x300 == 0x300 and root.flags & 1, "the parent is another process's"
    # Nothing is looked up for it: there is a temperature.
    by_name = {span.name: span for span in rest}
    assert by_name.keys() - MAYBE == {"chat m-1"}
    for span in by_name.values():
        assert span.parent == root.span_id and span.flags & 0x300 == 0x100
        assert root.began <= span.began <= span.ended <= root.ended
    call = by_name["chat m-1"]
    assert call.kind == "CLIENT"
    assert root.attributes.pop("tidegate.overhead_ms") > 0
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "smart",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
        "tidegate.request.id": "tree",
        "tidegate.outcome": "ok",
        "tidegate.cache": "bypass; reason=temperature",
        "tidegate.target": "mock/m-1",
        "tidegate.attempts": 1,
    }
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mock",
        "gen_ai.request.model": "m-1",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 1,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": upstream.port,
        "tidegate.target": "mock/m-1",
        "tidegate.result": "ok",
    }
    resource = root.resource
    assert (resource["service.name"], resource["team"]) == ("front", "search")
    assert resource["service.instance.id"] and resource["service.version"]
    # The provider is told of the span that asks it, and of the caller's own words beside it.
    asked = upstream.requests[0]
    assert asked.header("traceparent") == f"00-{trace_id}-{call.span_id}-01"
    assert asked.header("tracestate") == "vendor=1"
    assert SECRET not in repr(collector.spans)
    assert metric(gateway, "tidegate_traces_exported_total") >= 1


def test_each_try_is_a_span_and_a_failure_is_marked(launch, collector):
    with answering("503 Service Unavailable") as down, answering() as up:
        gateway = launch(
            traces(collector),
            configuration.provider("down", down.port),
            configuration.provider("up", up.port),
            '[models.both]\ntargets = [{ model = "down/m" }]\nfallback = ["up/m"]\n',
        )
        trace_id, headers = new_trace()
        assert complete(gateway.port, chat("both", temperature=1), **headers).status == 200
        wait_until("the last try", lambda: any(s.attributes.get("tidegate.target") == "up/m" for s in collector.spans))
        spans = collector.trace(trace_id, 3)
    tries = [span for span in spans if span.kind == "CLIENT"]
    seen = [(s.attributes["tidegate.target"], s.failed, s.attributes.get("error.type")) for s in tries]
    assert seen[0] == ("down/m", True, "503") and seen[-1] == ("up/m", False, None)
    assert [s.attributes.get("http.request.resend_count") for s in tries] == [None, *range(1, len(tries))]
    told = [TRACEPARENT.fullmatch(request.header("traceparent")) for request in down.requests + up.requests]
    assert [match[2] for match in told] == [span.span_id for span in tries]
    (root,) = [span for span in spans if span.kind == "SERVER"]
    assert not root.failed and root.attributes["tidegate.attempts"] == len(tries)


def test_a_stream_and_a_flight_are_traced_to_their_end(launch, collector, mock):
    gateway = launch(traces(collector), configuration.mock_provider(mock.port))
    streamed, headers = new_trace()
    body = chat("mock/instant", directive(tokens=3), stream=True, temperature=1)
    assert complete(gateway.port, body, **headers).status == 200
    # Remembered: a flight fetches it, on behalf of whoever asks meanwhile.
    flown, headers = new_trace()
    assert complete(gateway.port, chat("mock/instant", "fly", temperature=0), **headers).status == 200
    again, headers = new_trace()
    assert complete(gateway.port, chat("mock/instant", "fly", temperature=0), **headers).status == 200
    call = next(s for s in collector.trace(streamed, 2) if s.kind == "CLIENT")
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert call.attributes["gen_ai.response.model"]
    spans = {span.name: span for span in collector.trace(flown, 4)}
    assert spans.keys() - MAYBE == {"POST /v1/chat/completions", "cache", "cache tiers", "chat instant"}
    root = spans["POST /v1/chat/completions"]
    assert {spans[name].kind for name in ("cache", "cache tiers")} == {"INTERNAL"}
    assert root.attributes["tidegate.cache"] == "miss"
    assert {span.parent for span in spans.values() if span is not root} == {root.span_id}
    hit, cache = collector.trace(again, 2)
    assert (hit.attributes["tidegate.cache"], cache.name) == ("hit; tier=memory", "cache")


def test_a_wait_in_a_targets_queue_is_a_span(launch):
    with over_http() as collector, gated(answer) as (upstream, gate), ThreadPoolExecutor() as callers:
        fixed = {"algorithm": "fixed", "initial": 1, "min": 1, "max": 1}
        gateway = launch(traces(collector), provider("mock", upstream.port, timeouts=LONG_PATIENCE, concurrency=fixed))
        body = chat(f"mock/{MODEL}", temperature=1)
        first = callers.submit(complete, gateway.port, body)
        wait_until("the provider is asked", lambda: upstream.requests)
        waited, headers = new_trace()
        second = callers.submit(complete, gateway.port, body, **headers)
        wait_until("the second one waits", lambda: views.target(gateway, "mock").waiting == 1)
        gate.open.set()
        assert (first.result().status, second.result().status) == (200, 200)
        root, queue, call = collector.trace(waited, 3)
    assert (queue.name, queue.kind, queue.parent) == ("queue", "INTERNAL", root.span_id)
    assert root.began <= queue.began < queue.ended <= call.began


def test_embeddings_that_are_sent_as_one_belong_to_who_began(launch, collector, mock):
    coalesce = 'coalesce = { wait = "1ms" }'
    gateway = launch(traces(collector), configuration.provider("mock", mock.port, coalesce))
    trace_id, headers = new_trace()
    body = {"model": "mock/embed", "input": "hello"}
    assert complete(gateway.port, body, "/v1/embeddings", **headers, cache_control="no-store").status == 200
    spans = {span.name: span for span in collector.trace(trace_id, 2)}
    assert spans["embeddings embed"].parent == spans["POST /v1/embeddings"].span_id


def test_who_is_recorded(launch):
    slow = directive(first_token="300ms")
    failing = directive(status=500)
    with over_http() as collector:
        gateway = launch(traces(collector, ratio=0.0, slow="200ms"), configuration.UNGUARDED)
        for name, content, flags, model in [
            ("plain", "hello", None, "sim/instant"),
            ("unsampled", "hello", "00", "sim/instant"),
            ("caller", "hello", None, "nobody/knows"),
            ("sampled", "hello", "01", "sim/instant"),
            ("slow", slow, None, "sim/instant"),
            ("slow-unsampled", slow, "00", "sim/instant"),
            ("failed", failing, None, "sim/instant"),
        ]:
            headers = new_trace(flags)[1] if flags else {}
            complete(gateway.port, chat(model, content, temperature=1), **headers, x_request_id=name)
        failed = collector.request("failed")
        assert failed.failed and failed.attributes["http.response.status_code"] == 502
        assert failed.attributes["error.type"] and failed.parent == ""
        assert collector.ids() == {"sampled", "slow", "slow-unsampled", "failed"}


def test_a_key_and_its_tenant_are_named_and_nobodys_request_is_not_recorded(launch):
    key = processes.create_key()
    with over_http() as collector:
        gateway = launch(traces(collector), configuration.key_row(key, tenant="search"))
        assert complete(gateway.port, chat("sim/instant"), **new_trace()[1], x_request_id="nobody").status == 401
        bearer = f"Bearer {key['key']}"
        assert complete(gateway.port, chat("sim/instant"), authorization=bearer, x_request_id="key").status == 200
        attributes = collector.request("key").attributes
        assert (attributes["tidegate.key.id"], attributes["tidegate.tenant"]) == (key["id"], "search")
        assert collector.ids() == {"key"} and key["key"] not in repr(collector.spans)


def test_a_share_is_recorded_by_the_traces_id(launch):
    with over_http() as collector:
        gateway = launch(traces(collector, ratio=0.5), configuration.UNGUARDED)
        for index in range(200):
            assert complete(gateway.port, chat("sim/instant"), x_request_id=f"r{index}").status == 200
        gateway.stop()
        # The upper half of the 56 random bits; and what is left when the process leaves is exported.
        assert all(int(span.trace_id[18:], 16) >= 1 << 55 for span in collector.spans)
        assert 50 < len(collector.ids()) < 150


def test_headers_that_are_not_well_formed_go_no_further(launch):
    trace = "0af7651916cd43dd8448eb211c80319c"
    good = f"00-{trace}-{PARENT_SPAN}-00"
    with answering() as upstream:
        gateway = launch(configuration.provider("mock", upstream.port), configuration.UNGUARDED)

        def carried(*rows: tuple[str, str]) -> tuple[str | None, str | None]:
            body = json.dumps(chat("mock/m", temperature=1)).encode()
            head = [f"content-length: {len(body)}", "content-type: application/json", "host: 127.0.0.1"]
            lines = ["POST /v1/chat/completions HTTP/1.1", *head, *(f"{name}: {value}" for name, value in rows)]
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
                connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
                assert connection.recv(64).startswith(b"HTTP/1.1 200")
            asked = upstream.requests[-1]
            return asked.header("traceparent"), asked.header("tracestate")

        state = ("tracestate", "a=1,b=2")
        assert carried(("traceparent", good), state) == (good, "a=1,b=2")
        assert carried(("traceparent", good), state, ("tracestate", "c=3")) == (good, "a=1,b=2,c=3")
        assert carried(("traceparent", good), ("tracestate", "A=1")) == (good, None)
        assert carried(("traceparent", good.upper()), state) == (None, None)
        assert carried(("traceparent", good), ("traceparent", good), state) == (None, None)
        assert carried(("traceparent", f"00-{trace}-{'0' * 16}-01"), state) == (None, None)
        assert carried(state) == (None, None)
        assert carried() == (None, None)


def test_a_provider_is_told_where_nobody_traced_before(launch):
    with answering() as upstream, over_http() as collector:
        gateway = launch(traces(collector), configuration.provider("mock", upstream.port))
        complete(gateway.port, chat("mock/m", temperature=1), x_request_id="new")
        root = collector.request("new")
        match = TRACEPARENT.fullmatch(upstream.requests[0].header("traceparent"))
        assert (match[1], match[3]) == (root.trace_id, "01")
        assert match[2] in {span.span_id for span in collector.trace(root.trace_id, 2) if span.kind == "CLIENT"}


def test_opentelemetrys_own_variables_are_enough(launch):
    with over_http() as collector:
        gateway = launch(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20abc",
            OTEL_SERVICE_NAME="by-variable",
            OTEL_TRACES_SAMPLER="always_on",
        )
        complete(gateway.port, chat("sim/instant"), x_request_id="one")
        assert collector.request("one").resource["service.name"] == "by-variable"
        assert collector.requests[0].headers["authorization"] == "Bearer abc"


BUSY = {
    "http": [(503, {"retry-after": "0"}), (429, {}), (503, {})],
    "grpc": [(grpc.StatusCode.UNAVAILABLE, {}), (grpc.StatusCode.DEADLINE_EXCEEDED, {})],
}
NEVER = {"http": (400, {}), "grpc": (grpc.StatusCode.INVALID_ARGUMENT, {})}
UNREADABLE = {"http": (415, {}), "grpc": (grpc.StatusCode.UNIMPLEMENTED, {})}


def test_a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not(launch, collector):
    gateway = launch(traces(collector, compress=False))
    collector.answers += BUSY[collector.protocol]
    complete(gateway.port, chat("sim/instant"), x_request_id="busy")
    collector.request("busy")
    asked = len(collector.requests)
    assert asked == len(BUSY[collector.protocol]) + 1
    collector.answers.append(NEVER[collector.protocol])
    complete(gateway.port, chat("sim/instant"), x_request_id="refused")
    refused = 'tidegate_traces_dropped_total{reason="refused"}'
    wait_until("it is dropped", lambda: metric(gateway, refused) >= 1)
    complete(gateway.port, chat("sim/instant"), x_request_id="after")
    collector.request("after")
    assert "refused" not in collector.ids() and len(collector.requests) == asked + 2


def test_a_collector_that_reads_no_gzip_gets_none(launch, collector):
    gateway = launch(traces(collector, compress=True))

    def until_there_are(total: int) -> None:
        for number in range(8):
            complete(gateway.port, chat("sim/instant", str(number), temperature=1))
        wait_until(f"{total} requests", lambda: len(collector.ids()) == total)

    until_there_are(8)
    if collector.protocol == "http":
        assert any(asked.compressed for asked in collector.requests)
    collector.answers.append(UNREADABLE[collector.protocol])
    asked = len(collector.requests)
    until_there_are(16)
    assert not collector.requests[-1].compressed and len(collector.requests) >= asked + 2
    assert metric(gateway, "tidegate_traces_dropped_total") == 0


@pytest.mark.parametrize("hangs", [True, False])
def test_a_collector_that_is_not_there_costs_a_caller_nothing(launch, hangs):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if hangs:
            silent.listen(8)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        gateway = launch(configuration.table("traces", endpoint=endpoint, protocol="grpc", ratio=1.0))
        for _ in range(50):
            assert complete(gateway.port, chat("sim/instant")).status == 200
        # Stopping judges that it leaves in time, with nothing but a warning.
        gateway.stop()
        assert "panicked" not in gateway.log()
