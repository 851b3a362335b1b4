"""What happens to a call at its provider: each fault of a provider once, with what must come of it.

Not here: how often, and who is asked instead (see `support.protect.faults`).
"""

from __future__ import annotations

import email.utils
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from support.upstream import STREAM, STREAM_HEAD, Answer, Request, chunk, completion, reply

# As long as the gateway's patience in these scenarios, and half as long again.
SLOWER_THAN_PATIENCE = "600ms"
BODY_BYTES_OVER = (64 << 20) + 1
FRAME_BYTES_OVER = (1 << 20) + 1
HEAD_BYTES_OVER = 2 << 20

WHOLE, STREAMED = False, True
BOTH = (WHOLE, STREAMED)


@dataclass(frozen=True)
class Misfortune:
    """One fault. It is scripted at the simulated provider, written by hand, or the state of a whole provider.

    `accepted` says whether the provider may have taken the request on, so that asking another one is a second
    call; `begun`, whether a stream's caller has already read a part of the answer when it happens. `statuses` is
    what a caller may be told who gets no answer at all. One that `lasts` does so, where no stream's time-outs end
    it, until there is no time left to ask another.
    """

    script: Callable[[], dict] | None = None
    answer: Answer | None = None
    # Which provider it befalls, where it is neither scripted nor written.
    place: str | None = None
    forms: tuple[bool, ...] = BOTH
    accepted: bool = True
    begun: bool = False
    statuses: tuple[int, ...] = (502,)
    lasts: bool = False
    # Few at once, where each is large.
    at_once: int = 8
    # Who is refused this way asks somebody else for a while: one question at a time, or it hardly happens.
    rests: bool = False

    @property
    def provider(self) -> str:
        """The name of the provider that has it."""
        return self.place or ("first" if self.script else "odd")

    def has_begun(self, stream: bool) -> bool:
        return self.begun and stream


def scripted(**settings: object) -> Callable[[], dict]:
    """What the simulated provider is told."""
    return lambda: settings


def refuses(status: int, **headers: str) -> Misfortune:
    """An answer that is none: the provider says that it has not done it."""
    rests = status == HTTPStatus.TOO_MANY_REQUESTS
    return Misfortune(scripted(status=status, **headers), accepted=False, statuses=(502, 503), rests=rests)


def in_a_minute() -> dict:
    """A rate limit with a date."""
    return {"status": 429, "retry_after": email.utils.formatdate(time.time() + 60, usegmt=True)}


# Written by hand: what the simulated provider does not do

# The connection ends with the answer: were that not said, the gateway might send its next request on it.
LAST_HEAD = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


def writes(*parts: bytes) -> Answer:
    """These bytes, and the end of the connection."""

    def answer(connection: socket.socket, _request: Request) -> None:
        for part in parts:
            connection.sendall(part)
        connection.close()

    return answer


def after_a_token(*parts: bytes) -> Answer:
    """A stream that begins well and goes on with these bytes."""
    return writes(LAST_HEAD, *map(chunk, STREAM[:2]), *map(chunk, parts), b"0\r\n\r\n")


def too_long_a_body(connection: socket.socket, _request: Request) -> None:
    """More than is held in memory, a piece at a time, so that nobody knows beforehand."""
    connection.sendall(LAST_HEAD.replace(b"text/event-stream", b"application/json"))
    piece = chunk(b" " * (1 << 20))
    for _ in range(BODY_BYTES_OVER >> 20):
        connection.sendall(piece)
    connection.sendall(chunk(completion()) + b"0\r\n\r\n")


def promises_too_much(connection: socket.socket, _request: Request) -> None:
    """A length that nobody can hold, and of that a little."""
    connection.sendall(reply("200 OK", completion()).replace(b"content-length: ", b"content-length: 1000000000"))
    connection.settimeout(10)
    connection.recv(1)


MISFORTUNES: dict[str, Misfortune] = {
    # Silence
    "hangs before the head": Misfortune(scripted(hang=True), statuses=(504,), lasts=True),
    "hangs in the middle": Misfortune(scripted(hang_after=3), begun=True, statuses=(504,), lasts=True),
    "drips tokens": Misfortune(
        scripted(tokens=6, first_token="1ms", between_tokens=SLOWER_THAN_PATIENCE),
        begun=True,
        statuses=(504,),
        lasts=True,
    ),
    "drips bytes": Misfortune(scripted(drip=SLOWER_THAN_PATIENCE), statuses=(504,), lasts=True),
    # Breaks
    "resets before the head": Misfortune(scripted(reset=True)),
    "resets in the middle": Misfortune(scripted(reset_after=500, tokens=40), begun=True),
    "a truncated body": Misfortune(scripted(cut_after=1), begun=True),
    "no [DONE]": Misfortune(scripted(no_done=True), forms=(STREAMED,), begun=True),
    # Nonsense
    "garbage": Misfortune(scripted(garbage=True)),
    "garbage in the middle": Misfortune(scripted(garbage_after=2), begun=True),
    "an error in a stream": Misfortune(scripted(error_frame_after=2), forms=(STREAMED,), begun=True),
    "no HTTP": Misfortune(answer=writes(b"220 smtp.example ESMTP\r\n")),
    "a web page in a stream": Misfortune(answer=after_a_token(b"<html>\n\n"), forms=(STREAMED,), begun=True),
    "half a frame of JSON": Misfortune(
        answer=after_a_token(b'data: {"choices":[\n\n'), forms=(STREAMED,), begun=True
    ),
    # Too much
    "a head too long": Misfortune(answer=writes(b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_OVER + b"\r\n\r\n")),
    "a body too long": Misfortune(answer=too_long_a_body, forms=(WHOLE,), at_once=2),
    "a length too long": Misfortune(
        answer=promises_too_much, forms=(WHOLE,), statuses=(502, 504), lasts=True
    ),
    "a frame too long": Misfortune(
        answer=after_a_token(b"data: {" + b"x" * FRAME_BYTES_OVER), forms=(STREAMED,), begun=True
    ),
    # Refusals
    **{f"status {status}": refuses(status) for status in (500, 502, 503, 529)},
    "429, after seconds": refuses(429, retry_after="2"),
    "429, after milliseconds": refuses(429, retry_after_ms="1500", retry_after="30"),
    "429, after a date": Misfortune(in_a_minute, accepted=False, statuses=(503,), rests=True),
    "429, after less than nothing": refuses(429, retry_after="-5"),
    "429, after a year": refuses(429, retry_after="31536000"),
    "429, after for ever": refuses(429, retry_after="99999999999999999999999"),
    "429, after nonsense": refuses(429, retry_after="soon"),
    "429, and no word of when": refuses(429),
    # Nobody there
    "connections refused": Misfortune(place="gone", accepted=False),
    "connections swallowed": Misfortune(place="hole", accepted=False, statuses=(504,)),
    "a frozen provider": Misfortune(place="first", statuses=(504,), lasts=True),
}
