"""Every kind of alert: what deserves it makes it fire, which is seen and told; it is over when that is, which is seen
and told, too; and what only looks like it is left alone.

Windows are seconds long. That a rule has looked at a load for long enough and said nothing is known by another one,
of the least severity, which nobody is told of: it fires by the very looks at which the first one did not.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support import configuration, processes, upstream
from support.alerts import Provider, Traffic, firing, only, over, shown, states, told, webhook
from support.jobs import PATH, Application
from support.raw import Connection, chat, complete, head
from support.waiting import wait_until

HOLD = "hold this one"


def watched(seconds: int, **members: object) -> dict:
    """A rule that fires when there has been traffic for so many seconds on end."""
    rule = {"figure": "requests", "above": 0, "window": "2s", "for": f"{seconds}s", "severity": "info"}
    return {**rule, **members}


class Scripted(Provider):
    """A provider that does what the test says, and what a kind of alert is to leave alone besides."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = 0
        # Of so many requests one fails.
        self.fails_every: int | None = None
        # How long each request takes, one after the other and again from the first on.
        self.delays: list[float] = [0.0]
        # Until when those that are to be held are.
        self.release = threading.Event()

    def _answer(self, connection, request) -> None:
        if HOLD in request.body.decode():
            self.release.wait(60)
            return upstream.answers(connection, request)
        number, self.answered = self.answered, self.answered + 1
        time.sleep(self.delays[number % len(self.delays)])
        if self.fails_every and (number + 1) % self.fails_every == 0:
            return upstream.fails(connection, request)
        super()._answer(connection, request)


class Scene:
    """A gateway with these rules, its provider, and somebody who is told."""

    def __init__(self, launch, provider: Scripted, pager: Application, *parts: str, **rules: dict):
        self.provider, self.pager = provider, pager
        own = configuration.provider("own", provider.port)
        told_to = webhook("pager", pager.url)
        self.gateway = launch(*parts, configuration.UNGUARDED, own, only(**rules), told_to)

    def asking(self, pause_seconds: float = 0.05, **headers: str) -> Traffic:
        return Traffic(lambda: self.ask(**headers), pause_seconds)

    def ask(self, content: str = "hello", **headers: str) -> None:
        complete(self.gateway.port, chat("own/m", content), **headers)

    def begin(self, content: str, **headers: str) -> Connection:
        """Asks, and does not wait for the answer."""
        body, line = json.dumps(chat("own/m", content)).encode(), Connection(self.gateway.port)
        named = {"content-type": "application/json", **headers}
        line.send(head("POST", PATH, self.gateway.port, body, named) + body)
        return line

    def happened(self, name: str) -> list[str]:
        """What became of a rule's alert so far."""
        return [event["state"] for event in reversed(shown(self.gateway)["history"]) if event["name"] == name]

    def leaves_alone(self, name: str, witness: str) -> None:
        """It says nothing by the looks by which its witness fires."""
        firing(self.gateway, witness)
        assert name not in states(self.gateway) and self.happened(name) == []

    def fires(self, name: str) -> dict:
        """It has not fired before, and does now; whoever is to be told is, of it alone."""
        alert = firing(self.gateway, name)
        assert self.happened(name) == ["firing"]
        wait_until(f"the pager is told of {name}", lambda: self.pager.told)
        assert told(self.pager) == [("firing", name)]
        event = self.pager.told[0].event["alerts"][0]
        assert event["fingerprint"] == alert["id"] and event["labels"] == alert["labels"]
        return alert

    def is_over(self, name: str) -> None:
        over(self.gateway, name)
        assert self.happened(name) == ["firing", "resolved"]
        wait_until(f"the pager is told that {name} is over", lambda: len(self.pager.told) > 1)
        assert told(self.pager) == [("firing", name), ("resolved", name)]


@pytest.fixture
def scene(launch) -> Iterator[Callable[..., Scene]]:
    """Sets a scene: parts of the configuration, and rules by name."""
    with Scripted() as provider, Application() as pager:
        yield lambda *parts, **rules: Scene(launch, provider, pager, *parts, **rules)


def test_a_threshold_is_for_many_failures_and_not_for_some(scene):
    share = {"figure": "error_share", "window": "3s"}
    there = scene(many={**share, "above": 0.6}, some={**share, "above": 0.02, "severity": "info"})
    there.provider.fails_every = 8
    with there.asking():
        there.leaves_alone("many", witness="some")
        there.provider.fails = True
        assert there.fires("many")["value"] > 0.6
        there.provider.fails = False
        there.is_over("many")


def test_an_absence_is_for_silence_and_not_for_seldom(scene):
    absent = {"kind": "absence", "figure": "requests", "window": "4s"}
    # From the start on: before a window has passed nobody knows that nothing was in it.
    there = scene(absent=absent, watched=watched(7, window="4s"))
    with there.asking(pause_seconds=0.8):
        there.leaves_alone("absent", witness="watched")
    assert there.fires("absent")["kind"] == "absence"
    with there.asking():
        there.is_over("absent")


def test_a_burn_rate_is_for_what_lasts_and_not_for_a_peak(scene):
    # Half may fail; 1.2 times as many are too many, over both windows.
    burn = {"kind": "burn_rate", "objective": 0.5, "burns": [{"factor": 1.2, "long": "9s", "short": "2s"}]}
    peak = {"figure": "error_share", "above": 0.6, "window": "2s", "severity": "info"}
    there = scene(burn=burn, peak=peak, watched=watched(6))
    with there.asking():
        there.leaves_alone("burn", witness="watched")
        there.provider.fails = True
        there.leaves_alone("burn", witness="peak")
        there.provider.fails = False
        over(there.gateway, "peak")
        there.provider.fails = True
        assert "times too fast" in there.fires("burn")["description"]
        there.provider.fails = False
        there.is_over("burn")


def test_a_forecast_is_for_what_fills_up_and_not_for_what_is_in_use(scene):
    key = processes.create_key()
    headers = {"authorization": f"Bearer {key['key']}"}
    soon = {
        "kind": "forecast",
        "figure": "limit_used_share",
        "where": {"measure": "concurrent_requests"},
        "above": 0.9,
        "within": "2m",
        "window": "20s",
    }
    there = scene(configuration.key_row(key, concurrent_requests=40), soon=soon, watched=watched(12))
    with ExitStack() as stack:
        stack.callback(there.provider.release.set)

        def hold() -> None:
            stack.enter_context(there.begin(HOLD, **headers))

        for _ in range(8):
            hold()
        # Who is answered at once is under way now and then.
        stack.enter_context(there.asking(**headers))
        there.leaves_alone("soon", witness="watched")
        # One more a second: the limit is half a minute away.
        with Traffic(hold, pause_seconds=1.0):
            alert = there.fires("soon")
        assert "reaches 90 % in" in alert["description"] and alert["value"] < 0.9
        there.provider.release.set()
        there.is_over("soon")


def test_an_anomaly_is_for_the_unusual_and_not_for_the_changing(scene):
    odd = {
        "kind": "anomaly",
        "figure": "response_p50_seconds",
        "window": "1s",
        "windows_min": 5,
        "deviations": 10.0,
        "keep_firing_for": "3s",
    }
    there = scene(odd=odd, watched=watched(10))
    # About a second each: what is usual goes up and down by a factor of ten.
    there.provider.delays = [delay for delay in (0.01, 0.03, 0.06, 0.1) for _ in range(24)]
    with ExitStack() as callers:
        for _ in range(4):
            callers.enter_context(there.asking())
        there.leaves_alone("odd", witness="watched")
        usual, there.provider.delays = there.provider.delays, [1.5]
        assert "is usual" in there.fires("odd")["description"]
        there.provider.delays = usual
        there.is_over("odd")
