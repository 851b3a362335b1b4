"""A steady load on gateways that remember, of several tenants with keys, and whether every answer was right.

Right is: a whole answer with status 200 that says what the provider says to this prompt; for which this very
tenant's question was brought to the provider; and that is not older than it may be. The first is known from a
second simulated provider that is asked afterwards, the others from the first one's own log: each call's request
id says whose it was and what was asked.

The load is open: questions come when they are due, whatever became of those before, and a question's time
counts from when it was due.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import configuration, processes
from support.processes import Daemon
from support.prompts import directive
from support.raw import Connection, Response, ask, chat, complete, events
from support.remembering import CHAT, told

TENANTS = ("search", "support", "sales", "legal")
# Aliases by how long their answers live, in seconds.
TTL_SECONDS = {"brief": 2.0, "lasting": 300.0}
# Lives stray by a tenth so that they do not end together.
JITTER = 1.1
# What lies between an answer's end and its being kept.
SLACK_SECONDS = 0.6
# Fewer than the prompts there are, so that Redis is asked for the others.
MEMORY_ENTRIES = 200
PROMPTS_A_KIND = 80
# Of a hundred questions: of prompts with a brief life, of prompts with a long one, asked at once of two gateways
# before a provider that takes its time; the rest nobody has asked before.
BRIEF, LASTING, SHARED = 40, 35, 5
SHARED_SECONDS = 0.1
WORKERS = 48
# The provider's log goes back a thousand calls.
LOG_EVERY_SECONDS = 1.0
# Nobody could look up one by one what would go wrong with all.
COMPLAINTS_MAX = 20

MARK = re.compile(r"^(\w+)\.(\d+)\.(\d+)$")


# What is asked


@dataclass(frozen=True)
class Prompt:
    """One text; `seconds` is what the provider takes for it."""

    number: int
    alias: str
    seconds: float = 0.0

    @property
    def content(self) -> str:
        text = f"question {self.number} of a steady load"
        return f"{text} {directive(first_token=f'{self.seconds * 1000:.0f}ms')}" if self.seconds else text

    def body(self, model: str, stream: bool) -> dict:
        return chat(model, self.content, temperature=0, stream=stream)


@dataclass(frozen=True)
class Question:
    due: float
    gateway: int
    tenant: str
    prompt: Prompt
    stream: bool


def questions(rate: float, gateways: int, begun: float, seed: int) -> Iterator[Question]:
    """For ever, evenly spaced."""
    chance = random.Random(seed)
    numbers = itertools.count(1)
    kinds = {alias: [Prompt(next(numbers), alias) for _ in range(PROMPTS_A_KIND)] for alias in TTL_SECONDS}
    # The first of a kind are asked far more often than its last.
    weights = [1 / rank**0.9 for rank in range(1, PROMPTS_A_KIND + 1)]
    for turn in itertools.count():
        due = begun + turn / rate
        draw, tenant, stream = chance.randrange(100), chance.choice(TENANTS), chance.random() < 0.5
        if draw < SHARED and gateways > 1:
            prompt = Prompt(next(numbers), "lasting", SHARED_SECONDS)
            for gateway in range(gateways):
                yield Question(due, gateway, tenant, prompt, stream)
            continue
        if draw < SHARED + BRIEF:
            (prompt,) = chance.choices(kinds["brief"], weights)
        elif draw < SHARED + BRIEF + LASTING:
            (prompt,) = chance.choices(kinds["lasting"], weights)
        else:
            prompt = Prompt(next(numbers), "lasting")
        yield Question(due, turn % gateways, tenant, prompt, stream)


# What is started


@dataclass
class Stand:
    """Gateways before one simulated provider, and another one to compare with."""

    gateways: list[Daemon]
    mock: Daemon
    reference: Daemon
    # Secrets by tenant.
    keys: dict[str, str]


@contextmanager
def stand(folder: Path, redis_url: str, gateways: int) -> Iterator[Stand]:
    """Starts all of it but Redis; at the end each gateway is judged."""
    keys = {tenant: processes.create_key() for tenant in TENANTS}
    with ExitStack() as stack:
        mock = stack.enter_context(processes.start_mock(folder / "mock"))
        parts = [
            f"[cache]\nmemory = {{ entries = {MEMORY_ENTRIES} }}\n",
            f'[cache.redis]\nurl = "{redis_url}"\n',
            *(configuration.key_row(key, tenant=tenant) for tenant, key in keys.items()),
            configuration.mock_provider(mock.port),
            *(
                configuration.alias(alias, ("mock/instant", 1), cache=f'ttl = "{seconds:.0f}s"')
                for alias, seconds in TTL_SECONDS.items()
            ),
        ]
        started = []
        for number in range(gateways):
            home = folder / f"gateway-{number}"
            text = configuration.gateway(home / "data", *parts)
            started.append(stack.enter_context(processes.start_gateway(home, text)))
        reference = stack.enter_context(processes.start_mock(folder / "reference"))
        yield Stand(started, mock, reference, {tenant: key["key"] for tenant, key in keys.items()})


# What comes of it


@dataclass
class Answer:
    question: Question
    mark: str
    sent: float
    done: float
    # What was answered, or why nothing was.
    response: Response | None
    fault: str = ""

    @property
    def state(self) -> str:
        return (self.response and told(self.response)) or "none"

    @property
    def beyond_provider_ms(self) -> float:
        """From when it was due to the end, without what the provider takes where it was waited for."""
        waited = self.question.prompt.seconds if self.state in ("miss", "coalesced") else 0.0
        return max(0.0, (self.done - self.question.due - waited) * 1000)


@dataclass(frozen=True)
class Health:
    """What a gateway says of its Redis at a moment."""

    at: float
    gateway: int
    breaker: str
    breaker_of_writes: str


class Load:
    """Asks from the beginning to the end of its `with`."""

    def __init__(self, stand: Stand, rate: float, seed: int = 1):
        self.stand, self.rate, self.seed = stand, rate, seed
        self.answers: list[Answer] = []
        self.health: list[Health] = []
        self.calls: dict[int, dict] = {}
        self.over = threading.Event()
        self.turns = threading.Lock()
        self.marks = itertools.count()
        self.broken: list[BaseException] = []

    def __enter__(self) -> Load:
        self.mock_began = self._clock_of_mock()
        self.begun = time.monotonic() + 0.1
        self.questions = questions(self.rate, len(self.stand.gateways), self.begun, self.seed)
        loops = [self._work] * WORKERS + [self._watch, self._read_log]
        self.threads = [threading.Thread(target=self._guarded, args=(loop,)) for loop in loops]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.broken:
            raise self.broken[0]
        self._take_log()

    def _guarded(self, loop) -> None:
        try:
            loop()
        except BaseException as fault:  # noqa: BLE001  A thread that dies alone would be a load that lessens.
            self.broken.append(fault)
            self.over.set()

    def _work(self) -> None:
        kept: dict[int, Connection] = {}
        while not self.over.is_set():
            with self.turns:
                question = next(self.questions)
                mark = f"{question.tenant}.{question.prompt.number}.{next(self.marks)}"
            if self.over.wait(max(0.0, question.due - time.monotonic())):
                break
            self.answers.append(self._ask(question, mark, kept))
        for connection in kept.values():
            connection.socket.close()

    def _ask(self, question: Question, mark: str, kept: dict[int, Connection]) -> Answer:
        sent = time.monotonic()
        body = json.dumps(question.prompt.body(question.prompt.alias, question.stream)).encode()
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self.stand.keys[question.tenant]}",
            "x-request-id": mark,
        }
        try:
            if question.gateway not in kept:
                kept[question.gateway] = Connection(self.stand.gateways[question.gateway].port)
            response = kept[question.gateway].request("POST", CHAT, body, headers)
        except Exception as fault:  # noqa: BLE001  Whatever it is, the request has failed.
            if connection := kept.pop(question.gateway, None):
                connection.socket.close()
            return Answer(question, mark, sent, time.monotonic(), None, f"{type(fault).__name__}: {fault}")
        return Answer(question, mark, sent, time.monotonic(), response)

    def _watch(self) -> None:
        """Looks ten times a second how each gateway's Redis stands."""
        connections = [Connection(gateway.admin_port) for gateway in self.stand.gateways]
        while not self.over.wait(0.1):
            for gateway, connection in enumerate(connections):
                redis = connection.request("GET", "/admin/cache").json()["redis"]
                now = time.monotonic()
                self.health.append(Health(now, gateway, redis["breaker"], redis["breaker_of_writes"]))
        for connection in connections:
            connection.socket.close()

    def _read_log(self) -> None:
        while not self.over.wait(LOG_EVERY_SECONDS):
            self._take_log()

    def _take_log(self) -> None:
        for call in ask(self.stand.mock.port, "GET", "/sim/log").json():
            self.calls[call["id"]] = call

    def _clock_of_mock(self) -> float:
        """When the provider's clock began, on ours."""
        before = time.monotonic()
        complete(self.stand.mock.port, chat("instant"))
        call = ask(self.stand.mock.port, "GET", "/sim/log").json()[-1]
        return before - call["received_ms"] / 1000

    # How the breakers stood

    def opened_after(self, since: float, until: float, of_writes: bool = False) -> list[float | None]:
        """For each gateway, seconds until it was first seen that the breaker is not closed."""

        def first(gateway: int) -> float | None:
            states = (each for each in self.health if each.gateway == gateway and since <= each.at <= until)
            opened = (
                each.at - since
                for each in states
                if (each.breaker_of_writes if of_writes else each.breaker) != "closed"
            )
            return next(opened, None)

        return [first(gateway) for gateway in range(len(self.stand.gateways))]

    def closed_after(self, since: float) -> list[float | None]:
        """For each gateway, seconds until both breakers stayed closed to the end."""

        def last(gateway: int) -> float | None:
            states = [each for each in self.health if each.gateway == gateway and each.at >= since]
            closed = [(each.breaker, each.breaker_of_writes) == ("closed", "closed") for each in states]
            if not closed or not closed[-1]:
                return None
            opens = [index for index, is_closed in enumerate(closed) if not is_closed]
            return states[opens[-1] + 1].at - since if opens else 0.0

        return [last(gateway) for gateway in range(len(self.stand.gateways))]


# Whether it was right


def said(response: Response) -> tuple[str, str]:
    """The text of an answer in either form, and why it ended."""
    if response.header("content-type") == "application/json":
        (choice,) = response.json()["choices"]
        return choice["message"]["content"], choice["finish_reason"]
    *data, last = events(response.body)
    assert last == "[DONE]", f"the last frame is {last!r}"
    choices = [choice for frame in data for choice in json.loads(frame)["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, choices[-1]["finish_reason"]


def references(mock: Daemon, bodies: dict[str, dict]) -> dict[str, tuple[str, str]]:
    """What the provider itself says, by name of the question."""

    def one(item: tuple[str, dict]) -> tuple[str, tuple[str, str]]:
        name, body = item
        return name, said(complete(mock.port, {**body, "stream": False}))

    with ThreadPoolExecutor(8) as askers:
        return dict(askers.map(one, bodies.items()))


def complaints(load: Load) -> list[str]:
    """What was wrong with the answers; nothing where all is well."""
    found: list[str] = []
    if sorted(load.calls) != list(range(min(load.calls), max(load.calls) + 1)):
        found.append("the provider's log was not read often enough to know all of its calls")
    came = _calls(load)
    prompts = {answer.question.prompt for answer in load.answers}
    expected = references(
        load.stand.reference, {str(each.number): each.body("instant", False) for each in prompts}
    )
    for answer in load.answers:
        wrong = _wrong(answer, expected, came)
        if wrong:
            question = answer.question
            where = f"prompt {question.prompt.number} of {question.tenant} at gateway {question.gateway}"
            found.append(f"{where}, {'stream' if question.stream else 'whole'}, {answer.state}: {wrong}")
    if len(found) > COMPLAINTS_MAX:
        found[COMPLAINTS_MAX:] = [f"… and {len(found) - COMPLAINTS_MAX} more"]
    return found


@dataclass(frozen=True)
class Call:
    """A call at the provider: when it came, and when its answer was kept at the latest."""

    came: float
    kept: float


def _calls(load: Load) -> dict[tuple[str, int], list[Call]]:
    """The calls for each tenant's prompt, oldest first, on our clock."""
    found = defaultdict(list)
    done = {answer.mark: answer.done for answer in load.answers}
    for call in load.calls.values():
        mark = call["x_request_id"] or ""
        if match := MARK.match(mark):
            came = load.mock_began + call["received_ms"] / 1000
            # About when whoever asked for it had it, however long that took.
            found[match[1], int(match[2])].append(Call(came, max(came, done.get(mark, came))))
    return {whose: sorted(calls, key=lambda call: call.came) for whose, calls in found.items()}


def _wrong(answer: Answer, expected: dict, came: dict) -> str | None:
    response, question = answer.response, answer.question
    if response is None:
        return f"failed: {answer.fault}"
    if response.status != 200:
        return f"failed: status {response.status}, {response.body[:200]!r}"
    try:
        text = said(response)
    except Exception as fault:  # noqa: BLE001  Whatever cannot be read is torn.
        return f"torn: {type(fault).__name__}: {fault}"
    if text != expected[str(question.prompt.number)]:
        return f"another answer: {text[0][:100]!r}"
    life = TTL_SECONDS[question.prompt.alias] * JITTER
    if int(response.header("age") or 0) > life:
        return f"an age of {response.header('age')} s"
    calls = came.get((question.tenant, question.prompt.number), [])
    before = [call for call in calls if call.came <= answer.done]
    if not before:
        return "an answer that this tenant never had made"
    age = answer.sent - max(call.kept for call in before)
    if age > life + SLACK_SECONDS:
        return f"an answer at least {age:.2f} s old that lives {life:.1f} s"
    return None


# Figures


def percentile(values: list[float], share: float) -> float:
    """By nearest rank; not a number where there is nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def during(load: Load, since: float, until: float) -> list[Answer]:
    """The questions that were due in between."""
    return [answer for answer in load.answers if since <= answer.question.due < until]


def states(answers: list[Answer]) -> Counter:
    """How often each word about the cache was said."""
    return Counter(answer.state for answer in answers)
