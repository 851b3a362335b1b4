"""The forms of `/metrics`: what is told in one is told in each, native histograms agree with classic ones, and a trace
stands behind a figure where a collector has it."""

from __future__ import annotations

import secrets

import pytest
from support import configuration
from support.collector import Collector, over_http
from support.exposition import (
    NATIVE,
    OPEN,
    PROTOBUF,
    TYPES,
    bound,
    families,
    fetch,
    labels,
    lines,
    native_buckets,
    values,
)
from support.processes import Daemon
from support.prompts import directive
from support.raw import chat, complete
from support.waiting import wait_until

# What each request that was answered is counted in, with the values of the labels.
DURATION = ("http_request_duration_seconds", {"operation": "chat", "model": "smart"})
GEN_AI = (
    "gen_ai_server_request_duration_seconds",
    {"gen_ai_operation_name": "chat", "gen_ai_request_model": "smart"},
)
OVERHEAD = ("tidegate_overhead_seconds", {"operation": "chat"})
TARGET = {"gen_ai_provider_name": "mock", "gen_ai_request_model": "instant"}
ATTEMPT = ("gen_ai_client_operation_duration_seconds", TARGET)
FIRST_TOKEN = ("gen_ai_server_time_to_first_token_seconds", TARGET)
EXEMPLIFIED = [DURATION, GEN_AI, OVERHEAD, ATTEMPT, FIRST_TOKEN]


def gateway_with(launch, mock, *parts: str) -> Daemon:
    return launch(configuration.mock_provider(mock.port), configuration.alias("smart", ("mock/instant", 1)), *parts)


def stream(gateway: Daemon, number: int, **headers: str) -> None:
    """A request that takes longer the higher its number."""
    told = directive(first_token=f"{number * 7}ms", between_tokens="1ms", tokens=3)
    assert complete(gateway.port, chat("smart", f"{number} {told}", stream=True), **headers).status == 200


@pytest.fixture
def counted(launch, mock) -> Daemon:
    gateway = gateway_with(launch, mock)
    for number in range(12):
        stream(gateway, number)
    return gateway


def test_each_reader_is_told_in_the_form_that_it_likes_best(counted):
    for accept, form in [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        (NATIVE, "application/vnd.google.protobuf"),
        (f"{OPEN},{PROTOBUF};q=0.9", "application/openmetrics-text"),
        (f"{PROTOBUF};q=0,text/plain;q=0.1", "text/plain"),
    ]:
        response = fetch(counted, accept)
        assert response.header("content-type").startswith(form), accept
        assert "accept" in response.header("vary").lower()
    told = fetch(counted, NATIVE).header("content-type")
    assert told.replace(" ", "") == PROTOBUF


def test_whatever_is_told_as_text_is_told_as_protobuf(counted):
    text, told = fetch(counted).body.decode(), families(fetch(counted, PROTOBUF).body)
    declared = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE "))
    helped = dict(line.split(" ", 3)[2:4] for line in text.splitlines() if line.startswith("# HELP "))
    series = {name: value for name, value, _ in lines(text)}
    assert values(told).keys() == series.keys()
    # What has no series yet is declared in the text alone.
    assert {name: TYPES[family.type] for name, family in told.items()}.items() <= declared.items()
    assert {name: family.help for name, family in told.items()}.items() <= helped.items()
    assert all(name.endswith(f"_{family.unit}") or "_total" in name for name, family in told.items() if family.unit)
    # Nobody asks anything meanwhile, so that what requests have counted stays.
    counted_by_requests = ("http_", "gen_ai_", "tidegate_requests", "tidegate_upstream_attempts", "tidegate_overhead")
    still = {name: value for name, value in series.items() if name[0].startswith(counted_by_requests)}
    assert len(still) > 100 and still.items() <= values(told).items()


def test_both_kinds_of_buckets_hold_the_same_values(counted):
    told = families(fetch(counted, PROTOBUF).body)
    histograms = [
        (name, metric.histogram)
        for name, family in told.items()
        for metric in family.metric
        if metric.histogram.zero_threshold
    ]
    assert {name for name, _ in EXEMPLIFIED} <= {name for name, _ in histograms}
    for name, histogram in histograms:
        assert (histogram.schema, histogram.zero_threshold) == (3, 2.0**-24), name
        native = native_buckets(histogram)
        in_all = sum(count for _, count in native) + histogram.zero_count
        assert in_all == histogram.sample_count == histogram.bucket[-1].cumulative_count, name
        assert all(count >= 0 for _, count in native), name
        # Bounds that both kinds have: what is below is the same below.
        for bucket in histogram.bucket:
            inside = sum(count for index, count in native if 2.0 ** (index / 8) <= bucket.upper_bound)
            touched = sum(count for index, count in native if 2.0 ** ((index - 1) / 8) < bucket.upper_bound)
            below = bucket.cumulative_count - histogram.zero_count
            assert inside <= below <= touched, f"{name} up to {bucket.upper_bound}"
    (duration,) = (m.histogram for m in told[DURATION[0]].metric if labels(m.label) == frozenset(DURATION[1].items()))
    assert duration.sample_count == 12 and len(native_buckets(duration)) > 1


def behind(gateway: Daemon, name: str, of: dict[str, str]) -> set[str]:
    """The traces behind a histogram, as OpenMetrics tells them."""
    told = lines(fetch(gateway, OPEN).body.decode())
    return {trace for (series, own), _, trace in told if trace and series == f"{name}_bucket" and own >= set(of.items())}


def traced(gateway: Daemon, collector: Collector, flags: str, number: int) -> str:
    trace_id = secrets.token_hex(16)
    stream(gateway, number, traceparent=f"00-{trace_id}-b7ad6b7169203331-{flags}")
    if flags == "01":
        collector.trace(trace_id)
    return trace_id


def test_a_trace_stands_behind_a_figure_where_the_collector_has_it(launch, mock):
    with over_http() as collector:
        sent = configuration.table("traces", endpoint=collector.endpoint, protocol="http", ratio=0.0)
        gateway = gateway_with(launch, mock, sent)
        traced(gateway, collector, "00", 3)
        assert complete(gateway.port, chat("smart", "nobody traces it", temperature=1)).status == 200
        wanted = traced(gateway, collector, "01", 3)
        for name, of in EXEMPLIFIED:
            wait_until(f"an exemplar of {name}", lambda name=name, of=of: behind(gateway, name, of) == {wanted})
        newer = traced(gateway, collector, "01", 3)
        wait_until("the newer one", lambda: newer in behind(gateway, *DURATION))
        assert behind(gateway, *DURATION) <= {wanted, newer}
        assert "trace_id" not in fetch(gateway).body.decode(), "older readers know no exemplars"
        told = families(fetch(gateway, PROTOBUF).body)
        for name, of in EXEMPLIFIED:
            (metric,) = (each for each in told[name].metric if labels(each.label) == frozenset(of.items()))
            at_buckets(metric.histogram, {wanted, newer})


def at_buckets(histogram, traces: set[str]) -> None:
    """Each exemplar is within its bucket, of one of these traces, and told once more by time."""
    lower, found = 0.0, []
    for bucket in histogram.bucket:
        if bucket.HasField("exemplar"):
            assert lower <= bucket.exemplar.value <= bucket.upper_bound, bound(bucket.upper_bound)
            found.append(bucket.exemplar)
        lower = bucket.upper_bound
    assert found and {pair.value for one in found for pair in one.label} <= traces
    assert sorted(found, key=when) == list(histogram.exemplars)


def when(exemplar) -> float:
    return exemplar.timestamp.seconds + exemplar.timestamp.nanos / 1e9


def test_a_trace_that_the_collector_refused_stands_behind_nothing(launch, mock):
    with over_http() as collector:
        members = {"endpoint": collector.endpoint, "protocol": "http", "ratio": 1.0, "compress": True}
        gateway = gateway_with(launch, mock, configuration.table("traces", **members))
        # Compressed, and once more as it is.
        collector.answers += [(400, {}), (400, {})]
        stream(gateway, 1)
        wait_until("it was refused", lambda: len(collector.requests) == 2)
        taken = traced(gateway, collector, "01", 1)
        wait_until("one was taken", lambda: behind(gateway, *DURATION))
        assert behind(gateway, *DURATION) == {taken}
