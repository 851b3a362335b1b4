"""Each misfortune of a provider, again and again, and what was done for those whom it befell.

Whichever it is, nobody else is asked once the caller has read the first byte, nor, unless the alias has opted in,
where the first may have accepted the request.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from support.protect import views
from support.protect.findings import Findings, shown, spread
from support.protect.misfortunes import MISFORTUNES, Misfortune
from support.protect.providers import Call
from support.protect.scene import MODES, STRICT, TRIES_MAX, Question, Scene, scene
from support.protect.stand import MODEL
from support.raw import Connection, ask, chat, events
from support.steady import said

# A misfortune is asked for again where something kept it from happening, so many batches more at most.
BATCHES_MAX = 60
BATCH = 24
TALLY_SECONDS_MAX = 2.0


def run(
    folder: Path,
    rounds: int = 100,
    names: list[str] | None = None,
    progress: Callable[[Findings], None] = lambda _: None,
) -> Findings:
    """Every misfortune so many times in either mode."""
    findings = Findings("faults")
    with scene(folder) as there:
        for name in names or MISFORTUNES:
            for mode in MODES:
                found = befall(there, name, mode, rounds)
                findings.add(found)
                progress(found)
    return findings


def befall(scene: Scene, name: str, mode: str, rounds: int) -> Findings:
    """One misfortune so many times; what came of it."""
    misfortune = MISFORTUNES[name]
    findings = Findings(f"{name}, {mode}")
    begun = time.monotonic()
    before = views.attempts(scene.gateway)
    happened, questions = 0, []
    forms = itertools.cycle(itertools.product(misfortune.forms, (False, True)))
    size = 1 if misfortune.rests else BATCH
    for _ in range(BATCHES_MAX + 2 * rounds // size):
        if happened >= rounds:
            break
        batch = [Question(name, mode, *next(forms)) for _ in range(min(size, rounds - happened))]
        happened += ask_batch(scene, misfortune, batch)
        questions += batch
        scene.stand.account.take()
        # A provider that asked for patience is asked again all the same.
        views.reset(scene.gateway)
    findings.expect(happened >= rounds, f"it happened {happened} times of {rounds}")
    views.wait_for_rest(scene.gateway)
    wait_for_tally(scene, misfortune, questions)
    judge(scene, misfortune, questions, findings)
    seconds = time.monotonic() - begun
    findings.tell(
        f"{happened} times in {seconds:.1f} s: {outcomes(questions)}; {spread(q.seconds for q in questions)}"
    )
    check_metrics(scene, questions, before, findings)
    findings.expect(ask(scene.gateway.port, "GET", "/health").status == 200, "the gateway is not well")
    return findings


# Asking


def ask_batch(scene: Scene, misfortune: Misfortune, batch: list[Question]) -> int:
    """Asks all of a batch; how often the misfortune happened."""
    with inflicted(scene, misfortune, len(batch)) as left:
        with ThreadPoolExecutor(min(misfortune.at_once, len(batch))) as askers:
            list(askers.map(lambda question: ask_one(scene, misfortune, question), batch))
    return len(batch) - left()


@contextmanager
def inflicted(scene: Scene, misfortune: Misfortune, times: int) -> Iterator[Callable[[], int]]:
    """Prepares the provider; yields how often, in the end, it was not asked."""
    first = scene.stand.providers["first"]
    if misfortune.script:
        first.script(*[misfortune.script() for _ in range(times)])
        left: list[int] = []
        yield lambda: left[0]
        left.append(first.clear_script())
    elif misfortune.answer:
        before = len(scene.odd.requests)
        scene.script.answer = misfortune.answer
        yield lambda: max(0, times - (len(scene.odd.requests) - before))
    elif misfortune.place == "first":
        first.freeze()
        try:
            yield lambda: 0
        finally:
            first.thaw()
            # By the time it answers this it has read what it was sent before.
            first.says(chat(MODEL))
    else:
        yield lambda: 0


def ask_one(scene: Scene, misfortune: Misfortune, question: Question) -> None:
    model = f"{question.mode}-{misfortune.provider}"
    begun = time.monotonic()
    try:
        with Connection(scene.gateway.port) as connection:
            question.response = connection.post(question.body(model), x_request_id=question.mark)
    except Exception as fault:  # noqa: BLE001  Whatever it is, the caller got no answer.
        question.fault = f"{type(fault).__name__}: {fault}"
    question.seconds = time.monotonic() - begun


# Judging


def judge(scene: Scene, misfortune: Misfortune, questions: list[Question], findings: Findings) -> None:
    """Holds every answer against the calls that were made for it."""
    calls = scene.calls()
    complaints = []
    for question in questions:
        made = calls.get(question.mark, [])
        for wrong in complaints_of(scene, misfortune, question, made):
            kind = f"{'stream' if question.stream else 'whole'}{', shared' * question.is_shared}"
            complaints.append(f"{kind}: {wrong} ({told_of(made)})")
    counted = Counter(complaints)
    findings.wrong += shown([f"{times} × {complaint}" for complaint, times in counted.most_common()])


def complaints_of(scene: Scene, misfortune: Misfortune, question: Question, made: list[Call]) -> Iterator[str]:
    """What is wrong with one answer, and with what was done for it."""
    if question.response is None:
        yield f"no answer: {question.fault}"
        return
    if len(made) > TRIES_MAX:
        yield "more calls than tries"
    begun, skipped = misfortune.has_begun(question.stream), not asked_first(misfortune, made)
    if begun and not skipped:
        yield from of_broken_stream(question)
    elif misfortune.accepted and not skipped and (question.mode == STRICT or is_too_late(misfortune, question)):
        yield from of_refusal(misfortune, question)
    else:
        yield from of_good_answer(scene, question)
    if misfortune.accepted and (question.mode == STRICT or begun) and not skipped and len(made) > 1:
        yield "a second call where the first may have been accepted"
    if not made and not misfortune.place:
        yield "no call"
    yield from of_attempts(misfortune, question, made)


def asked_first(misfortune: Misfortune, made: list[Call]) -> bool:
    """Whether the one that fails was asked: who does not count, or was told to rest, is held to have been, unless
    another was asked."""
    return misfortune.provider in {call.provider for call in made} or not made or misfortune.place == "first"


def is_too_late(misfortune: Misfortune, question: Question) -> bool:
    """Whether there was no time left to ask another: such a caller may be answered, and need not be."""
    return misfortune.lasts and not question.stream and question.response.status != 200


def of_broken_stream(question: Question) -> Iterator[str]:
    """It has to end with one error event."""
    if question.response.status != 200:
        yield f"status {question.response.status}, though the answer had begun"
        return
    told = events(question.response.body)
    errors = sum("error" in json.loads(event) for event in told if event != "[DONE]")
    if "[DONE]" in told or errors != 1 or "error" not in json.loads(told[-1]):
        yield f"a broken stream ends with {told[-1][:80]!r} and has {errors} errors"


def of_refusal(misfortune: Misfortune, question: Question) -> Iterator[str]:
    """It has to have the status of its fault and a body that says why."""
    response = question.response
    if response.status not in misfortune.statuses:
        yield f"status {response.status}, not {misfortune.statuses}"
        return
    response.error()
    if response.status == 503 and not response.header("retry-after"):
        yield "503 without Retry-After"


def of_good_answer(scene: Scene, question: Question) -> Iterator[str]:
    """It has to be what providers say to this prompt."""
    response = question.response
    if response.status != 200:
        yield f"status {response.status}, {response.error()['code']}, where another could have answered"
        return
    try:
        text = said(response)
    except Exception as fault:  # noqa: BLE001  Whatever cannot be read is no answer.
        yield f"no whole answer: {type(fault).__name__}: {str(fault)[:80]}"
        return
    if text != scene.expected(question):
        yield "another answer"


def of_attempts(misfortune: Misfortune, question: Question, made: list[Call]) -> Iterator[str]:
    """What the caller is told of tries has to be what the providers counted. Who is not reached counts none."""
    told = int(question.response.header("x-tidegate-attempts") or 0)
    uncounted = misfortune.place is not None and told == len(made) + 1
    if told != len(made) and not uncounted:
        yield f"x-tidegate-attempts: {told}"


def wait_for_tally(scene: Scene, misfortune: Misfortune, questions: list[Question]) -> None:
    """Waits until the providers have logged what was told of tries, if they ever do: a call that is given up as it
    is made may never reach one."""
    told = sum(int(q.response.header("x-tidegate-attempts") or 0) for q in questions if q.response)
    deadline = time.monotonic() + TALLY_SECONDS_MAX
    while not misfortune.place and time.monotonic() < deadline:
        calls = scene.calls()
        if sum(len(calls.get(question.mark, [])) for question in questions) >= told:
            return
        time.sleep(0.05)


def check_metrics(scene: Scene, questions: list[Question], before: Counter, findings: Findings) -> None:
    """The gateway's own count of its calls has to be the providers'."""
    calls = scene.calls()
    marks = {question.mark for question in questions}
    made = Counter(call.provider for mark in marks for call in calls.get(mark, []))
    counted = views.attempts(scene.gateway)
    for provider, count in made.items():
        difference = counted[provider] - before[provider]
        # A try at one that froze is counted where it was made, whether or not it was read in the end.
        if difference != count and not (MISFORTUNES[questions[0].misfortune].place == provider):
            findings.wrong.append(f"metrics say {difference} calls of {provider}, which counted {count}")


def outcomes(questions: list[Question]) -> str:
    """What callers were told, in one line."""
    words = Counter(
        "none" if q.response is None else f"{q.response.status}{' by ' + by if (by := answered_by(q)) else ''}"
        for q in questions
    )
    return ", ".join(f"{count} × {word}" for word, count in sorted(words.items()))


def answered_by(question: Question) -> str:
    return (question.response.header("x-tidegate-target") or "").partition("/")[0]


def told_of(made: list[Call]) -> str:
    """The calls of one request, in a few words."""
    return "calls: " + (", ".join(sorted(call.provider for call in made)) or "none")
