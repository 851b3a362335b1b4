"""The stage: a simulated provider in one process, a gateway in another, OpenAI's client in this one.

Every test that takes `front` or a client runs twice: against a gateway that is open, and against one
that asks for keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import openai
import pytest
from support import configuration, processes
from support.processes import Daemon
from support.secrets import add_canary

CLIENT_SECONDS_MAX = 20.0


@dataclass
class Front:
    """A running gateway with what a caller must know of it."""

    gateway: Daemon
    mock: Daemon
    key: str
    restricted_key: str | None = None
    """A key for mock/instant alone; only where keys are asked for."""

    @property
    def url(self) -> str:
        return self.gateway.url

    def client(self, path: str = "/v1", **options) -> openai.OpenAI:
        """OpenAI's client as its documentation builds it; without retries, which would hide faults."""
        defaults = {"api_key": self.key, "max_retries": 0, "timeout": CLIENT_SECONDS_MAX}
        return openai.OpenAI(base_url=self.url + path, **{**defaults, **options})

    def async_client(self, **options) -> openai.AsyncOpenAI:
        defaults = {"api_key": self.key, "max_retries": 0, "timeout": CLIENT_SECONDS_MAX}
        return openai.AsyncOpenAI(base_url=self.url + "/v1", **{**defaults, **options})


@pytest.fixture(scope="session")
def mock(tmp_path_factory) -> Iterator[Daemon]:
    with processes.start_mock(tmp_path_factory.mktemp("mock")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def open_front(mock, tmp_path_factory) -> Iterator[Front]:
    with start_front(mock, tmp_path_factory.mktemp("open")) as gateway:
        yield Front(gateway, mock, "any-key-will-do")


@pytest.fixture(scope="session")
def keyed_front(mock, tmp_path_factory) -> Iterator[Front]:
    key, restricted = processes.create_key(), processes.create_key()
    add_canary(key["key"])
    add_canary(restricted["key"])
    rows = [configuration.key_row(key), configuration.key_row(restricted, ["mock/instant"])]
    with start_front(mock, tmp_path_factory.mktemp("keyed"), *rows) as gateway:
        yield Front(gateway, mock, key["key"], restricted["key"])


def start_front(mock: Daemon, folder, *parts: str) -> Daemon:
    text = configuration.gateway(
        folder / "data",
        configuration.UNGUARDED,
        *parts,
        configuration.mock_provider(mock.port),
        configuration.alias("smart", ("mock/instant", 1)),
        configuration.alias("spread", ("mock/instant", 1), ("hasty/instant", 1), affinity=False),
    )
    return processes.start_gateway(folder, text)


@pytest.fixture(params=["open", "keyed"])
def front(request) -> Front:
    return request.getfixturevalue(f"{request.param}_front")


@pytest.fixture
def client(front) -> Iterator[openai.OpenAI]:
    with front.client() as client:
        yield client


@pytest.fixture
async def async_client(front) -> AsyncIterator[openai.AsyncOpenAI]:
    async with front.async_client() as client:
        yield client
