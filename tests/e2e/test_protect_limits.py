"""Limits of callers: what is refused, what a caller is told, and that nothing is counted that was not used.

`scripts/protect limits` asks more often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from support import configuration
from support.prompts import directive
from support.protect import limits, views
from support.protect.stand import MODEL, Asked, Stand, alias, generous_retries, stand
from support.raw import Connection, Response, chat, complete, head
from support.remembering import CHAT
from support.waiting import wait_until

SLOW = directive(tokens=60, between_tokens="100ms")

Begin = Callable[..., AbstractContextManager[Stand]]


@pytest.fixture
def begin(tmp_path) -> Begin:
    """Begins a stand with these keys."""

    def begin(*parts: str, **keys: dict) -> AbstractContextManager[Stand]:
        return stand(tmp_path, alias("any", f"first/{MODEL}"), generous_retries(), *parts, keys=keys)

    return begin


def told(response: Response, of: str) -> tuple[int, int]:
    """The limit and what is left of it, as a caller is told."""
    limit, remaining = (response.header(f"x-ratelimit-{what}-{of}") for what in ("limit", "remaining"))
    assert response.header(f"x-ratelimit-reset-{of}"), response.headers
    return int(limit), int(remaining)


def refused(asked: Asked) -> Response:
    """What a caller over the limit is told: when to come back, and that nobody was asked."""
    assert (asked.status, asked.asked) == (429, []), asked.response.body
    assert asked.response.error()["type"]
    assert 1 <= int(asked.response.header("retry-after")) <= 60
    return asked.response


def row(there: Stand, scope: str, name: str | None = None) -> dict:
    """The one row of `/admin/limits` of this kind."""
    (found,) = (each for each in views.limits(there.gateway) if each["scope"] == scope and name in (None, each["name"]))
    return found


# Requests a minute


def test_a_caller_sees_what_is_left_and_then_that_nothing_is(begin):
    with begin(app={"requests_per_minute": 3}) as there:
        for remaining in (2, 1, 0):
            asked = there.ask(key="app")
            assert asked.status == 200
            assert told(asked.response, "requests") == (3, remaining)
        response = refused(there.ask(key="app"))
        assert told(response, "requests") == (3, 0)
        # One flows in every twenty seconds.
        assert 1 <= int(response.header("retry-after")) <= 20


def test_one_key_s_limit_is_not_another_s(begin):
    with begin(app={"requests_per_minute": 1}, other={"requests_per_minute": 1}) as there:
        assert there.ask(key="app").status == 200
        refused(there.ask(key="app"))
        assert there.ask(key="other").status == 200


def test_a_tenant_s_limit_is_all_its_keys(begin):
    of_tenant = configuration.table("limits.tenants.team", requests_per_minute=2)
    with begin(of_tenant, one={"tenant": "team"}, other={"tenant": "team"}, third={"tenant": "else"}) as there:
        assert [there.ask(key=key).status for key in ("one", "other")] == [200, 200]
        refused(there.ask(key="one"))
        refused(there.ask(key="other"))
        assert there.ask(key="third").status == 200


def test_tenants_without_a_word_have_the_default(begin):
    default = configuration.table("limits.default", requests_per_minute=1)
    with begin(default, one={"tenant": "a"}, other={"tenant": "b"}) as there:
        assert [there.ask(key=key).status for key in ("one", "other")] == [200, 200]
        refused(there.ask(key="one"))


def test_a_limit_counts_whatever_carries_the_key(begin):
    with begin(app={"requests_per_minute": 2}) as there:
        assert there.ask(key="app").status == 200
        assert there.ask(**{"x-api-key": there.keys["app"]}).status == 200
        refused(there.ask(**{"x-api-key": there.keys["app"]}))
        refused(there.ask(key="app"))


def test_limits_stay_without_a_guard(begin):
    with begin(configuration.table("guard", enabled=False), app={"requests_per_minute": 1}) as there:
        assert there.ask(key="app").status == 200
        refused(there.ask(key="app"))


def test_a_request_that_is_refused_costs_nothing_of_the_other_limits(begin):
    of_tenant = configuration.table("limits.tenants.team", requests_per_minute=3)
    with begin(of_tenant, small={"tenant": "team", "requests_per_minute": 1}, large={"tenant": "team"}) as there:
        assert there.ask(key="small").status == 200
        for _ in range(5):
            refused(there.ask(key="small"))
        assert [there.ask(key="large").status for _ in range(2)] == [200, 200]


def begin_stream(line: Connection, there: Stand, key: str, body: dict) -> None:
    """Asks, and reads no more than the head."""
    data = json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {there.keys[key]}"}
    line.send(head("POST", CHAT, there.gateway.port, data, headers) + data)
    status, _ = line.response_head()
    assert status == 200


# Tokens a minute


def ask_for(there: Stand, key: str, tokens: int, most: int) -> Response:
    """An answer of so many tokens where so many might have been."""
    body = chat("any", f"tell me {directive(tokens=tokens)}", max_tokens=most)
    return complete(there.gateway.port, body, authorization=f"Bearer {there.keys[key]}")


def test_tokens_are_settled_by_what_was_used(begin):
    with begin(app={"tokens_per_minute": 1000}) as there:
        response = ask_for(there, "app", tokens=5, most=800)
        used = response.json()["usage"]["total_tokens"]
        assert response.status == 200 and used < 100
        # What was reserved for a longer answer is given back; a little flows in meanwhile.
        wait_until("it is settled", lambda: row(there, "key")["tokens"]["remaining"] >= 1000 - used)
        assert row(there, "key")["tokens"]["remaining"] <= 1000
        assert ask_for(there, "app", tokens=5, most=800).status == 200


def test_tokens_that_may_be_used_are_not_there_for_others(begin):
    with begin(app={"tokens_per_minute": 1000}) as there:
        data = chat("any", f"tell me {SLOW}", stream=True, max_tokens=900)
        with Connection(there.gateway.port) as line:
            begin_stream(line, there, "app", data)
            refused_ = ask_for(there, "app", tokens=5, most=500)
            assert refused_.status == 429 and int(refused_.header("retry-after")) >= 1
            limit, remaining = told(refused_, "tokens")
            assert limit == 1000 and remaining < 500


def test_an_answer_that_cannot_be_had_costs_no_tokens(begin):
    with begin(app={"tokens_per_minute": 1000}) as there:
        there.providers["first"].script(*[{"status": 400}] * 5)
        for _ in range(5):
            assert ask_for(there, "app", tokens=5, most=800).status == 400
        assert ask_for(there, "app", tokens=5, most=800).status == 200


def test_who_asks_for_more_than_there_ever_is_may_ask_when_nothing_is_used(begin):
    with begin(app={"tokens_per_minute": 100}) as there:
        assert ask_for(there, "app", tokens=5, most=5000).status == 200


# At once


@pytest.mark.parametrize("what", ["concurrent_requests", "concurrent_streams"])
def test_so_many_at_once_and_no_more(begin, what):
    with begin(app={what: 2}) as there:
        lines = [Connection(there.gateway.port) for _ in range(2)]
        for line in lines:
            begin_stream(line, there, "app", chat("any", f"tell me {SLOW}", stream=True))
        refused(there.ask(key="app", stream=True))
        if what == "concurrent_streams":
            assert there.ask(key="app").status == 200, "a whole answer is no stream"
        assert row(there, "key")[what] == {"limit": 2, "in_use": 2}
        lines[0].socket.close()
        wait_until("a place is free", lambda: there.ask(key="app", stream=True).status == 200)
        lines[1].socket.close()
        wait_until("all are free", lambda: row(there, "key")[what]["in_use"] == 0)


# All callers together


def test_an_alias_has_a_limit_of_all_callers(begin):
    limited = alias("limited", f"first/{MODEL}", limits={"requests_per_minute": 2})
    with begin(limited, one={"tenant": "a"}, other={"tenant": "b"}) as there:
        assert [there.ask("limited", key=key).status for key in ("one", "other")] == [200, 200]
        asked = there.ask("limited", key="one")
        assert asked.status in (429, 503) and asked.asked == []
        assert int(asked.response.header("retry-after")) >= 1
        assert there.ask("any", key="one").status == 200


def test_a_provider_over_its_limit_is_passed_over(tmp_path):
    limited = {"first": {"limits": {"requests_per_minute": 2}}}
    both = alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}"])
    with stand(tmp_path, both, generous_retries(), members=limited) as there:
        assert [there.ask().asked for _ in range(4)] == [["first"], ["first"], ["second"], ["second"]]
        assert views.state(there.gateway, "first") == "closed", "it did nothing wrong"
        alone = there.ask(f"first/{MODEL}")
        assert alone.status == 503 and int(alone.response.header("retry-after")) >= 1


# What operators see, and what replicas share


def test_operators_see_every_limit(begin):
    of_tenant = configuration.table("limits.tenants.team", tokens_per_minute=5000)
    with begin(of_tenant, app={"tenant": "team", "requests_per_minute": 10}) as there:
        assert there.ask(key="app").status == 200
        of_key = row(there, "key")
        assert of_key["name"].startswith("tg-") and of_key["requests"]["limit"] == 10
        assert of_key["requests"]["remaining"] == 9 and of_key["tokens"] is None
        tokens = row(there, "tenant", "team")["tokens"]
        assert tokens["limit"] == 5000 and tokens["remaining"] < 5000


def test_replicas_share_a_limit(tmp_path):
    assert limits.run(tmp_path, limits.Size(rounds=4)).wrong == []
