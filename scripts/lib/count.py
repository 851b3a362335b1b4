#!/usr/bin/env python3
"""Prints `passed failed skipped` of a test runner's log: `count.py cargo|pytest|node LOG`."""

import re
import sys
from pathlib import Path


def total(pattern: str, log: str) -> int:
    """The sum of the pattern's one group over the log."""
    return sum(int(count) for count in re.findall(pattern, log, re.MULTILINE))


def cargo(log: str) -> tuple[int, int, int]:
    """Every test binary and every crate's examples end with a line of their own."""
    line = r"^test result: .*?"
    return (
        total(line + r"(\d+) passed", log),
        total(line + r"(\d+) failed", log),
        total(line + r"(\d+) ignored", log),
    )


def pytest(log: str) -> tuple[int, int, int]:
    """The last line: `2 failed, 30 passed, 1 error in 4.20s`, bare or between `=` signs."""
    endings = re.findall(
        r"^=* ?(.*(?:passed|failed|error|skipped|no tests ran).* in [\d.]+s.*)$", log, re.MULTILINE
    )
    last = endings[-1] if endings else ""
    return (
        total(r"(\d+) passed", last),
        total(r"(\d+) failed", last) + total(r"(\d+) errors?", last),
        total(r"(\d+) (?:skipped|deselected|xfailed|xpassed)", last),
    )


def node(log: str) -> tuple[int, int, int]:
    """The comments that end a TAP report."""
    failed = total(r"^# fail (\d+)$", log) + total(r"^# cancelled (\d+)$", log)
    return total(r"^# pass (\d+)$", log), failed, total(r"^# (?:skipped|todo) (\d+)$", log)


if __name__ == "__main__":
    kind, path = sys.argv[1:]
    print(*{"cargo": cargo, "pytest": pytest, "node": node}[kind](Path(path).read_text(errors="replace")))
