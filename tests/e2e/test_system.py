"""What operators and their tools are told of the process: metrics that Prometheus' own tools accept, ready-made
dashboards that name no figure in vain, profiles, and memory given back."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import configuration
from support.processes import ROOT, run
from support.raw import Connection, ask, chat, complete, head
from support.waiting import wait_until

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? ", re.MULTILINE)
PLAIN = {
    "http_request_duration_seconds_count",
    "database_query_duration_seconds_count",
    "cache_hit_rate",
    "memory_usage_bytes",
    "circuit_breaker_state",
}
PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
    "process_threads",
    "process_network_receive_bytes_total",
}


@pytest.fixture
def busy(launch, mock):
    """A gateway that has answered some requests, streams and failures among them."""
    gateway = launch(configuration.mock_provider(mock.port), configuration.alias("smart", ("mock/instant", 1)))
    for number in range(5):
        assert complete(gateway.port, chat("smart", f"question {number}")).status == 200
    assert complete(gateway.port, chat("no-such/model")).status == 404
    return gateway


def metrics(gateway, **headers: str) -> str:
    response = ask(gateway.admin_port, "GET", "/metrics", **headers)
    assert response.status == 200
    return response.body.decode()


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess:
    program = shutil.which("promtool")
    assert program, "promtool is missing: install Debian's package prometheus, or run scripts/test"
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=30, check=False)


def test_promtool_finds_no_fault_with_the_metrics(busy):
    checked = promtool("check", "metrics", text=metrics(busy))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr


def test_each_reader_gets_the_form_it_asks_for(busy):
    plain = ask(busy.admin_port, "GET", "/metrics")
    assert plain.header("content-type").startswith("text/plain; version=0.0.4")
    assert "# TYPE tidegate_requests_total counter" in plain.body.decode()
    fresh = ask(busy.admin_port, "GET", "/metrics", accept=f"{OPEN_METRICS},text/plain;q=0.5")
    assert fresh.header("content-type").startswith("application/openmetrics-text")
    assert fresh.body.decode().endswith("# EOF\n")


def test_plain_names_and_the_process_own_are_there(busy):
    found = set(SAMPLE.findall(metrics(busy)))
    assert not (PLAIN | PROCESS) - found
    text = metrics(busy)
    resident = float(re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)[1])
    assert 0.5 < resident / busy.resident_bytes() < 2
    assert re.search(r'^tidegate_tasks\{thread="worker-0"\} ', text, re.MULTILINE)


def names_in(expression: str) -> set[str]:
    """The names of metrics in an expression: words that are neither called nor labels nor words of the language."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b", bare)
    return {word for word in words if "_" in word} - {"histogram_quantile"}


def recorded(rules: str) -> tuple[set[str], list[str]]:
    """What the rules record, and every expression."""
    expressions = re.findall(r"expr: (?:\|\n((?: {10,}.*\n)+)|(.*))", rules)
    return set(re.findall(r"record: (\S+)", rules)), [block or line for block, line in expressions]


def test_the_dashboard_and_the_rules_name_only_what_there_is(busy):
    found = set(SAMPLE.findall(metrics(busy)))
    dashboard = json.loads(run("dashboard", "export").stdout)
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = run("dashboard", "export", "rules").stdout
    assert promtool("check", "rules", str(ROOT / "deploy/prometheus/tidegate.rules.yml")).returncode == 0
    assert rules == (ROOT / "deploy/prometheus/tidegate.rules.yml").read_text()
    known, expressions = recorded(rules)
    assert len(targets) > 30 and len(expressions) > 15
    used = set().union(*map(names_in, [*targets, *expressions]))
    assert len(used) > 30
    assert not used - found - known, "nobody counts these"


def test_the_system_is_told_to_operators_and_a_little_to_everybody(busy):
    told = ask(busy.admin_port, "GET", "/admin/system").json()
    assert told["memory"]["resident_bytes"] > 0 and told["memory"]["allocator"]["committed_bytes"] > 0
    assert told["memory"]["leak"]["verdict"] == "none"
    assert {row["thread"] for row in told["runtimes"]} >= {"alerts", "control", "durable", "worker-0"}
    health = ask(busy.port, "GET", "/health/performance")
    assert health.status == 200
    assert set(health.json()) == {
        "status", "uptime_seconds", "cpu", "memory", "resident_bytes", "connections", "requests", "cache_hit_rate",
    }  # fmt: skip
    for word in ("mock", "smart", "127.0.0.1", "version", "worker"):
        assert word not in health.body.decode(), "nobody has a right to know that"


def keep_busy(port: int, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        complete(port, chat("smart", f"{number} " + "word " * 2000))


@pytest.fixture
def under_load(busy):
    stop = threading.Event()
    thread = threading.Thread(target=keep_busy, args=(busy.port, stop))
    thread.start()
    yield busy
    stop.set()
    thread.join()


def threads(gateway) -> set[str]:
    names = Path(f"/proc/{gateway.process.pid}/task").glob("*/comm")
    return {name.read_text().strip() for name in names}


@pytest.mark.parametrize("form", ["svg", "collapsed", "pprof"])
def test_processor_time_is_profiled_by_function(under_load, form):
    response = ask(under_load.admin_port, "GET", f"/admin/profile/cpu?seconds=3&format={form}")
    assert response.status == 200, response.body
    body = gzip.decompress(response.body) if form == "pprof" else response.body
    if response.header("x-tidegate-symbols") == "present":
        assert b"tidegate" in body or b"gateway::" in body
    assert b"worker-0" in body or b"worker-1" in body
    if form == "svg":
        svg = ElementTree.fromstring(body)
        assert svg.tag.endswith("svg") and "script" not in {one.tag.rpartition("}")[2] for one in svg.iter()}
        assert "default-src 'none'" in response.header("content-security-policy")


def test_profiles_are_taken_one_at_a_time_and_end_with_who_asked(under_load):
    answers = []
    first = threading.Thread(
        target=lambda: answers.append(ask(under_load.admin_port, "GET", "/admin/profile/cpu?seconds=3").status)
    )
    first.start()
    wait_until("a recording", lambda: "profiler" in threads(under_load))
    assert ask(under_load.admin_port, "GET", "/admin/profile/cpu?seconds=1").status == 409
    first.join()
    assert answers == [200]
    for query in ("seconds=0", "seconds=61", "seconds=x", "format=exe", "colour=red"):
        assert ask(under_load.admin_port, "GET", f"/admin/profile/cpu?{query}").status == 400, query
    assert ask(under_load.port, "GET", "/admin/profile/cpu").status == 404


def test_threads_and_memory_are_told_and_memory_is_given_back(under_load):
    tasks = ask(under_load.admin_port, "GET", "/admin/profile/tasks?seconds=1").json()
    workers = [row for row in tasks["threads"] if row["thread"].startswith("worker-")]
    assert workers and all(0 <= row["busy_share"] <= 1 for row in workers)
    heap = ask(under_load.admin_port, "GET", "/admin/profile/heap").json()
    assert heap["committed_bytes"] > 0 and heap["held_bytes"]["cache"] >= 0 and heap["allocator"]["committed"]
    assert ask(under_load.admin_port, "GET", "/admin/profile/release-memory").status == 405
    given = ask(under_load.admin_port, "POST", "/admin/profile/release-memory", b"").json()
    # The control thread, the durable one, that of alerts, and each worker.
    assert given["threads"] == len(tasks["threads"])
    assert given["before"]["resident_bytes"] > 0 and given["after"]["resident_bytes"] > 0


def test_the_admin_plane_describes_itself_and_tells_the_truth(busy):
    described = ask(busy.admin_port, "GET", "/admin/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for path, operations in described["paths"].items():
        if "{" in path or path == "/admin/profile/cpu":
            continue
        for method in operations:
            body = b"{}" if method == "post" else None
            # Only the head: figures of the moment have no end.
            with Connection(busy.admin_port) as connection:
                named = {"content-type": "application/json"}
                connection.send(head(method.upper(), path, busy.admin_port, body, named) + (body or b""))
                status, _ = connection.response_head()
            assert status not in (404, 405), f"{method} {path}"
