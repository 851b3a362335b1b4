"""What is asked twice is fetched once: what makes two requests the same, who may share an answer, and what the
caller says of it."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable

import pytest
from support import configuration, processes
from support.processes import Daemon
from support.prompts import directive
from support.raw import ask, complete
from support.remembering import HIT, Caller, again, numbered, question, text_of, told
from support.secrets import add_canary
from support.upstream import Upstream
from support.waiting import wait_until

EMBEDDINGS, COMPLETIONS = "/v1/embeddings", "/v1/completions"


def word() -> str:
    return uuid.uuid4().hex


KINDS = {
    "a chat": lambda: (question(), "/v1/chat/completions"),
    "a chat's stream": lambda: (question(stream=True), "/v1/chat/completions"),
    "a completion": lambda: ({"model": "mock/instant", "prompt": word(), "temperature": 0}, COMPLETIONS),
    "a completion's stream": lambda: (
        {"model": "mock/instant", "prompt": word(), "temperature": 0, "stream": True},
        COMPLETIONS,
    ),
    "an embedding": lambda: ({"model": "mock/embed", "input": word()}, EMBEDDINGS),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_second_who_asks_gets_the_same_bytes_from_memory(caller, kind):
    body, path = kind()
    first = caller.ask(body, path)
    assert (first.status, told(first), first.header("age")) == (200, "miss", None)
    second = caller.again(body, path)
    assert (second.status, told(second)) == (200, HIT)
    assert int(second.header("age")) >= 0
    assert second.body == first.body
    for name in ("content-type", "cache-control", "x-tidegate-target"):
        assert second.header(name) == first.header(name), name
    assert (first.header("x-tidegate-attempts"), second.header("x-tidegate-attempts")) == ("1", "0")
    assert len(caller.calls) == 1


LONG = {"compressed in memory": 20_000, "long": 60_000}


@pytest.mark.parametrize("length", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_long_answer_comes_back_whole(caller, length, stream):
    body = question(content=directive(bytes=length), stream=stream)
    first = caller.ask(body)
    # The longest are kept on their second visit.
    caller.again(body)
    third = caller.again(body)
    assert told(third) == HIT
    assert third.body == first.body
    packed = caller.again(body, accept_encoding="gzip")
    assert told(packed) == HIT
    if packed.header("content-encoding") == "gzip":
        assert gzip.decompress(packed.body) == first.body
    else:
        assert stream and packed.body == first.body
    assert len(caller.calls) <= 2


# What makes two requests the same


def test_how_a_body_is_written_does_not_matter(caller):
    marker = word()
    first = (
        f'{{"model":"mock/instant","temperature":0,"messages":[{{"role":"user","content":"hi {marker}"}}]}}'
    )
    assert told(caller.ask(first.encode())) == "miss"
    for same in (
        f'{{"messages":[{{"content":"hi {marker}","role":"user"}}],"temperature":0,"model":"mock/instant"}}',
        f' {{ "model" : "mock/instant",\n\t"temperature" : 0 , "messages" : [ {{"role":"user",'
        f'"content":"hi {marker}"}} ] }}\r\n',
        first.replace("hi ", "\\u0068i "),
        first.replace('"temperature":0', '"temperature":0,"stream":false'),
        first.replace('"temperature":0', '"temperature":0,"stream_options":null'),
        first.replace("mock/instant", "strict"),
    ):
        assert told(caller.again(same.encode())) == HIT, same
    assert len(caller.calls) == 1


def conversation(*messages: tuple[str, str], **options) -> dict:
    said = [{"role": role, "content": content} for role, content in messages]
    return {"model": "mock/instant", "temperature": 0, "messages": said, **options}


def test_what_is_asked_does(caller):
    one, two = f"one {word()}", f"two {word()}"
    first = conversation(("user", one), ("user", two))
    assert told(caller.ask(first)) == "miss"
    others = {
        "another order": conversation(("user", two), ("user", one)),
        "white space": conversation(("user", one + " "), ("user", two)),
        "case": conversation(("user", one.upper()), ("user", two)),
        "a role": conversation(("system", one), ("user", two)),
        "a message more": conversation(("user", one), ("user", two), ("user", "!")),
        "a message less": conversation(("user", two)),
        "both in one": conversation(("user", one + two)),
        "a limit": {**first, "max_tokens": 1000},
        "a seed": {**first, "seed": 7},
        "an end user": {**first, "user": "ann"},
        "an unknown member": {**first, "x_extra": {"a": [1]}},
        "another model": {**first, "model": "mock/fast"},
        "another provider": {**first, "model": "hasty/instant"},
    }
    for what, other in others.items():
        assert told(caller.again(other)) == "miss", what
    assert len(caller.calls) == 1 + len(others)


def test_a_key_that_stands_twice_is_refused(caller):
    marker = word()
    message = f'{{"role":"user","content":"{marker}","content":"x"}}'
    twice = f'{{"model":"strict","temperature":0,"messages":[{message}]}}'
    response = caller.ask(twice.encode())
    assert response.status == 400 and response.error()
    assert caller.calls == []


# Who may share


def test_tenants_share_nothing_and_the_keys_of_one_do(launch, mock):
    keys = [processes.create_key() for _ in range(3)]
    for key in keys:
        add_canary(key["key"])
    tenants = ["search", "search", "shop"]
    rows = [configuration.key_row(key, tenant=tenant) for key, tenant in zip(keys, tenants, strict=True)]
    caller = Caller(launch(*rows, configuration.mock_provider(mock.port)), mock)
    body = question()

    def asked(key: str) -> str | None:
        response = caller.again(body, authorization=f"Bearer {key}")
        assert response.status == 200
        return told(response)

    assert [asked(key["key"]) for key in keys] == ["miss", HIT, "miss"]
    assert len(caller.calls) == 2
    for headers in ({}, {"authorization": "Bearer tg-AbCdEf123456-wrong"}):
        assert caller.ask(body, **headers).status == 401, "what is remembered opens no door"


def test_a_scope_is_a_circle_of_its_own(caller):
    body = question()
    scopes = [{}, {"x-tidegate-cache-scope": "ann"}, {"x-tidegate-cache-scope": "bob"}]
    assert [told(caller.again(body, **scope)) for scope in scopes] == ["miss"] * 3
    assert [told(caller.again(body, **scope)) for scope in scopes] == [HIT] * 3
    assert len(caller.calls) == 3


def test_an_alias_of_one_s_own_needs_a_user(caller):
    body = question("own")
    for _ in range(2):
        assert told(caller.again(body)) == "bypass; reason=no-scope"
    ann, bob = {**body, "user": "ann"}, {**body, "user": "bob"}
    assert [told(caller.again(each)) for each in (ann, bob, ann, bob)] == ["miss", "miss", HIT, HIT]
    scoped = {"x-tidegate-cache-scope": "circle"}
    assert [told(caller.again(body, **scoped)) for _ in range(2)] == ["miss", HIT]


# What passes by

BY = {
    "no temperature": (question, {"temperature": None}, "bypass; reason=temperature"),
    "a temperature": (question, {"temperature": 0.7}, "bypass; reason=temperature"),
    "stored there": (question, {"store": True}, "bypass; reason=stateful"),
    "a search of the web": (question, {"web_search_options": {}}, "bypass; reason=stateful"),
    "an alias that forgets": (
        lambda **options: question("forgetful", **options),
        {},
        "bypass; reason=disabled",
    ),
}


@pytest.mark.parametrize(("make", "options", "why"), BY.values(), ids=BY.keys())
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_may_not_be_remembered_says_why(caller, make, options, why, stream):
    body = make(stream=stream, **options)
    for count in (1, 2):
        response = caller.ask(body)
        assert (response.status, told(response), response.header("age")) == (200, why, None)
        assert len(caller.calls) == count


@pytest.mark.parametrize("temperature", [None, 0.7, 2])
def test_an_alias_may_opt_in_to_any_temperature(caller, temperature):
    body = question("warm", temperature=temperature)
    assert [told(caller.again(body)) for _ in range(2)] == ["miss", HIT]
    # Its answer is not for those who did not.
    assert told(caller.again({**body, "model": "strict"})) == "bypass; reason=temperature"


def test_a_cache_that_is_off_passes_everything_by(launch, mock):
    caller = Caller(launch("[cache]\nenabled = false\n", configuration.mock_provider(mock.port)), mock)
    body = question()
    assert [told(caller.ask(body)) for _ in range(2)] == ["bypass; reason=disabled"] * 2
    assert len(caller.calls) == 2


# What the caller says of it


@pytest.fixture
def counted(launch):
    """A gateway before a provider that numbers its answers."""
    with Upstream(numbered()) as upstream:
        aliases = [configuration.alias("strict", ("up/m", 1))]
        yield launch(configuration.provider("up", upstream.port), *aliases), upstream


def asker(gateway: Daemon, body: dict) -> Callable[..., tuple[str | None, str]]:
    """Asks with the headers it is given; gives what is said of the cache, and the answer."""

    def asked(**headers: str) -> tuple[str | None, str]:
        response = again(lambda: complete(gateway.port, body, **headers))
        return told(response), text_of(response)

    return asked


def test_no_store_neither_reads_nor_keeps(counted):
    gateway, _ = counted
    asked = asker(gateway, question("strict"))
    by = "bypass; reason=no-store"
    assert asked(cache_control="no-store") == (by, "answer 1")
    assert asked() == ("miss", "answer 2")
    assert asked(cache_control="max-age=60, No-Store") == (by, "answer 3")
    assert asked() == (HIT, "answer 2")


def test_no_cache_fetches_anew_and_keeps_that(counted):
    gateway, _ = counted
    asked = asker(gateway, question("strict"))
    assert asked() == ("miss", "answer 1")
    assert asked(cache_control="no-cache") == ("bypass; reason=no-cache", "answer 2")
    assert asked() == (HIT, "answer 2")


def test_an_answer_that_is_too_old_for_one_is_fetched_anew_for_all(counted):
    gateway, upstream = counted
    body = question("strict")
    asked = asker(gateway, body)
    assert asked() == ("miss", "answer 1")
    assert asked(cache_control="max-age=3600") == (HIT, "answer 1")
    state, text = asked(cache_control="max-age=0")
    assert state != HIT and text == "answer 2"
    assert asked() == (HIT, "answer 2")
    # The same where the other form of the answer is at hand, and as old.
    body["stream"] = True
    assert told(again(lambda: complete(gateway.port, body))) == HIT
    state = told(again(lambda: complete(gateway.port, body, cache_control="max-age=0")))
    assert state != HIT and len(upstream.requests) == 3
    kept = again(lambda: complete(gateway.port, body))
    assert told(kept) == HIT and b"answer 3" in kept.body


def test_a_life_of_no_second_is_none(caller):
    body = question()
    for count in (1, 2):
        assert told(caller.again(body, x_tidegate_cache_ttl="0")) == "miss"
        assert len(caller.calls) == count


LIVES = {"its caller's": ("strict", {"x-tidegate-cache-ttl": "1"}), "its alias'": ("brief", {})}


@pytest.mark.parametrize(("model", "headers"), LIVES.values(), ids=LIVES.keys())
def test_an_answer_is_gone_after_its_life(caller, model, headers):
    body = question(model)
    assert told(caller.ask(body, **headers)) == "miss"

    def gone() -> bool:
        response = caller.ask(body)
        if told(response) == HIT:
            assert int(response.header("age")) <= 1, "a tenth more than a second at most"
        return told(response) == "miss"

    wait_until("it is fetched anew", gone)
    assert len(caller.calls) == 2


BAD_HEADERS = {
    "a negative life": {"x-tidegate-cache-ttl": "-1"},
    "a life in words": {"x-tidegate-cache-ttl": "soon"},
    "half a second": {"x-tidegate-cache-ttl": "0.5"},
    "no life": {"x-tidegate-cache-ttl": ""},
    "a century": {"x-tidegate-cache-ttl": "99999999999"},
    "no scope": {"x-tidegate-cache-scope": ""},
    "a scope too long": {"x-tidegate-cache-scope": "x" * 129},
    "an empty tag": {"x-tidegate-tags": "a,,b"},
    "too many tags": {"x-tidegate-tags": ",".join("abcdefghijklmnopq")},
}


@pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_header_that_cannot_be_read_is_the_caller_s_fault(caller, headers):
    response = caller.ask(question(), **headers)
    assert response.status == 400
    assert response.error()["param"] == next(iter(headers))
    assert caller.calls == []


@pytest.mark.parametrize("value", ["max-age=soon", "private", "x=1, ,", "max-age", ",,,", "=", "no-transform"])
def test_a_directive_that_means_nothing_here_breaks_nothing(caller, value):
    body = question()
    assert caller.ask(body, cache_control=value).status == 200
    assert caller.again(body).status == 200
    assert len(caller.calls) == 1


def test_what_is_no_inference_says_nothing_of_the_cache(remembering):
    for path in ("/v1/models", "/health"):
        assert told(ask(remembering.port, "GET", path)) is None
