"""Errors as the SDK's own exceptions: the caller's, the provider's, and those of a stream under way."""

from __future__ import annotations

import uuid

import openai
import pytest
from support import simlog
from support.prompts import named, scripted, user

MODEL = "mock/instant"
MEBIBYTE = 1024 * 1024


def complete(client, messages=None, model=MODEL, **options):
    return client.chat.completions.create(model=model, messages=messages or user("hi"), **options)


def fault(kind: type[openai.APIStatusError], action) -> openai.APIStatusError:
    """The exception the action raises, with the error body every OpenAI client reads."""
    with pytest.raises(kind) as caught:
        action()
    error = caught.value
    assert set(error.response.json()["error"]) == {"message", "type", "param", "code"}
    assert error.type and error.message and error.request_id
    return error


# The caller's own errors


@pytest.mark.parametrize(
    "key", ["sk-wrong", "tg-000000000000-not-the-secret", "tg-", "'; drop table keys; --"]
)
def test_a_wrong_key_is_an_authentication_error(keyed_front, key):
    with keyed_front.client(api_key=key) as client:
        assert fault(openai.AuthenticationError, lambda: complete(client)).status_code == 401
        assert fault(openai.AuthenticationError, client.models.list).status_code == 401


def test_a_key_with_another_s_secret_is_an_authentication_error(keyed_front):
    public_id = keyed_front.key.rsplit("-", 1)[0]
    other_secret = keyed_front.restricted_key.rsplit("-", 1)[1]
    with keyed_front.client(api_key=f"{public_id}-{other_secret}") as client:
        fault(openai.AuthenticationError, lambda: complete(client))


def test_a_key_cut_short_or_made_longer_is_an_authentication_error(keyed_front):
    for key in (keyed_front.key[:-1], keyed_front.key + "x"):
        with keyed_front.client(api_key=key) as client:
            fault(openai.AuthenticationError, lambda: complete(client))


def test_a_key_is_taken_from_x_api_key_too(keyed_front):
    headers = {"x-api-key": keyed_front.key, "Authorization": openai.Omit()}
    with keyed_front.client() as client:
        assert complete(client, extra_headers=headers).choices
        headers["x-api-key"] = "sk-wrong"
        fault(openai.AuthenticationError, lambda: complete(client, extra_headers=headers))


def test_a_model_the_key_may_not_use_is_a_permission_error(keyed_front):
    with keyed_front.client(api_key=keyed_front.restricted_key) as client:
        assert complete(client).choices
        for model in ("mock/fast", "smart", "sim/fast"):
            fault(openai.PermissionDeniedError, lambda: complete(client, model=model))


@pytest.mark.parametrize("model", ["no-such-alias", "no-such-provider/model", "/", "mock/"])
def test_an_unknown_model_is_not_found(client, model):
    error = fault(openai.NotFoundError, lambda: complete(client, model=model))
    assert error.param == "model"


def test_an_unknown_path_is_not_found(client):
    fault(openai.NotFoundError, lambda: client.post("/no/such/path", body={}, cast_to=object))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": user("hi")}, "model"),
        ({"model": 7, "messages": user("hi")}, "model"),
        ({"model": MODEL}, "messages"),
        ({"model": MODEL, "messages": "hi"}, "messages"),
        ({"model": MODEL, "messages": []}, "messages"),
        ({"model": MODEL, "messages": user("hi"), "stream": "yes"}, "stream"),
    ],
)
def test_a_request_we_cannot_act_on_is_refused_by_name(client, body, param):
    error = fault(openai.BadRequestError, lambda: client.post("/chat/completions", body=body, cast_to=object))
    assert error.type == "invalid_request_error"
    assert error.param == param


def test_a_body_over_the_limit_is_too_large(client):
    error = fault(openai.APIStatusError, lambda: complete(client, user("x" * (10 * MEBIBYTE))))
    assert error.status_code == 413


# The provider's


@pytest.mark.parametrize("status", [500, 502, 520])
def test_a_provider_s_failure_is_a_bad_gateway(client, status):
    assert (
        fault(openai.InternalServerError, lambda: complete(client, scripted(status=status))).status_code
        == 502
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_refuses_our_key_does_not_look_like_the_caller_s_fault(client, status):
    assert (
        fault(openai.InternalServerError, lambda: complete(client, scripted(status=status))).status_code
        == 502
    )


def test_a_provider_s_rate_limit_is_not_the_caller_s(client):
    error = fault(openai.InternalServerError, lambda: complete(client, scripted(status=429, retry_after=2)))
    assert error.status_code == 503
    assert 1 <= float(error.response.headers["retry-after"]) <= 2


def test_a_provider_that_says_nothing_is_a_timeout(front):
    with front.client() as client:
        error = fault(
            openai.InternalServerError, lambda: complete(client, scripted(hang=True), "hasty/instant")
        )
    assert error.status_code == 504


def test_the_sdk_does_not_repeat_what_would_fail_again(front):
    mark = uuid.uuid4().hex
    with front.client(max_retries=2) as client:
        error = fault(
            openai.InternalServerError, lambda: complete(client, scripted(status=401), **named(mark))
        )
    assert error.response.headers["x-should-retry"] == "false"
    assert len(simlog.about(front.mock, mark)) == 1


def test_the_sdk_repeats_what_may_pass_and_waits_as_told(front):
    mark = uuid.uuid4().hex
    simlog.script(front.mock, {"status": 503, "retry_after_ms": 100}, {"status": 429, "retry_after": 1})
    with front.client(max_retries=2) as client:
        assert complete(client, **named(mark)).choices
    first, second, third = simlog.about(front.mock, mark)
    assert (first["status"], second["status"], third["status"]) == (503, 429, 200)
    assert third["received_ms"] - second["received_ms"] >= 1000


# A stream that has begun


STREAM_FAULTS = {
    "reset": {"reset_after": 1500},
    "stall": {"hang_after": 3},
    "no end marker": {"no_done": True},
    "garbage": {"garbage_after": 2},
    "cut short": {"cut_after": 3},
    "the provider's own error": {"error_frame_after": 2},
}


@pytest.mark.parametrize("settings", STREAM_FAULTS.values(), ids=STREAM_FAULTS.keys())
def test_a_stream_that_fails_says_so(front, settings):
    with front.client() as client:
        stream = complete(client, scripted(tokens=32, **settings), "hasty/instant", stream=True)
        with pytest.raises(openai.APIError) as caught:
            for _ in stream:
                pass
    # An event in the stream, not a connection that broke: the SDK read the words.
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.message
