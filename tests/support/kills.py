"""A gateway with a disk tier that is killed while it writes, again and again, and what it serves afterwards.

Each round starts it on the folder that the last one left, reads back what was asked before, asks new questions
without pause, and kills it at a moment of chance. Whatever it says came from disk must be what the provider
says to that prompt, and, where the question was answered before the kill, the same bytes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, processes
from support.processes import Daemon
from support.prompts import directive
from support.raw import Connection, Response, ask, chat
from support.remembering import told
from support.steady import references, said
from support.waiting import wait_until

FROM_DISK = "hit; tier=disk"
ASKERS = 8
# Small answers are most; large ones span many of the disk's pages, and take their time to be written.
BYTES = (100, 600, 3_000, 3_000, 20_000, 100_000, 400_000)
LARGE_BYTES = 100_000
# A stream has a frame a word: larger ones would be few.
STREAM_BYTES_MAX = 3_000
# From the first question to the one whose answer's writing is meant.
LIFE_SECONDS = (0.02, 0.4)
# From a large answer to the kill: its write begins just then.
WRITING_SECONDS = (0.0, 0.012)
# Every so often the form that was not asked for is read back.
OTHER_FORM_SHARE = 0.1
# Of what earlier rounds left, so many are read back as well.
EARLIER_MAX = 20


@dataclass
class Asked:
    number: int
    content: str
    stream: bool
    # What was answered before the kill, if it was.
    body: bytes | None = None

    def request(self, model: str, stream: bool) -> dict:
        return chat(model, self.content, temperature=0, stream=stream)


@dataclass
class Tally:
    """What came of the rounds so far."""

    answered: int = 0
    cut: int = 0
    from_disk_whole: int = 0
    from_disk_streams: int = 0
    from_disk_earlier: int = 0
    from_other_form: int = 0
    # Answered before the kill, and not on disk afterwards: its write had not been made.
    lost: int = 0
    # Found torn by the gateway itself, and not served.
    refused: int = 0
    # Served though it was not whole: what must never be.
    torn: list[str] = field(default_factory=list)

    @property
    def from_disk(self) -> int:
        return self.from_disk_whole + self.from_disk_streams


def run(
    folder: Path, rounds: int, seed: int, progress: Callable[[int, Tally], None] = lambda *_: None
) -> Tally:
    """So many kills, and a reading after each."""
    chance, tally = random.Random(seed), Tally()
    with processes.start_mock(folder / "mock") as mock:
        text = configuration.gateway(
            folder / "data",
            # As they are: more to write.
            '[cache]\ncompress_above = "16MiB"\n',
            disk_at(folder / "disk"),
            configuration.mock_provider(mock.port),
        )
        last: list[Asked] = []
        earlier: list[Asked] = []
        for round_ in range(1, rounds + 1):
            gateway = start(folder / f"gateway-{round_ % 2}", text)
            try:
                earlier += read_back(gateway, mock, last, earlier, chance, tally)
                last = ask_until_killed(gateway, round_, chance, tally)
            finally:
                gateway.kill()
            progress(round_, tally)
        with start(folder / "gateway-last", text) as gateway:
            read_back(gateway, mock, last, earlier, chance, tally)
    return tally


def disk_at(folder: Path) -> str:
    """The tier on disk in this folder, as small as can be; nothing of it is in memory before it is asked for."""
    return f'[cache.disk]\npath = "{folder}"\nbytes = "64MiB"\nwarm = 0\n'


def start(folder: Path, text: str) -> Daemon:
    """A gateway whose disk is open."""
    gateway = processes.start_gateway(folder, text)
    wait_until("the disk is open", lambda: disk(gateway)["state"] == "open")
    return gateway


def disk(gateway: Daemon) -> dict:
    """What a gateway says of its disk tier."""
    return ask(gateway.admin_port, "GET", "/admin/cache").json()["disk"]


def ask_until_killed(gateway: Daemon, round_: int, chance: random.Random, tally: Tally) -> list[Asked]:
    """What was asked, whether or not it was answered."""
    all_asked: list[Asked] = []
    lock, large, seed = threading.Lock(), threading.Event(), chance.random()

    def ask_on(asker: int) -> None:
        own = random.Random(f"{seed} {asker}")
        try:
            with Connection(gateway.port) as connection:
                while True:
                    stream, size = own.random() < 0.5, own.choice(BYTES)
                    size = min(size, STREAM_BYTES_MAX) if stream else size
                    with lock:
                        number = len(all_asked)
                        content = f"question {round_}/{number} {directive(bytes=size)}"
                        asked = Asked(number, content, stream)
                        all_asked.append(asked)
                    response = connection.post(asked.request("mock/instant", stream))
                    assert response.status == 200, response.body
                    asked.body = response.body
                    if size >= LARGE_BYTES:
                        large.set()
        except AssertionError as fault:
            tally.torn.append(f"round {round_}, before the kill: {fault}")
        except Exception:  # noqa: BLE001  However the killed end is noticed.
            return

    askers = [threading.Thread(target=ask_on, args=(asker,)) for asker in range(ASKERS)]
    for asker in askers:
        asker.start()
    time.sleep(chance.uniform(*LIFE_SECONDS))
    large.clear()
    large.wait(1)
    time.sleep(chance.uniform(*WRITING_SECONDS))
    gateway.kill()
    for asker in askers:
        asker.join()
    answered = sum(asked.body is not None for asked in all_asked)
    tally.answered += answered
    tally.cut += len(all_asked) - answered
    return all_asked


def read_back(
    gateway: Daemon,
    mock: Daemon,
    last: list[Asked],
    earlier: list[Asked],
    chance: random.Random,
    tally: Tally,
) -> list[Asked]:
    """Judges what is served of the last round and of earlier ones; gives what of the last was on disk."""
    plan = [(asked, asked.stream ^ (chance.random() < OTHER_FORM_SHARE), True) for asked in last]
    sample = chance.sample(earlier, min(len(earlier), EARLIER_MAX))
    plan += [(asked, asked.stream, False) for asked in sample]

    def one(item: tuple[Asked, bool, bool]) -> Response:
        asked, stream, _ = item
        with Connection(gateway.port) as connection:
            return connection.post(asked.request("mock/instant", stream))

    with ThreadPoolExecutor(ASKERS) as readers:
        responses = list(readers.map(one, plan))
        served = {asked.content: asked.request("instant", False) for asked, _, _ in plan}
        expected = references(mock, served)
    kept = []
    for (asked, stream, is_last), response in zip(plan, responses, strict=True):
        if wrong := fault_of(asked, stream, response, expected[asked.content]):
            tally.torn.append(f"{asked.content!r}, {'stream' if stream else 'whole'}: {wrong}")
        if told(response) != FROM_DISK:
            tally.lost += is_last and asked.body is not None
            continue
        tally.from_disk_streams += stream
        tally.from_disk_whole += not stream
        tally.from_disk_earlier += not is_last
        tally.from_other_form += stream != asked.stream
        if is_last and stream == asked.stream:
            kept.append(asked)
    tally.refused += disk(gateway)["torn"]
    return kept


def fault_of(asked: Asked, stream: bool, response: Response, expected: tuple[str, str]) -> str | None:
    """What is wrong with what was served; also with what came from the provider, which can be nothing."""
    if response.status != 200:
        return f"status {response.status}: {response.body[:200]!r}"
    try:
        text = said(response)
    except Exception as fault:  # noqa: BLE001  Whatever cannot be read is torn.
        return f"{type(fault).__name__}: {fault}"
    if text != expected:
        return f"{len(text[0])} characters, should be {len(expected[0])}: {text[0][:100]!r}"
    if asked.body is not None and stream == asked.stream and response.body != asked.body:
        return "not the bytes that were answered before the kill"
    return None
