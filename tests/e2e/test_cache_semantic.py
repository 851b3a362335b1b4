"""Answers to other questions that mean the same: who is served, and above all who is not."""

from __future__ import annotations

import json
import uuid

import pytest
from support import configuration
from support.processes import Daemon
from support.raw import ask as send
from support.raw import complete
from support.remembering import again, spoken, text_of, told
from support.upstream import Upstream, reply
from support.waiting import wait_until

ASKED = "How do I delete a file in Linux?"
SAME = "in linux, how can I remove a file"
OTHERS = [
    "How do I delete a folder in Linux?",
    "How do I delete a file in Windows?",
    "How do I not delete a file in Linux?",
    "How do I restore a file in Linux?",
    "How do I delete 3 files in Linux?",
    "Wie lösche ich eine Datei in Linux?",
]


class Provider:
    """Numbers its answers; gives every text the same vector; judges as it is told."""

    def __init__(self, verdict: str = "SAME") -> None:
        self.answers = 0
        self.judged: list[str] = []
        self.verdict = verdict

    def __call__(self, connection, request) -> None:
        body = request.json()
        if "input" in body:
            vector = {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}
            connection.sendall(reply("200 OK", json.dumps({"object": "list", "data": [vector]}).encode()))
        elif body["model"] == "judge":
            self.judged.append(body["messages"][-1]["content"])
            connection.sendall(spoken(request, self.verdict))
        else:
            self.answers += 1
            connection.sendall(spoken(request, f"answer {self.answers}"))


def asking(text: str, system: str, model: str = "kin", **options) -> dict:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return {"model": model, "temperature": 0, "messages": messages, **options}


def settings(semantic: str = "") -> str:
    return f"[cache.semantic]\n{semantic}\n" if semantic else ""


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def gateway(launch, provider):
    """Starts a gateway whose alias `kin` opts in, under these settings."""
    opened = []

    def start(semantic: str = "") -> Daemon:
        upstream = Upstream(provider)
        opened.append(upstream)
        upstream.__enter__()
        return launch(
            configuration.provider("up", upstream.port),
            configuration.alias("kin", ("up/m", 1), cache="semantic = true"),
            configuration.alias("plain", ("up/m", 1)),
            settings(semantic),
        )

    yield start
    for upstream in opened:
        upstream.__exit__(None, None, None)


def ask(gateway: Daemon, body: dict) -> tuple[str, str]:
    response = again(lambda: complete(gateway.port, body))
    assert response.status == 200, response.body
    text = response.body.decode() if body.get("stream") else text_of(response)
    return told(response), text


def ready(gateway: Daemon, questions: int) -> None:
    """Waits until so many questions have been taken note of, which happens behind the answer's back."""
    wait_until("the question to be noted", lambda: report(gateway)["questions"] >= questions)


def report(gateway: Daemon) -> dict:
    return send(gateway.admin_port, "GET", "/admin/cache").json()["semantic"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_question_that_means_the_same_gets_the_answer(gateway, provider, stream):
    serving, system = gateway(), uuid.uuid4().hex
    assert ask(serving, asking(ASKED, system, stream=stream))[0] == "miss"
    ready(serving, 1)
    state, text = ask(serving, asking(SAME, system, stream=stream))
    assert state.startswith("hit; tier=semantic; similarity=") and "answer 1" in text
    assert provider.answers == 1
    # What was accepted once is found at once.
    state, _ = ask(serving, asking(SAME, system, stream=stream))
    assert state.startswith("hit; tier=semantic") and provider.answers == 1
    assert report(serving)["hits"] == 2


@pytest.mark.parametrize("other", OTHERS)
def test_a_question_that_differs_gets_its_own_answer(gateway, other):
    serving, system = gateway(), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    state, text = ask(serving, asking(other, system))
    assert state == "miss" and text == "answer 2"


@pytest.mark.parametrize(
    "change",
    [
        {"system": "another circumstance"},
        {"model": "plain"},
        {"max_tokens": 77},
        {"n": 2},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    ],
    ids=["system prompt", "alias", "option", "several answers", "tools"],
)
def test_nothing_else_may_differ(gateway, change):
    serving, system = gateway(), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    body = asking(SAME, **{"system": system, **change})
    assert ask(serving, body)[0] == "miss"


def test_an_answer_that_was_taken_back_serves_nobody(gateway, provider):
    serving, system = gateway(), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    response = complete(serving.admin_port, {"everything": True}, "/admin/cache/invalidate")
    assert response.status == 200
    assert ask(serving, asking(SAME, system))[0] == "miss" and provider.answers == 2


def test_a_provider_may_make_the_vectors(gateway, provider):
    serving, system = gateway('embedder = "up/vectors"'), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    assert ask(serving, asking(SAME, system))[0] == "hit; tier=semantic; similarity=1.00"
    # Equal vectors prove nothing.
    assert ask(serving, asking(OTHERS[0], system))[0] == "miss"


@pytest.mark.parametrize("verdict", ["SAME", "DIFFERENT"])
def test_a_judge_decides_behind_the_caller_s_back(gateway, provider, verdict):
    provider.verdict = verdict
    serving, system = gateway('accept = "judge"\njudge = "up/judge"\naudit = 0.0'), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    assert ask(serving, asking(SAME, system))[0] == "miss", "nobody waits for the judge"
    ready(serving, 2)
    assert len(provider.judged) == 1 and ASKED in provider.judged[0] and SAME in provider.judged[0]
    # The judged text itself has its own answer now; once that is gone it takes the other's, if it may.
    kept = provider.answers
    complete(serving.admin_port, {"key": "0" * 64}, "/admin/cache/invalidate")
    state, _ = ask(serving, asking(SAME, system))
    assert state == "hit; tier=memory" and provider.answers == kept


def test_hits_are_audited_and_a_category_that_errs_is_left_alone(gateway, provider):
    provider.verdict = "DIFFERENT"
    serving, system = gateway('judge = "up/judge"\naudit = 1.0'), uuid.uuid4().hex
    ask(serving, asking(ASKED, system))
    ready(serving, 1)
    assert ask(serving, asking(SAME, system))[0].startswith("hit; tier=semantic")
    wait_until("the audit", lambda: any(each["wrong"] for each in report(serving)["categories"].values()))
    precision = report(serving)["precision"]
    assert precision["rate"] == 0.0 and precision["high_95"] < 1.0
