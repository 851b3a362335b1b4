"""Breakers: when they trip, whom they spare, how they close again, and what operators see and do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from support import configuration, processes
from support.processes import run
from support.protect import views
from support.protect.stand import MODEL, Asked, Stand, alias, generous_retries, stand, strategy
from support.raw import ask
from support.waiting import wait_until

# Longer than any test.
FOR_GOOD = {"open": "60s", "open_max": "60s"}
FOR_A_MOMENT = {"open": "200ms", "open_max": "200ms"}
TRIPS_AFTER = 3
CALLS = 1000
CIRCUIT = re.compile(r'^tidegate_circuit_state\{(?=[^}]*provider="first")[^}]*\} (\S+)', re.MULTILINE)

Begin = Callable[..., AbstractContextManager[Stand]]


@pytest.fixture
def begin(tmp_path) -> Begin:
    """Begins a stand whose alias `any` leads to the first provider, and behind it to the second."""

    def begin(
        *parts: str, fallback: bool = True, retry: dict | None = None, **members: object
    ) -> AbstractContextManager[Stand]:
        trips = {"consecutive": TRIPS_AFTER, "success_below": 0.0, "calls_min": 1000, **FOR_GOOD, **members}
        return stand(
            tmp_path,
            strategy("brisk", **trips),
            generous_retries(**(retry or {})),
            alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}"] * fallback, strategy="brisk"),
            *parts,
        )

    return begin


def fails(there: Stand, name: str = "first", **directive: object) -> None:
    """From now on that provider fails, by default with a 500."""
    there.providers[name].script(*[directive or {"status": 500}] * CALLS)


def trip(there: Stand) -> None:
    """Has the first provider fail until it is left alone."""
    fails(there)
    for _ in range(TRIPS_AFTER):
        assert there.ask().asked == ["first", "second"]
    assert views.state(there.gateway, "first") == "open"


def asked_until(there: Stand, is_so: Callable[[Asked], object]) -> Asked:
    """Asks again and again, until an answer is so."""
    return wait_until("an answer like that", lambda: (asked := there.ask()) and is_so(asked) and asked)


# Tripping


def test_whoever_fails_again_and_again_is_left_alone(begin):
    with begin() as there:
        trip(there)
        for _ in range(5):
            asked = there.ask()
            assert (asked.status, asked.asked) == (200, ["second"])


def test_operators_see_that_it_is_open_and_why(begin):
    with begin() as there:
        assert there.ask().asked == ["first"]
        assert views.target(there.gateway, "first").is_well
        trip(there)
        row = views.breaker(there.gateway, "first")
        assert (row["provider"], row["model"], row["strategy"]) == ("first", MODEL, "brisk")
        assert (row["state"], row["trips"]) == ("open", 1)
        assert 0 < row["retry_after_seconds"] <= 66 and row["reason"] and row["since"]
        seen = views.target(there.gateway, "first")
        assert (seen.breaker, seen.is_well) == ("open", False) and seen.why
        assert views.state(there.gateway, "second") == "closed"
        metrics = ask(there.gateway.admin_port, "GET", "/metrics").body.decode()
        assert [float(value) for value in CIRCUIT.findall(metrics)] == [2.0]


def test_without_anybody_else_the_caller_is_told_when_to_come_back(begin):
    with begin(retry={"tries": 1}, fallback=False) as there:
        fails(there)
        assert [there.ask().status for _ in range(TRIPS_AFTER)] == [502] * TRIPS_AFTER
        refused = there.ask()
        assert (refused.status, refused.asked) == (503, [])
        assert 1 <= int(refused.response.header("retry-after")) <= 66
        assert refused.response.error()


def test_the_share_of_failures_counts_as_well(begin):
    with begin(consecutive=1000, success_below=0.6, calls_min=10, window="60s") as there:
        # Two of three fail, and never three in a row.
        there.providers["first"].script(*[{"status": 500}, {"status": 500}, {}] * CALLS)
        asked_until(there, lambda asked: asked.asked == ["second"])
        row = views.breaker(there.gateway, "first")
        assert row["state"] == "open" and row["calls"] >= 10


def test_a_model_that_fails_says_nothing_of_another(begin):
    other = alias("other", "first/fast", strategy="brisk")
    with begin(other) as there:
        trip(there)
        there.providers["first"].clear_script()
        assert there.ask("other").asked == ["first"]
        assert views.state(there.gateway, "first", "fast") == "closed"
        assert there.ask().asked == ["second"]


def test_who_fails_under_one_name_is_left_alone_under_another(tmp_path):
    """Unless an alias has its targets judged in its own way."""
    names = [alias(name, f"first/{MODEL}", fallback=[f"second/{MODEL}"]) for name in ("any", "twin")]
    brisk = strategy("brisk", consecutive=TRIPS_AFTER, **FOR_GOOD)
    with stand(
        tmp_path, brisk, generous_retries(), *names, members={"first": {"strategy": "brisk"}}
    ) as there:
        trip(there)
        assert there.ask("twin").asked == ["second"]
        assert there.ask(f"first/{MODEL}").status == 503


UNCOUNTED = {
    "a fault of the request": ({"status": 400}, 400, ["first"]),
    "an unknown model": ({"status": 404}, 404, ["first"]),
    "a rate limit": ({"status": 429}, 200, ["first", "second"]),
}


@pytest.mark.parametrize(("directive", "status", "providers"), UNCOUNTED.values(), ids=UNCOUNTED.keys())
def test_what_is_no_hard_failure_trips_nothing_however_often(begin, directive, status, providers):
    with begin() as there:
        fails(there, **directive)
        for _ in range(3 * TRIPS_AFTER):
            asked = there.ask()
            assert (asked.status, asked.asked) == (status, providers)
        assert views.state(there.gateway, "first") == "closed"


def test_a_credential_that_is_refused_is_used_no_more(begin):
    with begin() as there:
        fails(there, status=401)
        first = there.ask()
        assert (first.status, first.asked) == (200, ["first", "second"])
        asked_until(there, lambda asked: asked.asked == ["second"])
        assert views.state(there.gateway, "first") == "open"
        words = " ".join(f"{cause['words']} {cause['advice']}" for cause in views.causes(there.gateway))
        assert "credential" in words or "key" in words, words


def test_without_a_guard_nothing_trips(begin):
    with begin(configuration.table("guard", enabled=False), retry={"tries": 1}, fallback=False) as there:
        fails(there)
        for _ in range(3 * TRIPS_AFTER):
            asked = there.ask()
            assert (asked.status, asked.asked) == (502, ["first"])


def test_the_last_resort_is_asked_whatever_it_did(begin):
    with begin(retry={"tries": 1}, fallback=False, last_resort=True) as there:
        fails(there)
        for _ in range(3 * TRIPS_AFTER):
            assert there.ask().asked == ["first"]


def test_what_fails_everywhere_is_told_to_be_here(begin):
    """Two providers at least that cannot be reached, and none that can: their breakers are not to blame."""
    with begin() as there:
        for provider in there.providers.values():
            provider.kill()
        for _ in range(4 * TRIPS_AFTER):
            assert there.ask().status in (502, 503)
        words = " ".join(cause["words"] for cause in views.causes(there.gateway))
        assert "here" in words or "local" in words, words
        assert views.state(there.gateway, "first") == "closed"
        ready = ask(there.gateway.port, "GET", "/health/ready")
        assert ready.status == 503, ready.body
        for provider in there.providers.values():
            provider.revive()
        asked_until(there, lambda asked: asked.status == 200)
        wait_until("ready again", lambda: ask(there.gateway.port, "GET", "/health/ready").status == 200)


# Coming back


def test_it_is_tried_again_and_comes_back(begin):
    with begin(**FOR_A_MOMENT) as there:
        trip(there)
        there.providers["first"].clear_script()
        asked_until(there, lambda asked: asked.asked == ["first"])
        assert views.state(there.gateway, "first") == "closed"
        for _ in range(5):
            assert there.ask().asked == ["first"]


def test_a_trial_that_fails_opens_it_again(begin):
    with begin(**FOR_A_MOMENT) as there:
        trip(there)
        asked_until(there, lambda _: views.breaker(there.gateway, "first")["trips"] >= 3)
        there.account.take()
        trials = [call for call in there.account.calls().values() for each in call if each.provider == "first"]
        # Far fewer than there were requests: a trial or two each time it was open.
        assert TRIPS_AFTER < len(trials) <= TRIPS_AFTER + 6


def test_a_hurry_of_one_caller_s_takes_the_provider_from_nobody(begin):
    with begin() as there:
        fails(there, hang=True)
        for _ in range(2 * TRIPS_AFTER):
            # Less than the provider's own time-out, and enough to ask it on a busy machine.
            asked = there.ask(**{"x-tidegate-timeout-ms": "500"})
            assert (asked.status, asked.asked) == (504, ["first"])
        there.providers["first"].clear_script()
        assert views.state(there.gateway, "first") == "closed"
        assert there.ask().asked == ["first"]


def test_a_trial_is_one_caller_s_and_the_others_go_elsewhere(begin):
    with begin(**FOR_A_MOMENT) as there:
        trip(there)
        first = there.providers["first"]
        first.clear_script()
        fails(there, hang=True)
        wait_until("it may be tried", lambda: views.state(there.gateway, "first") != "open")
        with ThreadPoolExecutor(8) as callers:
            all_asked = list(callers.map(lambda _: there.ask(), range(8)))
        tried = [asked for asked in all_asked if "first" in asked.asked]
        assert len(tried) == 1 and (tried[0].status, tried[0].asked) == (504, ["first"])
        assert all(asked.asked == ["second"] for asked in all_asked if asked is not tried[0])


def test_a_trial_whose_caller_leaves_gives_its_place_back(begin):
    with begin(**FOR_A_MOMENT) as there:
        trip(there)
        there.providers["first"].clear_script()
        fails(there, hang=True)
        wait_until("it may be tried", lambda: views.state(there.gateway, "first") != "open")
        assert there.ask(**{"x-tidegate-timeout-ms": "50"}).status == 504
        there.providers["first"].clear_script()
        asked_until(there, lambda asked: asked.asked == ["first"])


# What operators do


def test_one_breaker_is_reset_and_the_other_is_not(begin):
    other = alias("other", "third/instant", strategy="brisk")
    with begin(other) as there:
        trip(there)
        fails(there, "third")
        for _ in range(TRIPS_AFTER):
            there.ask("other")
        assert views.state(there.gateway, "third") == "open"
        there.providers["first"].clear_script()
        assert views.reset(there.gateway, provider="first", model=MODEL) == 1
        assert views.state(there.gateway, "third") == "open"
        assert there.ask().asked == ["first"]
        assert views.reset(there.gateway) == 1
        assert views.state(there.gateway, "third") == "closed"


WRONG_RESETS = {"of nothing": {}, "of what is not known": {"providers": "first"}, "of no JSON": None}


@pytest.mark.parametrize("body", WRONG_RESETS.values(), ids=WRONG_RESETS.keys())
def test_a_reset_that_cannot_be_understood_resets_nothing(begin, body):
    with begin() as there:
        trip(there)
        data = b"{" if body is None else json.dumps(body).encode()
        refused = ask(
            there.gateway.admin_port, "POST", "/admin/breakers/reset", data, content_type="application/json"
        )
        assert refused.status == 400 and refused.error()
        assert views.state(there.gateway, "first") == "open"


def test_the_command_lists_and_resets(begin):
    with begin() as there:
        trip(there)
        admin = ("--admin", f"http://127.0.0.1:{there.gateway.admin_port}")
        listed = run("breakers", "list", *admin)
        assert listed.returncode == 0, listed.stderr
        (line,) = (line for line in listed.stdout.splitlines() if f"first/{MODEL}" in line or "first" in line.split())
        assert "open" in line
        machine = run("breakers", "list", "--json", *admin)
        assert json.loads(machine.stdout)["breakers"], machine.stdout
        there.providers["first"].clear_script()
        reset = run("breakers", "reset", f"first/{MODEL}", *admin)
        assert reset.returncode == 0, reset.stderr
        assert there.ask().asked == ["first"]
        assert run("breakers", "reset", *admin).returncode == 2, "it wants to be told which"
        nobody = run("breakers", "reset", "nope/x", *admin)
        assert nobody.returncode == 1 and "no such provider 'nope'; there are: " in nobody.stderr, nobody
        assert run("breakers", "reset", "--all", *admin).returncode == 0


def test_a_breaker_survives_a_change_of_the_configuration(begin):
    with begin() as there:
        trip(there)
        text = processes.configured(there.gateway)
        processes.write(there.gateway, text.replace(f"consecutive = {TRIPS_AFTER}", "consecutive = 4"))

        def reloaded() -> bool:
            metrics = ask(there.gateway.admin_port, "GET", "/metrics").body.decode()
            return "tidegate_config_reloads_total 1" in metrics

        wait_until("the change is in force", reloaded)
        assert there.ask().asked == ["second"]
        assert views.state(there.gateway, "first") == "open"
