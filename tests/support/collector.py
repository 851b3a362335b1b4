"""An OTLP collector that keeps the spans it is sent, over gRPC or HTTP, decoded by the code that the OpenTelemetry
project generates from its own definitions.

It answers as it is told to: an answer is taken from `answers` for each request, and success where none is left.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from support.waiting import wait_until

KINDS = trace_pb2.Span.SpanKind


@dataclass
class Span:
    trace_id: str
    span_id: str
    # Empty where there is none.
    parent: str
    name: str
    kind: str
    began: int
    ended: int
    attributes: dict
    failed: bool
    flags: int
    resource: dict


@dataclass
class Asked:
    """One request as it came."""

    headers: dict[str, str]
    # Over gRPC it is not told whether it was.
    compressed: bool
    spans: int


@dataclass
class Collector:
    protocol: str
    port: int = 0
    spans: list[Span] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)
    # (status, headers): HTTP's status, or a `grpc.StatusCode`.
    answers: list[tuple] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keep(self, request, headers: dict[str, str], compressed: bool) -> tuple | None:
        """Takes a request, unless an answer is prescribed, which is given back."""
        found = list(spans_of(request))
        self.requests.append(Asked(headers, compressed, len(found)))
        if self.answers:
            return self.answers.pop(0)
        self.spans += found
        return None

    def trace(self, trace_id: str, count: int = 1) -> list[Span]:
        """The spans of a trace, as soon as there are so many, in the order in which they began."""
        of = lambda: [span for span in list(self.spans) if span.trace_id == trace_id]  # noqa: E731
        wait_until(f"{count} spans of {trace_id}", lambda: len(of()) >= count)
        return sorted(of(), key=lambda span: span.began)

    def request(self, request_id: str) -> Span:
        """The server's span of the request of that id, as soon as it is here."""
        of = lambda: [s for s in list(self.spans) if s.attributes.get("tidegate.request.id") == request_id]  # noqa: E731
        return wait_until(f"the span of {request_id}", of)[0]

    def ids(self) -> set[str]:
        """The ids of all requests whose spans are here."""
        return {s.attributes["tidegate.request.id"] for s in list(self.spans) if s.kind == "SERVER"}


def value_of(any_value):
    name = any_value.WhichOneof("value")
    return getattr(any_value, name) if name else None


def attributes_of(pairs) -> dict:
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), f"a key stands there twice: {keys}"
    return {pair.key: value_of(pair.value) for pair in pairs}


def spans_of(request) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            assert scope_spans.scope.name == "tidegate" and scope_spans.scope.version
            for span in scope_spans.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    kind=KINDS.Name(span.kind).removeprefix("SPAN_KIND_"),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=attributes_of(span.attributes),
                    failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    flags=span.flags,
                    resource=resource,
                )


@contextmanager
def over_http() -> Iterator[Collector]:
    collector = Collector("http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces", self.path
            assert self.headers["content-type"] == "application/x-protobuf"
            compressed = self.headers.get("content-encoding") == "gzip"
            request = service.ExportTraceServiceRequest.FromString(gzip.decompress(body) if compressed else body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = collector.keep(request, headers, compressed) or (200, {})
            answer = service.ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def over_grpc() -> Iterator[Collector]:
    collector = Collector("grpc")

    class Servicer(service_grpc.TraceServiceServicer):
        def Export(self, request, context):  # noqa: N802 -- the generated code's name
            headers = {pair.key: pair.value for pair in context.invocation_metadata()}
            refusal = collector.keep(request, headers, compressed=False)
            if refusal:
                code, more = refusal
                context.set_trailing_metadata(tuple(more.items()))
                context.abort(code, "not now")
            return service.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    service_grpc.add_TraceServiceServicer_to_server(Servicer(), server)
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(grace=None).wait()


OVER = {"http": over_http, "grpc": over_grpc}
