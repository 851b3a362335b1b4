"""The simulated provider's own account of what it was asked and how each request ended; and its script.

Its entries hold no prompt; a request is found by the `x-request-id` that a test gave it and that the gateway
hands on.
"""

from __future__ import annotations

import json
import time

from support.processes import Daemon
from support.raw import ask

SETTLE_SECONDS_MAX = 5.0


def about(mock: Daemon, request_id: str) -> list[dict]:
    """Every request with this id, oldest first."""
    log = ask(mock.port, "GET", "/sim/log").json()
    return [entry for entry in log if entry["x_request_id"] == request_id]


def asked(mock: Daemon, request_id: str) -> dict:
    """The request with this id, once it has arrived."""
    return _wait(mock, request_id, lambda entry: True)


def ended(mock: Daemon, request_id: str) -> dict:
    """The request with this id, once it has ended."""
    return _wait(mock, request_id, lambda entry: entry["outcome"] is not None)


def script(mock: Daemon, *directives: dict) -> None:
    """Tells it how to answer the next requests, one directive each."""
    response = ask(mock.port, "POST", "/sim/script", json.dumps(directives).encode())
    assert response.json() == {"queued": len(directives)}


def _wait(mock: Daemon, request_id: str, there) -> dict:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        found = about(mock, request_id)
        if found and there(found[-1]):
            return found[-1]
        time.sleep(0.005)
    raise AssertionError(
        f"the provider's log of {request_id} after {SETTLE_SECONDS_MAX} s: {about(mock, request_id)}"
    )
