"""One provider of an alias goes down under load, and comes back: who answers meanwhile, and how quickly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.protect import views
from support.protect.callers import Answer, Question, ask_all, evenly
from support.protect.findings import Findings, shown, spread
from support.protect.providers import Provider
from support.protect.stand import NAMES, alias, stand, strategy
from support.prompts import directive
from support.raw import chat
from support.steady import percentile, said

P99_MAX = 1.2
# Until then the breaker may still be learning.
LEARNS_SECONDS = 2.0
ON_THE_WAY_SECONDS = 1.0
FALLS_SECONDS = 0.3
MODEL = "fast"
PACE = directive(tokens=40)
REFUSALS = 50_000


@dataclass(frozen=True)
class Fall:
    """One way to go down, and to come back."""

    falls: Callable[[Provider], object]
    rises: Callable[[Provider], object]
    # Whether a trial call costs a caller its answer, since nobody else may be asked after it.
    costs_trials: bool = False


FALLS = {
    "killed": Fall(Provider.kill, Provider.revive),
    "refusing": Fall(
        lambda provider: provider.script(*[{"status": 500}] * REFUSALS), Provider.clear_script
    ),
    "frozen": Fall(Provider.freeze, Provider.thaw, costs_trials=True),
}


@dataclass(frozen=True)
class Times:
    """How long each part takes, in seconds."""

    healthy: float = 8
    down: float = 20
    back: float = 20
    rate: float = 60
    # How long a breaker that tripped rests at first.
    rests: str = "5s"

    @property
    def rises(self) -> float:
        return self.healthy + self.down


def run(folder: Path, times: Times = Times(), names: list[str] | None = None) -> Findings:
    findings = Findings("down")
    for name in names or FALLS:
        findings.add(fall(folder / name, name, times))
    return findings


def fall(folder: Path, name: str, times: Times) -> Findings:
    """The first provider goes down this way, and comes back."""
    how, findings = FALLS[name], Findings(name)
    parts = [
        strategy("prompt", open=times.rests, open_max=times.rests),
        alias("any", f"first/{MODEL}", fallback=[f"second/{MODEL}", f"third/{MODEL}"], strategy="prompt"),
    ]
    patience = {"connect": "300ms", "first_token": "500ms", "between_tokens": "500ms", "total": "700ms"}
    members = {provider: {"timeouts": patience, "models": [MODEL]} for provider in NAMES}
    seen: dict[str, str] = {}
    with stand(folder, *parts, members=members) as there:
        first = there.providers["first"]

        def look(when: str) -> None:
            seen[when] = views.state(there.gateway, "first")

        happenings = [
            (times.healthy, lambda: how.falls(first)),
            (times.rises - 0.2, lambda: look("down")),
            (times.rises, lambda: how.rises(first)),
        ]
        length = times.rises + times.back
        asked = evenly(int(length * times.rate), times.rate, question)
        answers = ask_all(there.gateway.port, asked, happenings)
        look("back")
        views.wait_for_rest(there.gateway)
    findings.expect(seen["down"] != "closed", "the breaker of the one that is down is closed")
    findings.expect(seen["back"] == "closed", f"the breaker of the one that came back is {seen['back']}")
    judge(how, times, answers, findings)
    return findings


def question(number: int, due: float) -> Question:
    return Question(due, chat("any", f"tell me {PACE}", stream=number % 2 == 1))


def judge(how: Fall, times: Times, answers: list[Answer], findings: Findings) -> None:
    def between(since: float, until: float) -> list[Answer]:
        return [answer for answer in answers if since <= answer.question.due < until]

    fell = times.healthy
    phases = {
        # Who is on the way when it falls or rises is of neither phase.
        "healthy": between(0, fell - ON_THE_WAY_SECONDS),
        "at first": between(fell, fell + LEARNS_SECONDS),
        "down": between(fell + LEARNS_SECONDS, times.rises - ON_THE_WAY_SECONDS),
        "back": between(times.rises, times.rises + times.back),
    }
    for phase, of_phase in phases.items():
        good = [answer.seconds for answer in of_phase if not complaint(answer)]
        by = Counter(answer.target or str(answer.status) for answer in of_phase)
        findings.tell(f"{phase}: {spread(good)} ({', '.join(f'{n} × {who}' for who, n in by.most_common())})")
    lost = [answer for phase in ("healthy", "down", "back") for answer in phases[phase] if complaint(answer)]
    trials = (times.down + times.back) / 4 if how.costs_trials else 0
    complaints = Counter(f"{complaint(answer)}" for answer in lost)
    if len(lost) > trials:
        findings.wrong += shown([f"{count} × {wrong}" for wrong, count in complaints.most_common()])
    if not how.costs_trials:
        # Who is being answered as it falls is lost: nobody else may be asked then.
        at_first = [answer for answer in between(fell + FALLS_SECONDS, fell + LEARNS_SECONDS) if complaint(answer)]
        findings.expect(not at_first, f"{len(at_first)} callers lost though others could be asked")
    after = {answer.target for answer in phases["down"] if answer.status == 200}
    findings.expect("first" not in after, "the one that is down answers")
    returned = next((answer for answer in phases["back"] if answer.target == "first"), None)
    findings.expect(returned, "nobody is answered by the one that came back")
    if returned:
        findings.tell(f"traffic returns {returned.question.due - times.rises:.1f} s after it came back")
    healthy = percentile([answer.seconds for answer in phases["healthy"]], 0.99)
    fallen = percentile([answer.seconds for answer in phases["down"]], 0.99)
    findings.expect_within(fallen, P99_MAX * healthy, f"p99 after the first {LEARNS_SECONDS:.0f} s down")


def complaint(answer: Answer) -> str | None:
    """What is wrong with an answer, if anything."""
    if answer.response is None:
        return f"no answer: {answer.fault}"
    if answer.status != 200:
        return f"status {answer.status}"
    try:
        said(answer.response)
    except Exception as fault:  # noqa: BLE001  Whatever cannot be read is no answer.
        return f"no whole answer: {type(fault).__name__}"
    return None
