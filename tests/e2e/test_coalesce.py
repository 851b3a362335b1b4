"""Embedding requests sent several in one, as OpenAI's SDK meets it: everybody has the vector that would have come
alone."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from support import configuration, processes
from support.processes import Daemon
from support.raw import ask, complete
from support.waiting import wait_until

ASKED = 24


def alias(name: str, **members: object) -> str:
    return configuration.table(f"models.{name}", targets=[{"model": "mock/embed"}], **members)


@pytest.fixture(scope="module")
def mock(tmp_path_factory) -> Iterator[Daemon]:
    """A provider of these tests' own, whose log holds all that it was asked."""
    with processes.start_mock(tmp_path_factory.mktemp("mock")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def joining(mock, tmp_path_factory) -> Iterator[Daemon]:
    """A gateway with two names for one model, one of which joins requests."""
    folder = tmp_path_factory.mktemp("joining")
    text = configuration.gateway(
        folder / "data",
        configuration.UNGUARDED,
        configuration.mock_provider(mock.port),
        alias("joined", coalesce={"wait": "50ms", "items": 64}),
        alias("plain"),
    )
    with processes.start_gateway(folder, text) as daemon:
        yield daemon


def calls(mock: Daemon) -> int:
    """Calls that the provider has had for vectors."""
    return sum(entry["path"].endswith("/embeddings") for entry in ask(mock.port, "GET", "/sim/log").json())


def texts(count: int = ASKED) -> list[str]:
    """Texts that nobody has asked for before."""
    return [f"{number} words: {uuid.uuid4().hex}" for number in range(count)]


def embed_at_once(gateway: Daemon, model: str, inputs: list) -> list:
    """Each input asked for by a caller of its own, all at the same moment."""
    barrier = threading.Barrier(len(inputs))

    def embed(text) -> openai.types.CreateEmbeddingResponse:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as client:
            barrier.wait()
            return client.embeddings.create(model=model, input=text)

    with ThreadPoolExecutor(len(inputs)) as callers:
        return list(callers.map(embed, inputs))


def test_everybody_has_the_vector_that_would_have_come_alone(joining, mock):
    def round_with_fewer_calls() -> bool:
        inputs = texts()
        before = calls(mock)
        answers = embed_at_once(joining, "joined", inputs)
        made = calls(mock) - before
        with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="unused") as provider:
            alone = [provider.embeddings.create(model="embed", input=text) for text in inputs]
        for answer, own in zip(answers, alone, strict=True):
            assert [row.index for row in answer.data] == [0]
            assert answer.data[0].embedding == pytest.approx(own.data[0].embedding, abs=1e-6)
        assert sum(a.usage.total_tokens for a in answers) == sum(a.usage.total_tokens for a in alone)
        return made < ASKED / 2

    # How many come within 50 ms is the machine's business; that they share calls then is ours.
    wait_until("a round in which requests shared calls", round_with_fewer_calls)


def test_several_texts_of_one_caller_stay_in_order(joining, mock):
    inputs = [texts(count) for count in (1, 3, 2, 5)]
    answers = embed_at_once(joining, "joined", inputs)
    with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="unused") as provider:
        for answer, given in zip(answers, inputs, strict=True):
            assert [row.index for row in answer.data] == list(range(len(given)))
            alone = provider.embeddings.create(model="embed", input=given)
            for row, own in zip(answer.data, alone.data, strict=True):
                assert row.embedding == pytest.approx(own.embedding, abs=1e-6)


def test_nothing_is_joined_unless_a_name_says_so(joining, mock):
    before = calls(mock)
    embed_at_once(joining, "plain", texts())
    assert calls(mock) - before == ASKED


def test_the_items_of_a_batch_are_joined_too(joining, mock):
    def line(number: int, text: str) -> dict:
        body = {"model": "joined", "input": text}
        return {"custom_id": str(number), "method": "POST", "url": "/v1/embeddings", "body": body}

    before = calls(mock)
    requests = [line(number, text) for number, text in enumerate(texts(32))]
    said = complete(joining.port, {"requests": requests, "concurrency": 32}, "/v1/batch").json()
    assert said["request_counts"] == {"total": 32, "completed": 32, "failed": 0}
    assert calls(mock) - before < 32
    shown = ask(joining.admin_port, "GET", "/metrics").body.decode()
    assert 'tidegate_coalesced_requests_total{provider="mock",result="answered"}' in shown
