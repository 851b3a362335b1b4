"""What is ready-made for Prometheus and Grafana, with a real Prometheus: it takes every sample, in both forms of the
metrics, and every expression that we hand out finds something under load."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from support import configuration, jobs, processes, workflows
from support.alerts import Traffic
from support.processes import ROOT, Daemon
from support.prometheus import DROPPED, Prometheus
from support.prompts import directive
from support.raw import Connection, ask, chat, head
from support.remembering import CHAT
from support.secrets import ADMIN_KEY
from support.upstream import Request, Upstream, reply
from support.waiting import wait_until

DASHBOARD = ROOT / "deploy/grafana/tidegate.json"
RULES = ROOT / "deploy/prometheus/tidegate.rules.yml"
# Prometheus calls one gateway by two names: as it asks for metrics itself, and as older ones would.
AS_IT_IS, OLDER = "as-it-is", "older"
# What Grafana fills in for a data source that says nothing of its own.
GRAFANA = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "1h"}
# All that there is to see is there after a few seconds, on a machine that does other things too.
SECONDS_MAX = 40.0
COMPARISON = re.compile(r"\s*(?:[<>]=?|[!=]=)\s*[\d.]+(?=\s*(?:$|and\b))")


class Fault(Upstream):
    """A provider that never answers well."""

    def __init__(self) -> None:
        super().__init__(lambda connection, _: connection.sendall(reply("500 Internal Server Error", b"{}")))


class Older(Upstream):
    """Fetches the metrics as they are told to whoever asks for no form, as Prometheus did before OpenMetrics."""

    def __init__(self, gateway: Daemon):
        super().__init__(self._fetch)
        self.gateway = gateway

    def _fetch(self, connection, request: Request) -> None:
        response = ask(self.gateway.admin_port, "GET", "/metrics", authorization=request.header("authorization"))
        form = f"content-type: {response.header('content-type')}"
        answer = reply(f"{response.status} -", response.body, form)
        connection.sendall(answer.replace(b"content-type: application/json\r\n", b"", 1))


class Mixture:
    """One of each kind of request, over and over; what callers were answered is kept."""

    # Of each kind, what it is here for. On a busy machine it may also be turned away.
    WANTED = {
        ("hit", 200),
        ("miss", 200),
        ("stream", 200),
        ("embedding", 200),
        ("queued", 200),
        ("fallback", 200),
        ("failure", 502),
        ("unknown", 404),
        ("limited", 429),
        ("job", 202),
        ("run", 202),
    }

    def __init__(self, gateway: Daemon, key: str, limited: str):
        self.gateway, self.numbers = gateway, itertools.count()
        self.caller, self.limited = ({"authorization": f"Bearer {secret}"} for secret in (key, limited))
        self.answers: set[tuple[str, int]] = set()
        self.faults: list[Exception] = []
        opened = lambda: ask(gateway.port, "GET", "/v1/workflows", **self.caller).status == 200  # noqa: E731
        wait_until("the store is open", opened)

    def __call__(self) -> None:
        number = next(self.numbers)
        try:
            self.wait_for_each_other()
            with Connection(self.gateway.port) as connection:
                for kind, path, body in self.requests(number):
                    headers = self.limited if kind == "limited" else self.caller
                    self.answers.add((kind, connection.post(body, path, **headers).status))
        except Exception as fault:  # noqa: BLE001  Judged at the end: nobody looks into this thread.
            self.faults.append(fault)

    def wait_for_each_other(self) -> None:
        """Two ask at once where one is answered at a time."""
        told = directive(first_token="20ms", between_tokens="0ms", tokens=1)
        data = json.dumps(chat("narrow/instant", told, temperature=1)).encode()
        headers = {"content-type": "application/json", **self.caller}
        with Connection(self.gateway.port) as one, Connection(self.gateway.port) as other:
            for connection in (one, other):
                connection.send(head("POST", CHAT, self.gateway.port, data, headers) + data)
            self.answers |= {("queued", connection.response().status) for connection in (one, other)}

    def requests(self, number: int) -> Iterator[tuple[str, str, dict]]:
        """Kind, path and body."""
        told = directive(first_token="5ms", between_tokens="1ms", tokens=8)
        yield "hit", CHAT, chat("smart", "always the same", temperature=0)
        yield "miss", CHAT, chat("smart", f"never again {number}", temperature=0)
        yield "stream", CHAT, chat("smart", f"{number} {told}", stream=True)
        yield "embedding", "/v1/embeddings", {"model": "mock/embed", "input": f"text {number}"}
        yield "fallback", CHAT, chat("safe", f"question {number}")
        yield "failure", CHAT, chat("broken/m", f"question {number}")
        yield "unknown", CHAT, chat("no-such-model")
        yield "limited", CHAT, chat("smart")
        if number % 5 == 0:
            yield "job", "/v1/jobs", jobs.model_job("mock/instant", f"later {number}")
            yield "run", "/v1/workflows/steps/runs", {}


@dataclass
class Seen:
    """A gateway under load, and the Prometheus that watches it."""

    gateway: Daemon
    mixture: Mixture
    older: Older
    prometheus: Prometheus


def watched(broken: Upstream, mock: Daemon, key: dict, limited: dict) -> list[str]:
    """A gateway with a provider that answers and one that does not, guarded by a key of its own."""
    return [
        configuration.key_row(key),
        configuration.key_row(limited, requests_per_minute=1),
        configuration.mock_provider(mock.port),
        configuration.provider("broken", broken.port),
        configuration.provider("narrow", mock.port, 'concurrency = { algorithm = "fixed", initial = 1 }'),
        configuration.alias("smart", ("mock/instant", 1)),
        configuration.table("models.safe", targets=[{"model": "broken/m"}], fallback=["mock/instant"]),
    ]


@pytest.fixture(scope="module")
def seen(mock, tmp_path_factory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("prometheus")
    key, limited = processes.create_key(), processes.create_key()
    with ExitStack() as stack:
        broken = stack.enter_context(Fault())
        text = configuration.gateway(folder / "data", *watched(broken, mock, key, limited))
        gateway = stack.enter_context(processes.start_gateway(folder, text, TIDEGATE_ADMIN_KEY=ADMIN_KEY))
        older = stack.enter_context(Older(gateway))
        targets = {AS_IT_IS: gateway.admin_port, OLDER: older.port}
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", targets, RULES))
        mixture = Mixture(gateway, key["key"], limited["key"])
        definition = {"name": "steps", "steps": [workflows.model("one", "hello", model="mock/instant")]}
        assert workflows.put(gateway, definition, **mixture.caller).status == 200
        stack.enter_context(Traffic(mixture))
        yield Seen(gateway, mixture, older, prometheus)


def dashboard() -> dict:
    return json.loads(DASHBOARD.read_text())


def shown(instance: str) -> list[dict]:
    """What the dashboard's panels ask for, as Grafana would for one instance: `expr` and `legendFormat`."""
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert all(panel["targets"] for panel in panels) and len(panels) > 30
    targets = [target for panel in panels for target in panel["targets"]]
    return [{**target, "expr": filled_in(target["expr"], instance)} for target in targets]


def filled_in(expression: str, instance: str) -> str:
    for name, value in {**GRAFANA, "$instance": instance}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"nobody fills in a variable of {expression}"
    return expression


def until_there(seen: Seen, wanted: list[str]) -> list[str]:
    """Those of the expressions that find no number, however long one waits."""
    missing = list(wanted)

    def all_there() -> bool:
        missing[:] = [one for one in missing if not seen.prometheus.has_data(one)]
        return not missing

    try:
        wait_until("all find something", all_there, SECONDS_MAX)
    except AssertionError:
        pass
    return missing


@pytest.mark.parametrize("instance", [AS_IT_IS, OLDER])
def test_every_panel_of_the_dashboard_shows_something(seen, instance):
    targets = shown(instance)
    assert not until_there(seen, [target["expr"] for target in targets])
    for target in targets:
        legend = set(re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", "")))
        for labels, _ in seen.prometheus.query(target["expr"]):
            assert legend <= labels.keys(), f"{target['legendFormat']} of {labels}"


def test_the_dashboard_offers_every_gateway_there_is(seen):
    (variable,) = (each for each in dashboard()["templating"]["list"] if each["type"] == "query")
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
    wait_until("both are there", lambda: len(seen.prometheus.query(metric)) == 2, SECONDS_MAX)
    assert {labels[label] for labels, _ in seen.prometheus.query(metric)} == {AS_IT_IS, OLDER}


def test_every_rule_is_evaluated_and_every_figure_is_recorded(seen):
    def evaluated() -> bool:
        return all(rule.health != "unknown" for rule in seen.prometheus.rules())

    wait_until("all rules were evaluated", evaluated, SECONDS_MAX)
    rules = seen.prometheus.rules()
    assert {rule.kind for rule in rules} == {"recording", "alerting"} and len(rules) > 15
    assert not [rule for rule in rules if rule.health != "ok" or rule.error]
    recorded = [rule.name for rule in rules if rule.kind == "recording"]
    assert not until_there(seen, [f'{one}{{instance="{AS_IT_IS}"}}' for one in recorded])


def test_every_alert_is_about_something_that_is_counted(seen):
    """Whatever its threshold: an alert about what nobody counts would be silent for ever."""
    alerts = [rule for rule in seen.prometheus.rules() if rule.kind == "alerting"]
    bare = {rule.name: COMPARISON.sub("", rule.expression) for rule in alerts}
    assert not [one for one in bare.values() if re.search("[<>=]=? ?[0-9]", one)], "these still compare"
    assert not until_there(seen, list(bare.values()))
    for rule in alerts:
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule.annotations.values())))
        for labels, _ in seen.prometheus.query(bare[rule.name]):
            assert named <= labels.keys(), f"{rule.name} tells {named} of {labels}"


def test_every_sample_is_taken_in_both_forms(seen):
    def scraped() -> bool:
        return all(seen.prometheus.has_data(f'up{{instance="{name}"}} == 1') for name in (AS_IT_IS, OLDER))

    wait_until("both are up", scraped, SECONDS_MAX)
    assert "application/openmetrics-text" in seen.older.requests[0].header("accept"), "it asks for the newer form"
    for target in seen.prometheus.targets():
        assert (target["health"], target["lastError"]) == ("up", ""), target
    assert seen.prometheus.own(DROPPED) == dict.fromkeys(DROPPED, 0)
    for name in (AS_IT_IS, OLDER):
        told, kept = (
            seen.prometheus.query(f'{what}{{instance="{name}"}}')[0][1]
            for what in ("scrape_samples_scraped", "scrape_samples_post_metric_relabeling")
        )
        assert told == kept > 200


def test_all_that_was_there_to_see_was_asked_for(seen):
    assert not seen.mixture.faults
    wait_until("every kind of answer", lambda: seen.mixture.answers >= seen.mixture.WANTED, SECONDS_MAX)
