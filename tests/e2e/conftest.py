"""One gateway for the whole hostile corpus: whatever a test throws at it, the next test finds it alive.

It is open (no keys), its time-outs are short enough to be waited for, and its log is as talkative as can be,
so that a secret that could be logged is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support import configuration, processes
from support.processes import Daemon
from support.raw import ask
from support.remembering import Caller
from support.upstream import Upstream, answers, fails

TIMEOUTS = 'timeouts = { header = "1s", body = "1s", idle = "3s", drain = "5s" }'


@pytest.fixture(scope="session")
def mock(tmp_path_factory) -> Iterator[Daemon]:
    with processes.start_mock(tmp_path_factory.mktemp("mock")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def gateway(mock, tmp_path_factory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("gateway")
    text = configuration.gateway(
        folder / "data",
        '[log]\nlevel = "trace"\n',
        configuration.UNGUARDED,
        configuration.mock_provider(mock.port),
        configuration.alias("smart", ("mock/instant", 1)),
        server=[TIMEOUTS],
    )
    with processes.start_gateway(folder, text) as daemon:
        yield daemon


@pytest.fixture
def still_well(gateway) -> Iterator[None]:
    """After the test the gateway lives and answers."""
    yield
    assert gateway.alive(), gateway.log()[-4000:]
    assert ask(gateway.port, "GET", "/health").status == 200


Launch = Callable[..., Daemon]


@pytest.fixture
def launch(tmp_path) -> Iterator[Launch]:
    """Starts gateways of the test's own: `launch(*parts)` with parts of the configuration, each stopped and
    judged at the test's end."""
    started: list[Daemon] = []

    def start(*parts: str, server: tuple[str, ...] = (TIMEOUTS,), **environment: str) -> Daemon:
        folder = tmp_path / f"gateway-{len(started)}"
        text = configuration.gateway(folder / "data", *parts, server=server)
        started.append(processes.start_gateway(folder, text, **environment))
        return started[-1]

    try:
        yield start
    except BaseException:
        for daemon in started:
            daemon.kill()
        raise
    for daemon in started:
        if daemon.alive():
            daemon.stop()


@pytest.fixture
def falling_back(launch) -> Iterator[Daemon]:
    """A gateway whose alias `safe` has a target that fails, and one to fall back to."""
    with Upstream(fails) as bad, Upstream(answers) as good:
        yield launch(
            configuration.provider("bad", bad.port),
            configuration.provider("good", good.port),
            '[models.safe]\ntargets = [{ model = "bad/m" }]\nfallback = ["good/m"]\n',
        )


# Aliases of one target that differ in what they have remembered of its answers.
POLICIES = {
    "strict": "",
    "warm": "any_temperature = true",
    "cut": "truncated = true",
    "calls": "tool_calls = true",
    "own": "per_user = true",
    "forgetful": "enabled = false",
    "brief": 'ttl = "1s"',
}


@pytest.fixture(scope="session")
def remembering(mock, tmp_path_factory) -> Iterator[Daemon]:
    """A gateway with an alias for each of the policies."""
    folder = tmp_path_factory.mktemp("remembering")
    aliases = [
        configuration.alias(name, ("mock/instant", 1), cache=policy) for name, policy in POLICIES.items()
    ]
    text = configuration.gateway(
        folder / "data",
        configuration.UNGUARDED,
        configuration.mock_provider(mock.port),
        *aliases,
        server=[TIMEOUTS],
    )
    with processes.start_gateway(folder, text) as daemon:
        yield daemon


@pytest.fixture
def caller(remembering, mock) -> Caller:
    """One who asks it."""
    return Caller(remembering, mock)
