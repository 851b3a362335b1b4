"""A batch of as many lines as there may be: every line once, in little memory, and interactive callers do not feel it.

The provider is `tidegate mock`, told by each prompt what to do. Interactive callers come at an even rate, first alone
and then while the batch is under way.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import openai
from support import batches, configuration, jobs, processes
from support.durable import interactive
from support.durable.interactive import Waits
from support.processes import Daemon
from support.prompts import directive


@dataclass
class Settings:
    lines: int = 50_000
    # Of each prompt, about.
    bytes: int = 400
    # What lines ask, and what interactive callers ask.
    model: str = "mock/fast"
    interactive: str = "mock/fast"
    # Interactive requests a second, and how long they are measured without the batch.
    rate: int = 50
    seconds: int = 20
    workers: int = 16
    memory_mib: int = 150
    p99_ratio: float = 1.2


@dataclass
class Findings:
    """What came of it."""

    seconds: float = 0.0
    upload_seconds: float = 0.0
    # For callers, when the batch was over.
    waited_seconds: float = 0.0
    memory_before: int = 0
    memory_peak: int = 0
    # Of interactive callers, alone and beside the batch.
    alone: Waits = Waits(0, 0, 0)
    beside: Waits = Waits(0, 0, 0)
    wrong: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.beside.p99 / self.alone.p99 if self.alone.p99 else 0.0


def run(folder: Path, settings: Settings) -> Findings:
    """One batch, and what was found."""
    found = Findings()
    with processes.start_mock(folder / "mock") as mock:
        text = configuration.gateway(
            folder / "data",
            configuration.table("jobs", batch_workers_max=settings.workers),
            configuration.mock_provider(mock.port),
        )
        with processes.start_gateway(folder / "gateway", text) as gateway:
            jobs.ready(gateway)
            client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0, timeout=600)
            found.alone = interactive.measure(gateway, settings.interactive, settings.rate, settings.seconds)
            found.memory_before = gateway.resident_bytes()
            path = write(folder / "in.jsonl", settings)
            began = time.monotonic()
            file = batches.bring(client, path)
            found.upload_seconds = time.monotonic() - began
            batch = batches.create(client, file.id)
            batch = watch(gateway, client, batch.id, settings, found)
            found.seconds = time.monotonic() - began - found.waited_seconds
            judge(client, batch, settings, found)
            found.memory_peak = max(found.memory_peak, gateway.resident_bytes())
    if found.memory_peak > settings.memory_mib << 20:
        found.wrong.append(f"the gateway had {found.memory_peak >> 20} MiB")
    if found.ratio > settings.p99_ratio:
        found.wrong.append(f"interactive callers waited {found.ratio:.2f} times as long")
    return found


def kind(number: int) -> str:
    """One in a hundred is malformed; five are refused by the provider, one of which would pass another time."""
    at = number % 100
    return "malformed" if at == 0 else "refused" if at <= 5 else "good"


def write(path: Path, settings: Settings) -> Path:
    padding = " lorem" * (settings.bytes // 6)
    with path.open("w") as file:
        for number in range(settings.lines):
            told = directive(status=400) if kind(number) == "refused" else ""
            text = batches.line(str(number), settings.model, f"question {number} {told}{padding}")
            file.write((text[:-7] if kind(number) == "malformed" else text) + "\n")
    return path


def watch(gateway: Daemon, client, id: str, settings: Settings, found: Findings):
    """The batch, once it is over; meanwhile callers call, and the memory is looked at."""

    def call() -> None:
        found.beside = interactive.measure(gateway, settings.interactive, settings.rate, settings.seconds)

    callers = threading.Thread(target=call)
    callers.start()
    while (batch := client.batches.retrieve(id)).status not in batches.OVER:
        found.memory_peak = max(found.memory_peak, gateway.resident_bytes())
        time.sleep(0.1)
    if callers.is_alive():
        found.wrong.append("the batch was over before callers were measured: give it more lines, or less time")
    began = time.monotonic()
    callers.join()
    found.waited_seconds = time.monotonic() - began
    return batch


def judge(client, batch, settings: Settings, found: Findings) -> None:
    """Every line must be in one of the two files once."""
    expected = Counter(kind(number) for number in range(settings.lines))
    counts = batch.request_counts
    bad = expected["malformed"] + expected["refused"]
    if (batch.status, counts.total, counts.completed, counts.failed) != (
        "completed",
        settings.lines,
        settings.lines - bad,
        bad,
    ):
        found.wrong.append(f"the batch is {batch.status}, {counts}")
    seen: Counter[str] = Counter()
    for file, well in ((batch.output_file_id, {"good"}), (batch.error_file_id, {"malformed", "refused"})):
        with client.files.with_streaming_response.content(file) as content:
            for text in content.iter_lines():
                line = json.loads(text)
                number = int(line["id"][-5:], 16)
                seen[str(number)] += 1
                if kind(number) not in well or line["custom_id"] not in (str(number), None):
                    found.wrong.append(f"line {number} should not be in {file}: {text[:200]}")
    doubled = [number for number, count in seen.items() if count > 1]
    if len(seen) != settings.lines or doubled:
        found.wrong.append(f"{len(seen)} of {settings.lines} lines were found, {len(doubled)} more than once")
