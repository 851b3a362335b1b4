"""Prometheus, Debian's own build, in a process of the test's own: what it scrapes, what it knows, what its rules say."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from support import processes
from support.raw import ask
from support.secrets import ADMIN_KEY
from support.waiting import wait_until

# Of what the tests ask and of what the rules record alike.
CONFIGURATION = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [{rules}]
scrape_configs:
  - job_name: tidegate
    authorization: {{ type: Bearer, credentials: {key} }}
    static_configs:
{targets}
"""
TARGET = "      - {{ targets: ['127.0.0.1:{port}'], labels: {{ instance: {name} }} }}"
# A sample that Prometheus does not take.
DROPPED = [
    f"prometheus_target_scrapes_{what}_total"
    for what in (
        "sample_duplicate_timestamp",
        "sample_out_of_bounds",
        "sample_out_of_order",
        "exceeded_sample_limit",
        "exceeded_body_size_limit",
    )
]
# It begins with an empty folder, but has to write and read it on a machine that does other things too.
START_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Rule:
    name: str
    # `recording` or `alerting`.
    kind: str
    expression: str
    # `unknown` until it was evaluated.
    health: str
    error: str
    annotations: dict[str, str]


class Prometheus:
    """Running until the `with` block ends. It scrapes the admin planes at the ports of `targets`, each second, and
    calls each instance by the name it has there. `native`: it asks for protobuf, and takes native histograms."""

    def __init__(self, folder: Path, targets: dict[str, int], rules: Path, native: bool = False):
        self.program = shutil.which("prometheus")
        if self.program is None:
            raise FileNotFoundError("install prometheus, or run scripts/test")
        self.folder, self.port = folder, processes.free_port()
        rows = "\n".join(TARGET.format(port=port, name=name) for name, port in targets.items())
        # It keeps whatever it is told.
        self.features = "exemplar-storage,native-histograms" if native else "exemplar-storage"
        self.configuration = CONFIGURATION.format(rules=rules, key=ADMIN_KEY, targets=rows)

    def __enter__(self) -> Prometheus:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "prometheus.yml"
        file.write_text(self.configuration)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    f"--enable-feature={self.features}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until("Prometheus listens", self._listens, START_SECONDS_MAX)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception) -> None:
        self.process.terminate()
        self.process.wait(10)

    def _listens(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return processes.listening(self.port) and ask(self.port, "GET", "/-/ready").status == 200

    def _api(self, path: str, **asked: str) -> dict:
        response = ask(self.port, "GET", f"/api/v1/{path}?{urlencode(asked)}")
        said = json.loads(response.body)
        assert said["status"] == "success", f"{asked}: {said}"
        return said["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series of an expression now: labels and value."""
        return [(row["metric"], float(row["value"][1])) for row in self._api("query", query=expression)["result"]]

    def exemplars(self, selector: str) -> list[tuple[dict[str, str], dict]]:
        """The exemplars of the series that a selector finds: the series' labels, and each with its own."""
        now = time.time()
        found = self._api("query_exemplars", query=selector, start=str(now - 600), end=str(now + 60))
        return [(series["seriesLabels"], one) for series in found for one in series["exemplars"]]

    def has_data(self, expression: str) -> bool:
        """Whether there is a series with a number that is one."""
        return any(math.isfinite(value) for _, value in self.query(expression))

    def targets(self) -> list[dict]:
        """Whom it scrapes, and how that went the last time."""
        return self._api("targets", state="active")["activeTargets"]

    def rules(self) -> list[Rule]:
        groups = self._api("rules")["groups"]
        return [
            Rule(
                *(rule[member] for member in ("name", "type", "query", "health")),
                rule.get("lastError", ""),
                rule.get("annotations", {}),
            )
            for group in groups
            for rule in group["rules"]
        ]

    def own(self, names: Iterable[str]) -> dict[str, float]:
        """What it counts of itself, by names that have no labels."""
        text = ask(self.port, "GET", "/metrics").body.decode()
        rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(rows[name]) for name in names}
