"""Native histograms and exemplars in a real Prometheus: it asks for protobuf, computes quantiles of what it is told,
and finds the traces behind a figure that a collector has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from support import configuration, processes
from support.collector import Collector, over_http
from support.processes import ROOT, Daemon
from support.prometheus import DROPPED, Prometheus
from support.prompts import directive
from support.raw import Connection, chat
from support.remembering import CHAT
from support.secrets import ADMIN_KEY
from support.waiting import wait_until

RULES = ROOT / "deploy/prometheus/tidegate.rules.yml"
NAME = "gateway"
# The gateway's own look, a scrape and the way to the collector, on a machine that does other things too.
SECONDS_MAX = 40.0


@dataclass
class Natively:
    """A gateway that records every request, the collector that has the traces, and a Prometheus that takes native
    histograms."""

    gateway: Daemon
    collector: Collector
    prometheus: Prometheus

    ASKED = 20
    # What every stream waits for its first token, so that nothing is quicker.
    FIRST_TOKEN = 0.05

    def ask(self) -> None:
        told = directive(first_token=f"{self.FIRST_TOKEN * 1000:.0f}ms", between_tokens="1ms", tokens=8)
        with Connection(self.gateway.port) as connection:
            for number in range(self.ASKED):
                assert connection.post(chat("smart", f"{number} {told}", stream=True), CHAT).status == 200


@pytest.fixture(scope="module")
def natively(mock, tmp_path_factory) -> Iterator[Natively]:
    folder = tmp_path_factory.mktemp("natively")
    with ExitStack() as stack:
        collector = stack.enter_context(over_http())
        text = configuration.gateway(
            folder / "data",
            configuration.mock_provider(mock.port),
            configuration.alias("smart", ("mock/instant", 1)),
            configuration.table("traces", endpoint=collector.endpoint, protocol="http", ratio=1.0),
        )
        gateway = stack.enter_context(processes.start_gateway(folder, text, TIDEGATE_ADMIN_KEY=ADMIN_KEY))
        targets = {NAME: gateway.admin_port}
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", targets, RULES, native=True))
        seen = Natively(gateway, collector, prometheus)
        # A rate needs to know what was there before.
        wait_until("a scrape", lambda: prometheus.has_data("tidegate_build_info"), SECONDS_MAX)
        seen.ask()
        yield seen


def test_quantiles_are_computed_of_native_histograms(natively):
    prometheus, of = natively.prometheus, 'http_request_duration_seconds{operation="chat",model="smart"}'
    counted = lambda: prometheus.query(f"histogram_count({of}) == {natively.ASKED}")  # noqa: E731
    wait_until("every request is counted", counted, SECONDS_MAX)
    assert not prometheus.query('http_request_duration_seconds_bucket{operation="chat"}'), "it takes the native ones"
    ((_, total),) = prometheus.query(f"histogram_sum({of})")
    assert total >= natively.ASKED * natively.FIRST_TOKEN
    quantile = lambda q: prometheus.query(f"histogram_quantile({q}, {of})")[0][1]  # noqa: E731
    lowest, median, highest = map(quantile, (0.0, 0.5, 1.0))
    # A bucket's bounds are 9 % apart.
    assert natively.FIRST_TOKEN / 1.0906 < lowest <= median <= highest
    assert highest <= 1.0906 * total
    ((_, below),) = prometheus.query(f"histogram_fraction(0, {natively.FIRST_TOKEN / 1.0906}, {of})")
    assert below == 0
    assert prometheus.has_data(f"histogram_quantile(0.99, sum(rate({of}[1m])))")


def test_every_histogram_and_every_sample_is_taken_by_protobuf(natively):
    for name in (
        "gen_ai_server_request_duration_seconds",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "tidegate_overhead_seconds",
    ):
        counted = lambda name=name: natively.prometheus.has_data(f"histogram_count({name}) > 0")  # noqa: E731
        wait_until(f"{name} is native", counted, SECONDS_MAX)
    # Those that are counted elsewhere, and told as they were.
    classic = "tidegate_jobs_run_seconds_bucket"
    wait_until("classic ones", lambda: natively.prometheus.has_data(classic), SECONDS_MAX)
    (target,) = natively.prometheus.targets()
    assert (target["health"], target["lastError"]) == ("up", ""), target
    assert natively.prometheus.own(DROPPED) == dict.fromkeys(DROPPED, 0)


def traces_of(collector: Collector) -> set[str]:
    return {span.trace_id for span in list(collector.spans)}


def test_prometheus_finds_traces_that_the_collector_has(natively):
    for name in ("http_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds"):
        found = lambda name=name: natively.prometheus.exemplars(name)  # noqa: E731
        exemplars = wait_until(f"an exemplar of {name}", found, SECONDS_MAX)
        for series, exemplar in exemplars:
            assert exemplar["labels"]["trace_id"] in traces_of(natively.collector), series
            assert float(exemplar["value"]) >= natively.FIRST_TOKEN


def test_exemplars_are_found_by_text_as_well(natively, tmp_path):
    """A Prometheus that takes classic histograms keeps them bucket by bucket."""
    with Prometheus(tmp_path, {NAME: natively.gateway.admin_port}, RULES) as prometheus:
        found = lambda: prometheus.exemplars("http_request_duration_seconds_bucket")  # noqa: E731
        for series, exemplar in wait_until("an exemplar", found, SECONDS_MAX):
            assert exemplar["labels"]["trace_id"] in traces_of(natively.collector), series
            assert float(exemplar["value"]) <= float(series["le"])
