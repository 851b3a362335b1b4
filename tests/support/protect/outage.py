"""Every provider fails at once: how often they are asked all the same, and how quickly callers are told.

Each way of failing has its own phase, on a gateway of its own. Calls are counted by the providers where they are
alive to count, else by the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support import configuration
from support.protect import views
from support.protect.callers import Answer, Question, ask_all, evenly
from support.protect.findings import Findings, shown, spread
from support.protect.providers import Provider
from support.protect.stand import MODEL, Stand, alias, never_trips, stand
from support.prompts import directive
from support.raw import chat
from support.steady import percentile

ATTEMPTS_MAX = 1.2
REFUSED_SECONDS_MAX = 0.05
# Until then the breakers may still be learning.
LEARNS_SECONDS = 2.0
# What a budget holds before anybody has asked, a few calls at the most.
CALLS_AT_FIRST = 10


@dataclass(frozen=True)
class Outage:
    """One way in which all of them fail."""

    prompt: dict = None
    befalls: Callable[[Provider], object] | None = None
    mends: Callable[[Provider], object] | None = None
    has_breakers: bool = True
    # Where every provider is out of reach the fault is taken to be here, and breakers are left as they are.
    is_local: bool = False
    statuses: frozenset[int] = frozenset({502, 503, 504})


OUTAGES = {
    "refusals": Outage({"status": 500}),
    "refusals, no breaker": Outage({"status": 500}, has_breakers=False),
    "rate limits": Outage({"status": 429, "retry_after": "3"}),
    "resets": Outage({"reset": True}),
    "killed": Outage(befalls=Provider.kill, mends=Provider.revive, is_local=True),
    "frozen": Outage(befalls=Provider.freeze, mends=Provider.thaw),
}


def run(folder: Path, seconds: float = 10, rate: float = 200, names: list[str] | None = None) -> Findings:
    findings = Findings("outage")
    for name in names or OUTAGES:
        findings.add(fail(folder / name.replace(" ", "-"), name, seconds, rate))
    return findings


def fail(folder: Path, name: str, seconds: float, rate: float) -> Findings:
    """All providers fail this way from the beginning to the end."""
    outage, findings = OUTAGES[name], Findings(name)
    # Without a breaker the budget alone stands between callers and providers.
    budget = {} if outage.has_breakers else {"budget_per_second": 0}
    parts = [
        never_trips(),
        configuration.table("guard.retry", backoff="1ms", backoff_max="10ms", **budget),
        alias(
            "any",
            *(f"{provider}/{MODEL}" for provider in ("first", "second")),
            fallback=[f"third/{MODEL}"],
            strategy="balanced" if outage.has_breakers else "patient",
        ),
    ]
    with stand(folder, *parts) as there:
        for provider in there.providers.values():
            if outage.befalls:
                outage.befalls(provider)
        answers = ask_all(there.gateway.port, questions(outage, seconds, rate))
        counted = views.attempts(there.gateway)
        for provider in there.providers.values():
            if outage.mends:
                outage.mends(provider)
        views.wait_for_rest(there.gateway)
        made = calls_of(there, answers, outage, counted, findings)
        judge(outage, answers, made, findings)
    return findings


def questions(outage: Outage, seconds: float, rate: float) -> list[Question]:
    content = f"tell me {directive(**outage.prompt)}" if outage.prompt else "tell me"

    def make(number: int, due: float) -> Question:
        return Question(due, chat("any", content, stream=number % 2 == 1))

    return evenly(int(seconds * rate), rate, make)


def calls_of(
    there: Stand, answers: list[Answer], outage: Outage, counted: Counter, findings: Findings
) -> int:
    """How many calls were made: by the providers' count where they were alive, which must be the gateway's own."""
    by_gateway = counted.total()
    if outage.befalls:
        return by_gateway
    there.account.take()
    calls = there.account.calls()
    made = [calls.get(answer.question.mark, []) for answer in answers]
    total = sum(map(len, made))
    findings.expect(total == by_gateway, f"the gateway counts {by_gateway} calls, the providers {total}")
    if outage.prompt.get("reset"):
        twice = sum(len(each) > 1 for each in made)
        findings.expect(not twice, f"{twice} second calls where the first may have been accepted")
    return total


def judge(outage: Outage, answers: list[Answer], made: int, findings: Findings) -> None:
    offered = len(answers)
    findings.expect(
        made <= ATTEMPTS_MAX * offered + CALLS_AT_FIRST, f"{made} calls for {offered} requests are too many"
    )
    complaints = Counter(wrong for answer in answers if (wrong := complaint(outage, answer)))
    findings.wrong += shown([f"{times} × {wrong}" for wrong, times in complaints.most_common()])
    findings.tell(
        f"{offered} requests, {made} calls ({made / offered:.2f} each); "
        + ", ".join(f"{times} × {status}" for status, times in Counter(a.status for a in answers).items())
    )
    later = [answer for answer in answers if answer.question.due >= LEARNS_SECONDS]
    if not outage.has_breakers or not later:
        return
    refused = [answer.seconds for answer in later if answer.status == 503 or outage.is_local]
    findings.expect(len(refused) >= 0.9 * len(later), "the breakers are not open")
    if refused:
        findings.expect_within(percentile(refused, 0.99), REFUSED_SECONDS_MAX, "p99 of what is refused")
    findings.tell(f"after {LEARNS_SECONDS:.0f} s: {len(refused)} of {len(later)} refused at once; {spread(refused)}")


def complaint(outage: Outage, answer: Answer) -> str | None:
    """What is wrong with an answer, if anything."""
    if answer.response is None:
        return f"no answer: {answer.fault}"
    if answer.status not in outage.statuses:
        return f"status {answer.status}"
    answer.response.error()
    if answer.status == 503 and int(answer.header("retry-after") or 0) < 1:
        return "503 without Retry-After"
    return None
