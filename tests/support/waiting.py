"""Waiting for what will happen, without asserting when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

SETTLE_SECONDS_MAX = 10.0

Found = TypeVar("Found")


def wait_until(what: str, there: Callable[[], Found], seconds: float = SETTLE_SECONDS_MAX) -> Found:
    """What `there` gives, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)
    return found
