"""Alerts as operators see them: rules that are quick, who is told, and what there is to see."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from support import configuration, jobs, upstream
from support.jobs import Application
from support.processes import Daemon
from support.raw import Response, ask
from support.upstream import Serving
from support.waiting import wait_until

# Rules that are there without a word.
PRESETS = ("response", "errors", "memory", "cpu", "failures")

# A window must pass, and a look comes once a second.
SECONDS_MAX = 30.0


def rule(name: str, **members: object) -> str:
    return configuration.table(f"alerts.rules.{name}", **members)


def only(**rules: dict) -> str:
    """These rules by name and no others, told of at once."""
    off = (rule(name, enabled=False) for name in PRESETS if name not in rules)
    terms = configuration.table("alerts", group_wait="0s", group_interval="1s", repeat="1h")
    return "\n".join([terms, *off, *(rule(name, **members) for name, members in rules.items())])


# The error rule within seconds, and nothing else.
QUICK = only(errors={"window": "3s", "requests_min": 1, "keep_firing_for": "0s", "for": "0s"})


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


def told(application: Application) -> list[tuple[str, str]]:
    """What a webhook was told: the status, and the alerts' names."""
    return [
        (event.event["status"], " ".join(alert["labels"]["alertname"] for alert in event.event["alerts"]))
        for event in application.told
    ]


def silence(gateway: Daemon, **asked: object) -> Response:
    body = json.dumps({"duration": "1h", **asked}).encode()
    return ask(gateway.admin_port, "POST", "/admin/alerts/silences", body, content_type="application/json")


class Traffic:
    """Asks again and again, with a pause between, until the `with` block ends, so that there is something to count."""

    def __init__(self, once: Callable[[], object], pause_seconds: float = 0.05):
        self._once, self._pause_seconds, self._end = once, pause_seconds, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: Exception | None = None

    def _run(self) -> None:
        try:
            while not self._end.wait(self._pause_seconds):
                self._once()
        except Exception as failed:
            self._failed = failed

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        """Raises what ended it before its time, if anything did."""
        self._end.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed


class Provider(Serving):
    """A provider that answers, or fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def _answer(self, connection, request) -> None:
        (upstream.fails if self.fails else upstream.answers)(connection, request)
