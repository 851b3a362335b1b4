"""Metrics in Prometheus' forms: the protobuf one decoded by Google's own library, from a description that is made here
of `metrics.proto`'s names and numbers; and the texts, line by line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import accumulate

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, proto
from support.processes import Daemon
from support.raw import Response, ask

PACKAGE = "io.prometheus.client"
MESSAGE = f"{PACKAGE}.MetricFamily"
PROTOBUF = f"application/vnd.google.protobuf;proto={MESSAGE};encoding=delimited"
OPEN = "application/openmetrics-text;version=1.0.0"
# As Prometheus 2.42 asks where native histograms are switched on.
NATIVE = (
    f"{PROTOBUF},{OPEN};q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

TYPES = ("counter", "gauge", "summary", "untyped", "histogram", "gauge_histogram")
# Of each message its fields: number, name, type. Those with a star are repeated.
MESSAGES = {
    "Timestamp": [(1, "seconds", "int64"), (2, "nanos", "int32")],
    "LabelPair": [(1, "name", "string"), (2, "value", "string")],
    "Exemplar": [(1, "label*", "LabelPair"), (2, "value", "double"), (3, "timestamp", "Timestamp")],
    "Value": [(1, "value", "double")],
    "Bucket": [(1, "cumulative_count", "uint64"), (2, "upper_bound", "double"), (3, "exemplar", "Exemplar")],
    "BucketSpan": [(1, "offset", "sint32"), (2, "length", "uint32")],
    "Histogram": [
        (1, "sample_count", "uint64"),
        (2, "sample_sum", "double"),
        (3, "bucket*", "Bucket"),
        (5, "schema", "sint32"),
        (6, "zero_threshold", "double"),
        (7, "zero_count", "uint64"),
        (12, "positive_span*", "BucketSpan"),
        (13, "positive_delta*", "sint64"),
        (16, "exemplars*", "Exemplar"),
    ],
    "Metric": [
        (1, "label*", "LabelPair"),
        (2, "gauge", "Value"),
        (3, "counter", "Value"),
        (5, "untyped", "Value"),
        (7, "histogram", "Histogram"),
    ],
    "MetricFamily": [
        (1, "name", "string"),
        (2, "help", "string"),
        (3, "type", "int32"),
        (4, "metric*", "Metric"),
        (5, "unit", "string"),
    ],
}

Series = tuple[str, frozenset[tuple[str, str]]]
LINE = re.compile(r"(\w+)(?:\{(.*?)\})? (\S+)(?: # \{trace_id=\"([0-9a-f]{32})\"\} (\S+) (\S+))?")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def message_class():
    """The class of families."""
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=PACKAGE, syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, member, kind in fields:
            label = kinds.LABEL_REPEATED if member.endswith("*") else kinds.LABEL_OPTIONAL
            field = message.field.add(name=member.rstrip("*"), number=number, label=label)
            if kind in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(MESSAGE))


FAMILY = message_class()


def fetch(gateway: Daemon, accept: str | None = None, **headers: str) -> Response:
    """What `/metrics` answers to who asks for this form."""
    response = ask(gateway.admin_port, "GET", "/metrics", **headers, **({"accept": accept} if accept else {}))
    assert response.status == 200
    return response


def families(body: bytes) -> dict:
    """The families of the protobuf form, by name."""
    stream, found = io.BytesIO(body), {}
    while (family := proto.parse_length_prefixed(FAMILY, stream)) is not None:
        assert family.name not in found, f"{family.name} is there twice"
        found[family.name] = family
    return found


def labels(pairs) -> frozenset[tuple[str, str]]:
    return frozenset((pair.name, pair.value) for pair in pairs)


def values(found: dict) -> dict[Series, float]:
    """Each series of the families as the classic text names it, with its value."""
    series = {}
    for name, family in found.items():
        for metric in family.metric:
            own = labels(metric.label)
            if TYPES[family.type] != "histogram":
                series[name, own] = getattr(metric, TYPES[family.type]).value
                continue
            told = metric.histogram
            series[f"{name}_count", own], series[f"{name}_sum", own] = told.sample_count, told.sample_sum
            for bucket in told.bucket:
                series[f"{name}_bucket", own | {("le", bound(bucket.upper_bound))}] = bucket.cumulative_count
    return series


def bound(upper: float) -> str:
    return "+Inf" if upper == float("inf") else repr(upper)


def lines(text: str) -> Iterator[tuple[Series, float, str | None]]:
    """Each series of a text, its value, and the trace behind it."""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, inner, value, trace, *_ = LINE.fullmatch(line).groups()
        own = {key: bound(float(told)) if key == "le" else told for key, told in LABEL.findall(inner or "")}
        yield (name, frozenset(own.items())), float(value), trace


def native_buckets(histogram) -> list[tuple[int, int]]:
    """The number of each native bucket and how many values it holds."""
    counts, told, index = list(accumulate(histogram.positive_delta)), [], 0
    for span in histogram.positive_span:
        index += span.offset
        told += [(index + at, counts[len(told) + at]) for at in range(span.length)]
        index += span.length
    assert len(told) == len(counts), "as many buckets as spans have"
    return told
