"""Alerts as operators see them: rules that are quick, who is told, and what there is to see."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from support import configuration, jobs, upstream
from support.processes import Daemon
from support.raw import Response, ask
from support.upstream import Serving
from support.waiting import wait_until

# The error rule within seconds, and nothing else.
QUICK = "\n".join(
    [
        configuration.table("alerts", group_wait="0s", group_interval="1s", repeat="1h"),
        configuration.table("alerts.rules.errors", window="3s", requests_min=1, keep_firing_for="0s", **{"for": "0s"}),
        *(configuration.table(f"alerts.rules.{name}", enabled=False) for name in ("response", "memory", "cpu", "failures")),
    ]
)


# A window must pass, and a look comes once a second.
SECONDS_MAX = 30.0


def receiver(name: str, kind: str, **members: object) -> str:
    """A receiver on this machine."""
    return configuration.table(f"alerts.receivers.{name}", kind=kind, private=True, **members)


def webhook(name: str, url: str, **members: object) -> str:
    return receiver(name, "webhook", url=url, secret=jobs.WEBHOOK_SECRET, **members)


def shown(gateway: Daemon) -> dict:
    response = ask(gateway.admin_port, "GET", "/admin/alerts")
    assert response.status == 200, response.body
    return response.json()


def states(gateway: Daemon) -> dict[str, str]:
    return {alert["name"]: alert["state"] for alert in shown(gateway)["alerts"]}


def firing(gateway: Daemon, name: str) -> dict:
    """The alert, once it fires."""

    def there() -> dict | None:
        alerts = shown(gateway)["alerts"]
        return next((a for a in alerts if (a["name"], a["state"]) == (name, "firing")), None)

    return wait_until(f"{name} fires", there, SECONDS_MAX)


def over(gateway: Daemon, name: str) -> None:
    wait_until(f"{name} is over", lambda: name not in states(gateway), SECONDS_MAX)


def silence(gateway: Daemon, **asked: object) -> Response:
    body = json.dumps({"duration": "1h", **asked}).encode()
    return ask(gateway.admin_port, "POST", "/admin/alerts/silences", body, content_type="application/json")


class Traffic:
    """Asks again and again, until the `with` block ends, so that there is something to count."""

    def __init__(self, once: Callable[[], object]):
        self._once, self._end = once, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(0.05):
            self._once()

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._end.set()
        self._thread.join()


class Provider(Serving):
    """A provider that answers, or fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def _answer(self, connection, request) -> None:
        (upstream.fails if self.fails else upstream.answers)(connection, request)
