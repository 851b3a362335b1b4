"""A crowd of callers, half of whom leave: whether every permit, every place in the queue and every call comes back.

They are of four kinds: whole answers and streams, fetched for the caller alone or through a flight that others
could join. Some are being answered when they leave, the others wait for their turn.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support import configuration
from support.processes import Daemon
from support.protect import views
from support.protect.callers import Answer, Line, Question, allow_connections, ask_all
from support.protect.findings import Findings, shown, told
from support.protect.stand import MODEL, NAMES, alias, never_trips, stand
from support.prompts import directive
from support.raw import chat
from support.steady import said
from support.waiting import wait_until

TARGET = "first"
# Long enough that all are there before the first is answered.
PATIENCE = {"connect": "5s", "first_token": "60s", "between_tokens": "60s", "total": "120s"}
SHORT = {"first_token": "50ms", "between_tokens": "1ms", "tokens": 5}


@dataclass(frozen=True)
class Size:
    callers: int = 1000
    at_once: int = 200
    # How long the first are being answered: the others wait so long.
    seconds: float = 6.0


def run(folder: Path, size: Size = Size(), seed: int = 1) -> Findings:
    findings = Findings("leave")
    concurrency = {"algorithm": "fixed", "initial": size.at_once, "min": size.at_once, "max": size.at_once}
    members = {
        name: {"timeouts": PATIENCE, "models": [MODEL], "concurrency": concurrency} for name in NAMES
    }
    parts = [
        configuration.table("guard.queue", size=size.callers, target="120s", interval="120s"),
        never_trips(),
        alias("any", f"{TARGET}/{MODEL}", strategy="patient"),
    ]
    with stand(folder, *parts, members=members) as there:
        crowd = Crowd(there.gateway, size, seed)
        stayed = asyncio.run(crowd.come_and_go(findings))
        begun = time.monotonic()
        views.wait_for_rest(there.gateway)
        findings.tell(f"all at rest {told(time.monotonic() - begun)} after the last answer")
        there.account.take()
        judge(crowd, stayed, there.account.calls(), findings)
        probe(there.gateway, size, findings)
    return findings


class Crowd:
    """Those who ask, and which of them leave."""

    def __init__(self, gateway: Daemon, size: Size, seed: int):
        self.gateway, self.size = gateway, size
        chance = random.Random(seed)
        self.questions = [self.question(number) for number in range(size.callers)]
        self.leavers = {q.mark for q in chance.sample(self.questions, size.callers // 2)}

    def question(self, number: int) -> Question:
        # Those who come first are answered slowly; who waits behind them is then answered quickly.
        first = number < self.size.at_once
        pace = {**SHORT, "first_token": f"{self.size.seconds:.0f}s"} if first else SHORT
        is_stream, is_shared = number % 2 == 1, number // 2 % 2 == 1
        body = chat("any", f"caller {number} {directive(**pace)}", stream=is_stream)
        return Question(0.0, body | ({"temperature": 0} if is_shared else {}))

    async def come_and_go(self, findings: Findings) -> list[Answer]:
        """Everybody asks; half leave; what the others are answered."""
        allow_connections()
        lines: dict[str, Line] = {}
        begun = time.monotonic()
        # Whoever is answered slowly has to be there before anybody whose answer is quick.
        for part in (self.questions[: self.size.at_once], self.questions[self.size.at_once :]):
            for question in part:
                line = lines[question.mark] = await Line.open(self.gateway.port)
                line.send(question)
            standing = await self.see("all have asked", len(lines))
        findings.tell(f"{standing} after {told(time.monotonic() - begun)}")
        for number, mark in enumerate(sorted(self.leavers)):
            # As a process that ends, or as one that has crashed.
            (lines[mark].close if number % 2 else lines[mark].abort)()
        begun = time.monotonic()
        remaining = self.size.callers - len(self.leavers)
        left = await self.see("half have left", remaining, exactly=True)
        findings.tell(f"{left} {told(time.monotonic() - begun)} after half have left")
        stayers = [question for question in self.questions if question.mark not in self.leavers]
        return await asyncio.gather(*(self.answer(question, lines[question.mark]) for question in stayers))

    async def see(self, what: str, count: int, exactly: bool = False) -> str:
        """How many are being answered and how many wait, as soon as it is so many."""
        return await asyncio.to_thread(wait_until, what, lambda: self.standing(count, exactly))

    def standing(self, count: int, exactly: bool = False) -> str | None:
        """How many are being answered and how many wait, once there are so many."""
        target = next((row for row in views.targets(self.gateway) if row.provider == TARGET), None)
        there = target.in_flight + target.waiting if target else 0
        if there == count or (there > count and not exactly):
            return f"{target.in_flight} being answered, {target.waiting} waiting"
        return None

    async def answer(self, question: Question, line: Line) -> Answer:
        answer = Answer(question)
        try:
            async with asyncio.timeout(60):
                answer.response = await line.response()
        except Exception as fault:  # noqa: BLE001  Whatever it is, the caller got no answer.
            answer.fault = f"{type(fault).__name__}: {fault}"
        line.close()
        return answer


def judge(crowd: Crowd, stayed: list[Answer], calls: dict, findings: Findings) -> None:
    """Who stayed is answered, once; who left is asked for no longer."""
    complaints = Counter(wrong for answer in stayed if (wrong := complaint(answer)))
    findings.wrong += shown([f"{times} × {wrong}" for wrong, times in complaints.most_common()])
    for answer in stayed:
        findings.expect(len(calls.get(answer.question.mark, [])) == 1, "a caller who stayed cost no call, or two")
    made = [call for mark in crowd.leavers for call in calls.get(mark, [])]
    ends = Counter(call.outcome for call in made)
    findings.tell(
        f"of {len(crowd.leavers)} who left, {len(made)} had cost a call ({dict(ends)}); "
        f"{len(stayed)} stayed and {len(stayed) - complaints.total()} were answered"
    )
    findings.expect(len(made) <= crowd.size.at_once, "calls were made for some who had left the queue")
    findings.expect(set(ends) <= {"cancelled"}, "calls for callers who had left went on to their end")


def complaint(answer: Answer) -> str | None:
    if answer.response is None:
        return f"no answer: {answer.fault}"
    if answer.status != 200:
        return f"status {answer.status}"
    said(answer.response)
    return None


def probe(gateway: Daemon, size: Size, findings: Findings) -> None:
    """As many as there are permits are answered at once; a permit that is lost would make one of them wait."""
    slow = directive(first_token="3s", tokens=1)
    questions = [Question(0.0, chat("any", f"probe {slow}", stream=True)) for _ in range(size.at_once)]
    seen: list[tuple[int, int]] = []

    def look() -> None:
        target = views.target(gateway, TARGET)
        seen.append((target.in_flight, target.waiting))

    answers = ask_all(gateway.port, questions, [(2.0, look)])
    findings.expect(seen == [(size.at_once, 0)], f"of {size.at_once} permits, (in use, waiting) are {seen}")
    findings.expect(all(answer.status == 200 for answer in answers), "a probe is not answered")
    views.wait_for_rest(gateway)
