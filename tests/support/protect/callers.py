"""Callers in number: hundreds that ask when they are due, whatever became of those before, or all at once.

One thread for all of them, so that what is measured is the gateway's time and not that of a thread that waits for
its turn. What an answer should be is not known here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from support.raw import Response, head
from support.remembering import CHAT
from support.secrets import assert_no_secret

ANSWER_SECONDS_MAX = 60.0
LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Question:
    """What is asked, and when: in seconds from the beginning."""

    due: float
    body: dict
    # What kind of question it is, in the scenario's own words.
    kind: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class Answer:
    """What came of a question. Times are in seconds from the beginning."""

    question: Question
    sent: float = 0.0
    done: float = 0.0
    response: Response | None = None
    fault: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due: whoever asks late because of others has waited all the same."""
        return self.done - self.question.due

    @property
    def status(self) -> int | None:
        return self.response.status if self.response else None

    def header(self, name: str) -> str | None:
        return self.response.header(name) if self.response else None

    @property
    def target(self) -> str:
        """The provider that answered."""
        return (self.header("x-tidegate-target") or "").partition("/")[0]


# What happens at its time.
Happening = tuple[float, Callable[[], object]]


def ask_all(port: int, questions: Sequence[Question], happenings: Iterable[Happening] = ()) -> list[Answer]:
    """Asks each when it is due, and gives what came of them in the same order. What happens meanwhile happens in
    this thread: a process that is started must not end with a thread that does."""
    allow_connections()
    begun = time.monotonic() + 0.1
    # A collection in the middle would be measured as the gateway's time.
    gc.collect()
    gc.freeze()
    try:
        with ThreadPoolExecutor(1) as asker:
            answers = asker.submit(asyncio.run, _ask_all(port, questions, begun))
            for at, do in happenings:
                time.sleep(max(0.0, begun + at - time.monotonic()))
                do()
            return answers.result()
    finally:
        gc.unfreeze()


async def _ask_all(port: int, questions: Sequence[Question], begun: float) -> list[Answer]:
    lines = Lines(port, begun)
    asked = []
    for question in questions:
        if (early := begun + question.due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        asked.append(asyncio.create_task(lines.ask(question)))
    answers = await asyncio.gather(*asked)
    lines.close()
    return answers


def evenly(count: int, rate: float, make: Callable[[int, float], Question], since: float = 0.0) -> list[Question]:
    """So many questions, evenly spaced at so many a second."""
    return [make(number, since + number / rate) for number in range(count)]


def allow_connections() -> None:
    """Lets this process hold as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Lines:
    """Connections to one gateway, kept while nobody uses them."""

    def __init__(self, port: int, begun: float):
        self.port, self.begun = port, begun
        self.idle: list[Line] = []

    async def ask(self, question: Question) -> Answer:
        answer = Answer(question)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                line = self.idle.pop() if self.idle else await Line.open(self.port)
                answer.sent = time.monotonic() - self.begun
                line.send(question)
                answer.response = await line.response()
            if line.is_reusable(answer.response):
                self.idle.append(line)
            else:
                line.close()
        except Exception as fault:  # noqa: BLE001  Whatever it is, the caller got no answer.
            answer.fault = f"{type(fault).__name__}: {fault}"
        answer.done = time.monotonic() - self.begun
        return answer

    def close(self) -> None:
        for line in self.idle:
            line.close()


class Line:
    """One connection."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.port, self.reader, self.writer = port, reader, writer

    @classmethod
    async def open(cls, port: int) -> Line:
        return cls(port, *await asyncio.open_connection("127.0.0.1", port, limit=LINE_BYTES_MAX))

    def send(self, question: Question) -> None:
        data = json.dumps(question.body).encode()
        headers = {"content-type": "application/json", "x-request-id": question.mark, **question.headers}
        self.writer.write(head("POST", CHAT, self.port, data, headers) + data)

    async def response(self) -> Response:
        """The whole answer."""
        block = await self.reader.readuntil(b"\r\n\r\n")
        line, *rows = block[:-4].decode("latin-1").split("\r\n")
        pairs = (row.split(":", 1) for row in rows)
        headers = [(name.lower(), value.strip()) for name, value in pairs]
        response = Response(int(line.split(" ", 2)[1]), headers, b"")
        if "chunked" in (response.header("transfer-encoding") or ""):
            response.body = b"".join([piece async for piece in self._chunks()])
        else:
            response.body = await self.reader.readexactly(int(response.header("content-length") or 0))
        assert_no_secret(block + response.body, "an answer")
        return response

    async def _chunks(self):
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    def is_reusable(self, response: Response) -> bool:
        return response.header("connection") != "close" and not self.reader.at_eof()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        """Ends it as a process that dies does: what was sent to it is lost."""
        self.writer.transport.abort()
