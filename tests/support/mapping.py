"""`tidegate map` as a process: started, watched, killed, and what it left in its files."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support.processes import binary


def write_rows(path: Path, rows: Iterable[object]) -> Path:
    """One row a line; what is a text already is written as it is."""
    with path.open("w") as file:
        for row in rows:
            file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    return path


def lines(path: Path) -> list[dict]:
    """The objects of a file of JSON lines, every one of them whole; none where there is no file."""
    if not path.exists():
        return []
    text = path.read_text()
    assert text == "" or text.endswith("\n"), f"the last line of {path} is torn: {text[-100:]!r}"
    return [json.loads(line) for line in text.splitlines()]


@dataclass
class Job:
    """One mapping: an input, an output beside it, and how it is asked."""

    input: Path
    output: Path
    url: str
    flags: list[str]

    @property
    def errors(self) -> Path:
        return self.output.with_name(self.output.name + ".errors.jsonl")

    @property
    def journal(self) -> Path:
        return self.output.with_name(self.output.name + ".progress")

    def command(self, *flags: str) -> list:
        return [binary(), "map", self.input, "-o", self.output, "--url", self.url, *self.flags, *flags]

    def run(self, *flags: str, **options) -> subprocess.CompletedProcess:
        """To its end."""
        return subprocess.run(
            self.command(*flags),
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=80,
            check=False,
            **options,
        )

    def start(self, *flags: str) -> subprocess.Popen:
        """Until it is told to stop; a test run that is killed takes it along."""
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*leash, *self.command(*flags)], env={}, stdin=subprocess.DEVNULL, text=True, **pipes
        )

    def summary(self, *flags: str) -> dict:
        """What a run counts that was to end well or with failed rows, without the time."""
        result = self.run("--summary", "json", *flags)
        assert result.returncode in (0, 1), result
        told = json.loads(result.stdout)
        told.pop("seconds")
        return told

    def ids(self) -> list[object]:
        """The `id` of each row of the output, in its order."""
        return [row["id"] for row in lines(self.output)]

    def failed(self) -> list[object]:
        """The `id` of each row among the errors."""
        return [row["row"]["id"] for row in lines(self.errors)]


def resident_peak_bytes(process: subprocess.Popen) -> int:
    """The most memory that a process had resident, as the kernel counts it; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return 0
    rows = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(row[1]) * 1024 for row in rows), 0)


def watch(process: subprocess.Popen, seconds: float) -> int:
    """Waits for its end and tells the most memory it was seen with."""
    deadline, peak = time.monotonic() + seconds, 0
    while process.poll() is None:
        assert time.monotonic() < deadline, "it does not end"
        peak = max(peak, resident_peak_bytes(process))
        time.sleep(0.02)
    return peak
