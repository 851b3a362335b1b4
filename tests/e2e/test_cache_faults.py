"""The cache when what it stands on fails: a Redis that is gone or in trouble, a disk that is another's or read-only,
a gateway that is killed. `scripts/chaos` does the same for longer, with more faults, and measures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest
from support import configuration, faults, kills, processes, steady
from support.processes import Daemon
from support.raw import ask, chat, complete
from support.redis import Redis
from support.remembering import HIT, again, numbered, question, text_of, told
from support.secrets import add_canary
from support.upstream import Upstream
from support.waiting import wait_until

FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def cache_of(gateway: Daemon) -> dict:
    return ask(gateway.admin_port, "GET", "/admin/cache").json()


# Redis fails under load


@pytest.mark.parametrize("name", ["killed", "frozen", "read-only"])
def test_no_request_notices_that_redis_fails(tmp_path, name):
    fault = faults.FAULTS[name]
    with faults.ground(tmp_path, fault) as ground, steady.stand(tmp_path, ground.url, 2) as stand:
        with steady.Load(stand, rate=80) as load:
            times = faults.pass_through(fault, ground, before=1.5, broken=3, after=2)
        assert steady.complaints(load) == []
        before = steady.states(steady.during(load, times.begun, times.broken))
        assert before["hit; tier=redis"] and before["miss"] and before[HIT], before
        opened = load.opened_after(times.broken, times.mended, of_writes=fault.opens == "writes")
        assert None not in opened, "the breaker of each gateway opens"

        def well_again(gateway: Daemon) -> bool:
            # A breaker of writes is closed by one who writes.
            body = chat("lasting", f"anything {os.urandom(4).hex()}", temperature=0)
            key = next(iter(stand.keys.values()))
            assert complete(gateway.port, body, authorization=f"Bearer {key}").status == 200
            redis = cache_of(gateway)["redis"]
            return redis["breaker"] == redis["breaker_of_writes"] == "closed"

        for gateway in stand.gateways:
            wait_until("the breakers are closed again", lambda gateway=gateway: well_again(gateway))


def test_why_redis_is_not_there_is_told_once_and_without_its_password(launch):
    port = processes.free_port()
    canary = "canary-of-redis-alone-1f7c"
    add_canary(canary)
    gateway = launch(f'[cache.redis]\nurl = "redis://me:{canary}@127.0.0.1:{port}"\n')

    def lines() -> list[str]:
        return [line for line in gateway.log().splitlines() if "cannot connect to Redis" in line]

    wait_until("it is told", lines)
    for _ in range(8):
        assert complete(gateway.port, chat("sim/instant", temperature=0)).status == 200
    (line,) = lines()
    assert "WARN" in line and f"127.0.0.1:{port}" in line and "refused" in line, line
    assert canary not in gateway.log()


# Invalidation between gateways


@pytest.fixture
def redis(tmp_path):
    with Redis(tmp_path / "redis") as server:
        yield server


class Pair:
    """Two gateways that share a Redis, before a provider whose answers are numbered."""

    def __init__(self, launch: Callable[..., Daemon], redis: Redis, upstream: Upstream):
        parts = f'[cache.redis]\nurl = "{redis.url}"\n', configuration.provider("up", upstream.port)
        self.near, self.far = launch(*parts), launch(*parts)
        for gateway in (self.near, self.far):
            wait_until("connected", lambda gateway=gateway: cache_of(gateway)["redis"]["connections"])
        self.body = question("up/m")
        self.heard = self.number(self.far)

    def number(self, gateway: Daemon) -> int:
        """Which of the provider's answers it gives."""
        response = again(lambda: complete(gateway.port, self.body))
        assert response.status == 200, response.body
        return int(text_of(response).removeprefix("answer "))

    def share(self) -> None:
        """Both have the first answer."""
        assert self.heard == 1
        wait_until("both have the first", lambda: self.number(self.near) == 1)

    def invalidate(self) -> dict:
        """At the near one, which keeps to it at once."""
        told = ask(self.near.admin_port, "POST", "/admin/cache/invalidate", EVERYTHING, **JSON).json()
        assert self.number(self.near) > 1, "in force where it was made"
        return told

    def far_hears(self) -> None:
        """And never comes back to what it served before."""
        last = 0

        def hears() -> bool:
            nonlocal last
            number = self.number(self.far)
            assert number >= last, "what was invalidated came back"
            last = number
            return number > 1

        wait_until("the far one hears", hears)
        for _ in range(20):
            assert hears()


EVERYTHING = json.dumps({"everything": True}).encode()
JSON = {"content_type": "application/json"}


@pytest.fixture
def pair(launch, redis):
    with Upstream(numbered()) as upstream:
        yield Pair(launch, redis, upstream)


def test_what_is_invalidated_at_one_gateway_is_invalidated_at_the_other(pair):
    pair.share()
    assert "not_yet_told" not in pair.invalidate()
    pair.far_hears()


def test_an_invalidation_waits_for_a_frozen_redis(pair, redis):
    pair.share()
    redis.freeze()
    assert "redis" in pair.invalidate()["not_yet_told"]
    redis.thaw()
    pair.far_hears()


def test_an_invalidation_waits_for_a_redis_that_is_gone(pair, redis):
    """It comes back with what it had, and that is what was invalidated."""
    pair.share()
    redis.tell("SAVE")
    redis.kill()
    assert "redis" in pair.invalidate()["not_yet_told"]
    redis.start()
    pair.far_hears()


# The disk


def test_whatever_survives_a_kill_is_whole(tmp_path):
    tally = kills.run(tmp_path, rounds=3, seed=7)
    assert tally.torn == []
    assert tally.from_disk_whole and tally.from_disk_streams


@FORMS
def test_what_is_on_disk_is_there_after_a_restart(launch, tmp_path, mock, stream):
    parts = kills.disk_at(tmp_path / "disk"), configuration.mock_provider(mock.port)
    body = question(stream=stream)
    first = launch(*parts)
    wait_until("the disk is open", lambda: kills.disk(first)["state"] == "open")
    answer = complete(first.port, body)
    assert told(answer) == "miss"
    first.stop()

    second = launch(*parts)
    wait_until("the disk is open", lambda: kills.disk(second)["state"] == "open")
    remembered = complete(second.port, body)
    assert told(remembered) == kills.FROM_DISK and remembered.body == answer.body
    assert told(complete(second.port, body)) == HIT


def test_a_folder_belongs_to_one_and_the_other_goes_on_without(launch, tmp_path, mock):
    parts = kills.disk_at(tmp_path / "disk"), configuration.mock_provider(mock.port)
    owner = launch(*parts)
    wait_until("the disk is open", lambda: kills.disk(owner)["state"] == "open")
    other = launch(*parts)
    for words in ("belongs to another process", "goes on without its disk"):
        wait_until("it says so", lambda words=words: words in other.log())
    wait_until("it has given up", lambda: kills.disk(other)["state"] == "resting")
    assert kills.disk(owner)["state"] == "open"
    for gateway in (owner, other):
        body = question()
        assert told(complete(gateway.port, body)) == "miss"
        assert told(again(lambda gateway=gateway, body=body: complete(gateway.port, body))) == HIT
    wait_until("the owner's is written", lambda: kills.disk(owner)["written"] == 1)
    assert kills.disk(other)["written"] == 0


def test_a_folder_that_is_read_only_is_gone_on_without(tmp_path, mock):
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o555)
    text = configuration.gateway(tmp_path / "data", kills.disk_at(folder), configuration.mock_provider(mock.port))
    # Root may write anywhere, unless it is not allowed to.
    under = ("setpriv", "--bounding-set=-dac_override", "--") if os.geteuid() == 0 else ()
    with processes.start_gateway(tmp_path / "gateway", text, under=under) as gateway:
        wait_until("it says so", lambda: "goes on without its disk" in gateway.log())
        (line,) = (line for line in gateway.log().splitlines() if "goes on without its disk" in line)
        assert "WARN" in line and str(folder) in line and "denied" in line, line
        assert kills.disk(gateway)["state"] == "resting"
        body = question()
        assert told(complete(gateway.port, body)) == "miss"
        assert told(again(lambda: complete(gateway.port, body))) == HIT
    assert list(folder.iterdir()) == []
