"""What a gateway says of its breakers, permits, queues and limits: the admin plane's shapes, read in one place."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

from support.processes import Daemon
from support.raw import ask
from support.remembering import in_flight
from support.waiting import wait_until

ATTEMPTS = re.compile(
    r'^tidegate_upstream_attempts_total\{(?=[^}]*provider="([^"]*)")[^}]*\} (\d+)', re.MULTILINE
)


@dataclass(frozen=True)
class Target:
    """A row of `/admin/targets`."""

    provider: str
    model: str
    operation: str
    breaker: str
    limit: int
    in_flight: int
    waiting: int
    is_well: bool
    why: str | None


def targets(gateway: Daemon) -> list[Target]:
    """Every target that the gateway has met."""
    return [
        Target(
            provider=row["provider"],
            model=row["model"],
            operation=row["operation"],
            breaker=row["breaker"]["state"],
            limit=row["concurrency"]["limit"],
            in_flight=row["concurrency"]["in_flight"],
            waiting=row["concurrency"]["waiting"],
            is_well=row["health"]["ok"],
            why=row["health"]["why"],
        )
        for row in _json(gateway, "/admin/targets")["targets"]
    ]


def target(gateway: Daemon, provider: str) -> Target:
    """The one target of a provider that is asked for one model only."""
    (found,) = (row for row in targets(gateway) if row.provider == provider)
    return found


def breakers(gateway: Daemon) -> list[dict]:
    """The rows of `/admin/breakers`."""
    return _json(gateway, "/admin/breakers")["breakers"]


def breaker(gateway: Daemon, provider: str, model: str | None = None) -> dict:
    """The one breaker of a provider, or of a model of it."""
    rows = [row for row in breakers(gateway) if row["provider"] == provider]
    (found,) = (row for row in rows if model in (None, row["model"]))
    return found


def state(gateway: Daemon, provider: str, model: str | None = None) -> str:
    """How that breaker stands: closed where nobody has asked for it yet."""
    rows = [row for row in breakers(gateway) if row["provider"] == provider]
    return next((row["state"] for row in rows if model in (None, row["model"])), "closed")


def causes(gateway: Daemon) -> list[dict]:
    """What the gateway takes for the cause of the failures it sees."""
    return _json(gateway, "/admin/breakers")["causes"]


def reset(gateway: Daemon, **which: object) -> int:
    """Closes the breakers of a provider, of a model of it, or all of them; how many were not closed before."""
    body = json.dumps(which or {"everything": True}).encode()
    response = ask(gateway.admin_port, "POST", "/admin/breakers/reset", body, content_type="application/json")
    assert response.status == 200, response.body
    return response.json()["reset"]


def limits(gateway: Daemon) -> list[dict]:
    """The rows of `/admin/limits`."""
    return _json(gateway, "/admin/limits")["limits"]


def attempts(gateway: Daemon) -> Counter[str]:
    """The gateway's own count of its calls, by provider."""
    found: Counter[str] = Counter()
    for provider, count in ATTEMPTS.findall(ask(gateway.admin_port, "GET", "/metrics").body.decode()):
        found[provider] += int(count)
    return found


def is_at_rest(gateway: Daemon) -> bool:
    """Whether nothing is under way, nothing waits and every permit is back."""
    return in_flight(gateway) == 0 and all(row.in_flight == row.waiting == 0 for row in targets(gateway))


def wait_for_rest(gateway: Daemon) -> None:
    """Waits until every permit is back."""
    wait_until("every permit is back", lambda: is_at_rest(gateway))


def _json(gateway: Daemon, path: str) -> dict:
    response = ask(gateway.admin_port, "GET", path)
    assert response.status == 200, (path, response.status, response.body[:200])
    return response.json()
