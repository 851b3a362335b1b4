"""Three times as many requests as a provider's permits can carry: who is answered and how quickly, who is refused.

The capacity is known, since the number of permits is fixed and every answer takes as long as the other. Callers of
high priority ask for a part of it; the rest, and far more, is asked for by the others.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import Daemon
from support.protect import views
from support.protect.callers import Answer, Question, ask_all
from support.protect.findings import Findings, shown, spread
from support.protect.stand import NAMES, Stand, alias, never_trips, stand
from support.prompts import directive
from support.raw import chat
from support.steady import percentile, said

P99_MAX = 2.0
REFUSED_SECONDS_MAX = 0.05
MODEL = "instant"
PATIENCE = {"connect": "2s", "first_token": "10s", "between_tokens": "10s", "total": "20s"}
# Of the capacity, what is asked for by callers of each priority.
SHARES = {"high": 0.3, "normal": 1.7, "low": 1.0}
UNLOADED_SHARE = 0.3
STATUSES = {429, 503}


@dataclass(frozen=True)
class Size:
    seconds: float = 60
    at_once: int = 20
    answer_ms: int = 200
    memory_mib: int = 256

    @property
    def capacity(self) -> float:
        """Answers a second."""
        return self.at_once * 1000 / self.answer_ms


def run(folder: Path, size: Size = Size(), seed: int = 1) -> Findings:
    findings = Findings("overload")
    concurrency = {"algorithm": "fixed", "initial": size.at_once, "min": size.at_once, "max": size.at_once}
    members = {
        name: {"timeouts": PATIENCE, "models": [MODEL], "concurrency": concurrency} for name in NAMES
    }
    keys = {priority: {"tenant": priority, "priority": priority} for priority in SHARES}
    parts = [never_trips(), alias("any", f"first/{MODEL}", strategy="patient")]
    chance = random.Random(seed)
    with stand(folder, *parts, members=members, keys=keys) as there:
        calm_seconds = max(2.0, size.seconds / 10)
        calm = ask_all(there.gateway.port, questions(there, size, UNLOADED_SHARE / 3, calm_seconds, chance))
        with memory_of(there.gateway) as resident:
            answers = ask_all(there.gateway.port, questions(there, size, 1.0, size.seconds, chance))
        views.wait_for_rest(there.gateway)
    findings.tell(f"capacity {size.capacity:.0f}/s, {len(answers) / size.seconds:.0f}/s asked for {size.seconds:.0f} s")
    findings.wrong += shown([f"unloaded: {wrong}" for answer in calm if (wrong := complaint(answer, {200}))])
    judge(size, calm, answers, findings)
    most = max(resident, default=0) / (1 << 20)
    findings.tell(f"memory at most {most:.0f} MiB")
    findings.expect(most <= size.memory_mib, f"{most:.0f} MiB resident, and the cap is {size.memory_mib} MiB")
    return findings


def questions(there: Stand, size: Size, scale: float, seconds: float, chance: random.Random) -> list[Question]:
    """Arrivals as they are in life: each independent of the others."""
    pace = directive(first_token=f"{size.answer_ms - 20}ms", between_tokens="2ms", tokens=10)
    found = []
    for priority, share in SHARES.items():
        due, rate = 0.0, share * scale * size.capacity
        headers = {"authorization": f"Bearer {there.keys[priority]}"}
        while (due := due + chance.expovariate(rate)) < seconds:
            body = chat("any", f"tell me {pace}", stream=chance.random() < 0.5)
            found.append(Question(due, body, priority, headers))
    return sorted(found, key=lambda question: question.due)


@contextmanager
def memory_of(gateway: Daemon) -> Iterator[list[int]]:
    """What is resident, looked at every so often."""
    seen, over = [], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            seen.append(gateway.resident_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def judge(size: Size, calm: list[Answer], answers: list[Answer], findings: Findings) -> None:
    complaints = Counter(wrong for answer in answers if (wrong := complaint(answer, {200, *STATUSES})))
    findings.wrong += shown([f"{times} × {wrong}" for wrong, times in complaints.most_common()])
    unloaded = percentile([answer.seconds for answer in calm], 0.99)
    findings.tell(f"unloaded: {spread(answer.seconds for answer in calm)}")
    for priority in SHARES:
        of_priority = [answer for answer in answers if answer.question.kind == priority]
        good = [answer.seconds for answer in of_priority if answer.status == 200]
        findings.tell(f"{priority}: {len(good)} of {len(of_priority)} answered: {spread(good)}")
        for code, times in refusals(of_priority).items():
            findings.tell(f"{priority}: {len(times)} refused, {code}: {spread(times)}")
    lost = [answer for answer in answers if answer.question.kind == "high" and answer.status != 200]
    findings.expect(not lost, f"{len(lost)} of high priority lost: {dict(Counter(a.status for a in lost))}")
    admitted = [answer.seconds for answer in answers if answer.status == 200]
    refused = [answer.seconds for answer in answers if answer.status in STATUSES]
    findings.tell(f"admitted {len(admitted)} ({len(admitted) / size.seconds:.0f}/s): {spread(admitted)}")
    findings.tell(f"refused {len(refused)}: {spread(refused)}")
    findings.expect(refused, "nobody is refused")
    findings.expect(
        len(admitted) >= 0.8 * size.capacity * size.seconds, "a good part of the capacity is not used"
    )
    findings.expect_within(percentile(admitted, 0.99), P99_MAX * unloaded, "p99 of what is admitted")
    if refused:
        findings.expect_within(percentile(refused, 0.99), REFUSED_SECONDS_MAX, "p99 of what is refused")
    lags = [answer.sent - answer.question.due for answer in answers if answer.response]
    findings.tell(f"asked late by {spread(lags)}")


def refusals(answers: list[Answer]) -> dict[str, list[float]]:
    """How long those took who were refused, by what they were told."""
    found: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        if answer.status in STATUSES:
            found[f"{answer.status} {answer.response.error()['code']}"].append(answer.seconds)
    return found


def complaint(answer: Answer, statuses: set[int]) -> str | None:
    """What is wrong with an answer, if anything."""
    if answer.response is None:
        return f"no answer: {answer.fault}"
    if answer.status not in statuses:
        return f"status {answer.status}"
    if answer.status == 200:
        said(answer.response)
        return None
    answer.response.error()
    if int(answer.header("retry-after") or 0) < 1:
        return f"{answer.status} without Retry-After"
    return None
