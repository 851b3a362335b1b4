"""Callers who wait for their answers, at an even rate: how long they wait, by the gateway's own bench."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from support import processes
from support.processes import Daemon


@dataclass(frozen=True)
class Waits:
    """Milliseconds from request to the answer's end."""

    p50: float
    p99: float
    errors: int

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms and p99 {self.p99:.1f} ms"


def measure(gateway: Daemon, model: str, rate: int, seconds: int) -> Waits:
    """So many streams a second for so long, each with a prompt of its own."""
    report = subprocess.run(
        [
            *(processes.binary(), "bench", "run", "--quiet", "--json", "--unique-prompts", "--stream"),
            *("--url", f"{gateway.url}/v1", "--model", model, "--max-tokens", "16"),
            *("--rate", str(rate), "--duration", f"{seconds}s", "--warmup", "2s"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 120,
    )
    target = json.loads(report.stdout)["target"]
    total = target["total_us"]
    return Waits(total["p50"] / 1000, total["p99"] / 1000, sum(target.get("errors", {}).values()))
