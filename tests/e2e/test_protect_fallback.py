"""Trying again and asking another: what is done for a caller whose provider fails, and what must never be done.

`scripts/protect faults` does the same with each misfortune a hundred times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import configuration
from support.protect import down, faults, outage, views
from support.protect import scene as scenes
from support.protect.misfortunes import MISFORTUNES
from support.protect.stand import MODEL, NAMES, Stand, alias, generous_retries, never_trips, stand
from support.waiting import wait_until

# Each form directly and through a flight.
ROUNDS = 4


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with scenes.scene(tmp_path_factory.mktemp("faults")) as there:
        yield there


@pytest.mark.parametrize("mode", scenes.MODES)
@pytest.mark.parametrize("name", MISFORTUNES)
def test_a_misfortune_costs_no_more_than_it_must(scene, name, mode):
    assert faults.befall(scene, name, mode, ROUNDS).wrong == []


# Trying again


@pytest.fixture
def alone(tmp_path):
    """An alias of one provider, which nobody stands in for."""
    parts = [never_trips(), generous_retries(wait_max="2s"), alias("any", f"first/{MODEL}", strategy="patient")]
    with stand(tmp_path, *parts) as there:
        yield there


def test_whoever_was_refused_once_is_tried_again(alone):
    alone.providers["first"].script({"status": 503}, {"status": 500})
    asked = alone.ask()
    assert (asked.status, asked.asked) == (200, ["first"] * 3)
    assert asked.response.header("x-tidegate-attempts") == "3"


def test_once_the_tries_are_spent_the_caller_need_not_try_either(alone):
    alone.providers["first"].script(*[{"status": 500}] * 3)
    asked = alone.ask()
    assert (asked.status, asked.asked) == (502, ["first"] * 3)
    assert asked.response.header("x-should-retry") == "false"
    assert alone.ask().status == 200


WAITS = {
    "seconds": ({"retry_after": "1"}, 1000),
    "milliseconds": ({"retry_after_ms": "600", "retry_after": "30"}, 600),
}


@pytest.mark.parametrize(("headers", "least_ms"), WAITS.values(), ids=WAITS.keys())
def test_a_provider_that_asks_for_time_has_it(alone, headers, least_ms):
    alone.providers["first"].script({"status": 429, **headers})
    asked = alone.ask()
    assert (asked.status, asked.asked) == (200, ["first", "first"])
    early, late = (call.came_ms for call in asked.calls)
    assert late - early >= least_ms


TOO_LONG = {
    "longer than we wait": ({}, 120),
    "longer than the caller waits": ({"x-tidegate-timeout-ms": "700"}, 1),
}


@pytest.mark.parametrize(("headers", "after"), TOO_LONG.values(), ids=TOO_LONG.keys())
def test_who_asks_for_too_much_time_is_not_waited_for(alone, headers, after):
    alone.providers["first"].script({"status": 429, "retry_after": str(after)})
    asked = alone.ask(**headers)
    assert (asked.status, asked.asked) == (503, ["first"])
    # What the provider said, or the most that callers are told to wait.
    assert min(after, 60) <= int(asked.response.header("retry-after")) <= 120


def test_nothing_is_tried_beyond_the_caller_s_deadline(tmp_path):
    """Though the alias has opted in, and another provider stands ready."""
    eager = alias(
        "any", f"first/{MODEL}", fallback=[f"second/{MODEL}"], strategy="patient", retry={"accepted": True}
    )
    with stand(tmp_path, never_trips(), generous_retries(), eager) as there:
        there.providers["first"].script({"hang": True})
        asked = there.ask(**{"x-tidegate-timeout-ms": "300"})
        assert (asked.status, asked.asked) == (504, ["first"])


def test_one_try_is_one_try(tmp_path):
    parts = [
        never_trips(),
        generous_retries(),
        alias(
            "any", f"first/{MODEL}", fallback=[f"second/{MODEL}"], strategy="patient", retry={"tries": 1}
        ),
    ]
    with stand(tmp_path, *parts) as there:
        there.providers["first"].script({"status": 500})
        asked = there.ask()
        assert (asked.status, asked.asked) == (502, ["first"])


# Whom to ask


def test_who_asked_for_time_is_not_asked_by_others_meanwhile(tmp_path):
    one_after_another = alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}"])
    with stand(tmp_path, generous_retries(), one_after_another) as there:
        there.providers["first"].script({"status": 429, "retry_after": "1"})
        told = there.ask()
        assert told.asked == ["first", "second"]
        came = told.calls[0].came_ms
        again = None
        for _ in range(200):
            asked = there.ask()
            assert asked.status == 200
            if "first" in asked.asked:
                again = asked.calls[0].came_ms
                break
        # Either it was left alone that long, or it has not been asked again yet.
        assert again is None or again - came >= 1000


def test_groups_are_asked_in_their_order(tmp_path):
    groups = [
        {"model": f"{name}/{MODEL}", "priority": priority}
        for name, priority in (("second", 1), ("first", 0), ("third", 2))
    ]
    with stand(tmp_path, never_trips(), generous_retries(), alias("any", *groups, strategy="patient")) as there:
        assert {name for _ in range(10) for name in there.ask().asked} == {"first"}
        there.providers["first"].script({"status": 503})
        assert there.ask().asked == ["first", "second"]
        there.providers["first"].script({"status": 503})
        there.providers["second"].script({"status": 503})
        assert there.ask().asked == ["first", "second", "third"]


def test_a_conversation_stays_where_it_is(tmp_path):
    equals = alias("any", *(f"{name}/{MODEL}" for name in NAMES))
    with stand(tmp_path, equals) as there:

        def whom(number: int) -> str:
            (name,) = there.ask(content=f"conversation {number}", **{"x-tidegate-session": f"s-{number}"}).asked
            return name

        where = [whom(number) for number in range(24)]
        assert len(set(where)) > 1, "the conversations are spread"
        assert [whom(number) for number in range(24)] == where


# Under load, without judging times


@pytest.mark.parametrize("name", outage.OUTAGES)
def test_an_outage_does_not_multiply_calls(tmp_path, name):
    assert outage.fail(tmp_path, name, seconds=4, rate=60).wrong == []


@pytest.mark.parametrize("name", down.FALLS)
def test_one_goes_down_and_comes_back_and_callers_are_answered(tmp_path, name):
    times = down.Times(healthy=2, down=5, back=6, rate=30, rests="1s")
    assert down.fall(tmp_path, name, times).wrong == []


def test_a_budget_that_is_spent_leaves_one_call_each(tmp_path):
    none = configuration.table("guard.retry", budget=0.0, budget_per_second=0)
    both = alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}"], strategy="patient")
    with stand(tmp_path, none, never_trips(), both) as there:
        there.providers["first"].script(*[{"status": 500}] * 60)
        made = Counter(len(there.ask().asked) for _ in range(60))
        # What a budget may hold before anybody has asked.
        assert made[2] <= outage.CALLS_AT_FIRST and made.total() == made[1] + made[2]


# Asking a second one beside a slow first


@contextmanager
def hedging(folder, **of_second: object) -> Iterator[Stand]:
    """An alias whose first provider is usually quick, so that it is known when it is slow; `of_second` are further
    members of the second's table."""
    patience = {"first_token": "5s", "between_tokens": "5s", "total": "10s"}
    parts = [
        never_trips(),
        generous_retries(),
        configuration.table("guard.hedge", quantile=0.9, budget=0.2),
        alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}"], strategy="patient", hedge=True),
        alias("once", f"first/{MODEL}", fallback=[f"second/{MODEL}"], strategy="patient"),
    ]
    members = {name: {"timeouts": patience} for name in NAMES}
    members["second"].update(of_second)
    with stand(folder, *parts, members=members) as there:
        for _ in range(50):
            assert there.ask(stream=True).status == 200
        yield there


@pytest.fixture
def hedged(tmp_path):
    with hedging(tmp_path) as there:
        yield there


SLOW_START = {"first_token": "2s"}


def test_a_slow_one_is_helped_out_by_another_and_called_off(hedged):
    hedged.providers["first"].script(SLOW_START)
    asked = hedged.ask(stream=True)
    assert (asked.status, asked.asked) == (200, ["first", "second"])
    assert asked.response.header("x-tidegate-target") == f"second/{MODEL}"
    wait_until("the slow one is called off", lambda: asked.calls[0].outcome == "cancelled")
    views.wait_for_rest(hedged.gateway)


def test_nobody_is_asked_twice_at_once_who_has_not_asked_for_it(hedged):
    hedged.providers["first"].script(SLOW_START)
    asked = hedged.ask("once", stream=True)
    assert (asked.status, asked.asked) == (200, ["first"])


def test_second_calls_have_a_budget(hedged):
    hedged.providers["first"].script(*[{"first_token": "100ms"}] * 60)
    made = Counter(len(hedged.ask(stream=True).asked) for _ in range(60))
    # A fifth of the 110 requests, and what a budget may hold before anybody has asked.
    assert 1 <= made[2] <= 22 + outage.CALLS_AT_FIRST


def test_second_calls_are_within_their_provider_s_limits(tmp_path):
    with hedging(tmp_path, limits={"requests_per_minute": 1}) as there:
        there.providers["first"].script(SLOW_START, SLOW_START)
        assert there.ask(stream=True).asked == ["first", "second"]
        asked = there.ask(stream=True)
        assert (asked.status, asked.asked) == (200, ["first"]), "its limit is reached, and the slow one is waited for"
        (limit,) = (row for row in views.limits(there.gateway) if row["scope"] == "provider")
        assert limit["requests"]["remaining"] == 0
