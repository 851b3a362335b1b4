"""Runs of workflows, to their end: whatever is killed meanwhile, and whatever is asked of them."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from support import configuration, processes, upstream, workflows
from support.raw import ask
from support.waiting import wait_until
from support.workflows import (
    WAITS,
    Recorded,
    answer,
    get,
    model,
    over,
    prompts_of_thirty,
    put,
    ready,
    say,
    start,
    started,
    step,
    step_is,
    thirty,
    two,
)


def test_thirty_steps_come_to_their_end(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, thirty(), {"topic": "tea"})
        done = over(gateway, id)
        prompts = prompts_of_thirty("tea")
        assert done["state"] == "done" and done["output"] == answer(prompts["sum4"]), done["error"]
        assert sorted(recorded.asked()) == sorted(prompts.values()), "each once, and with its inputs"
        for name, prompt in prompts.items():
            assert recorded.calls[prompt] == [f"{id}/{name}"]
        assert {step["state"] for step in done["steps"]} == {"done"}
        assert all(step["attempts"] == 1 and step["duration_ms"] is not None for step in done["steps"])


@pytest.mark.timeout(240)
def test_runs_of_a_gateway_that_is_killed_come_to_the_same_end(tmp_path):
    """A dozen kills at moments of chance. What was under way is begun again once its lease is over."""
    chance, topics = random.Random(5), []
    slow = lambda _prompt: time.sleep(chance.uniform(0, 0.05))  # noqa: E731
    with Recorded(slow) as recorded:
        text = configuration.gateway(tmp_path / "data", recorded.provider())
        ids: dict[str, str] = {}
        for round_ in range(12):
            with_kill = processes.start_gateway(tmp_path / "gateway", text)
            try:
                ready(with_kill)
                assert put(with_kill, thirty()).status == 200
                for number in range(2):
                    topic = f"topic-{round_}-{number}"
                    ids[topic] = start(with_kill, "thirty", {"topic": topic}).json()["id"]
                time.sleep(chance.uniform(0.0, 0.5))
            finally:
                with_kill.kill()
        with processes.start_gateway(tmp_path / "gateway", text) as gateway:
            ready(gateway)
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not all_over(gateway, ids.values()):
                time.sleep(0.2)
            twice = 0
            for topic, id in ids.items():
                prompts = prompts_of_thirty(topic)
                ended = get(gateway, id)
                assert ended["state"] == "done", ended
                assert ended["output"] == answer(prompts["sum4"])
                for name, prompt in prompts.items():
                    assert set(recorded.calls[prompt]) == {f"{id}/{name}"}, "one key, however often"
                    twice += len(recorded.calls[prompt]) > 1
            known = {prompt for topic in ids for prompt in prompts_of_thirty(topic).values()}
            assert set(recorded.calls) == known, "nothing was asked that nobody wanted"
            assert twice > 0, "no kill hit a call under way: the test shows nothing"


def all_over(gateway, ids) -> bool:
    return all(get(gateway, id)["state"] in workflows.OVER for id in ids)


def test_steps_that_do_not_need_one_another_overlap(launch):
    together = threading.Barrier(5)

    def meet(prompt: str) -> None:
        # Nobody is answered before all five have asked.
        if "part" in prompt:
            together.wait(10)

    with Recorded(meet) as recorded:
        gateway = launch(recorded.provider())
        steps = [model(f"part{number}", f"part {number}") for number in range(5)]
        steps.append(model("sum", "all of it", *(f"part{number}" for number in range(5))))
        id = started(gateway, {"name": "abreast", "steps": steps})
        assert over(gateway, id)["state"] == "done"
        assert recorded.asked()[-1] == "all of it" and len(recorded.asked()) == 6


def test_a_map_keeps_to_its_bound(launch):
    lock, under_way, most = threading.Lock(), 0, 0
    pair = threading.Barrier(2)

    def count(_prompt: str) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        pair.wait(10)
        with lock:
            under_way -= 1

    with Recorded(count) as recorded:
        gateway = launch(recorded.provider())
        each = model("x", "item {{ item }} of {{ index }}")
        del each["id"], each["needs"]
        definition = {
            "name": "spread",
            "input": ["list"],
            "steps": [{"id": "all", "kind": "map", "over": "input.list", "concurrency": 2, "step": each}],
            "output": "{{ steps.all.output | length }}",
        }
        id = started(gateway, definition, {"list": list("abcdef")})
        done = over(gateway, id)
        assert done["output"] == 6 and most == 2
        assert step(done, "all")["items"] == {"total": 6, "done": 6, "failed": 0}
        item = ask(gateway.port, "GET", f"/v1/workflows/runs/{id}/steps/all/3").json()
        assert item["input"] == "d"
        assert item["output"]["choices"][0]["message"]["content"] == answer("item d of 3")


def test_a_paused_run_begins_nothing_until_it_is_resumed(launch):
    go = threading.Event()
    with Recorded(lambda prompt: None if prompt != "first" else go.wait(10) and None) as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, two())
        wait_until("the first is asked", recorded.asked)
        assert say(gateway, id, "pause").json()["state"] == "paused"
        go.set()
        step_is(gateway, id, "a", "done")
        assert recorded.asked() == ["first"]
        assert get(gateway, id)["state"] == "paused"
        refused = say(gateway, id, "pause")
        assert refused.status == 409 and refused.error()["code"] == "run_is_paused"
        assert say(gateway, id, "resume").status == 200
        assert over(gateway, id)["state"] == "done"
        assert len(recorded.asked()) == 2


def test_a_cancelled_run_is_over_and_stays_so(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, WAITS)
        step_is(gateway, id, "word", "listening")
        assert say(gateway, id, "cancel").json()["state"] == "cancelled"
        for word, body in [("cancel", {}), ("signal", {"name": "go"}), ("resume", {})]:
            refused = say(gateway, id, word, **body)
            assert refused.status == 409 and refused.error()["code"] == "run_is_cancelled", word
        assert recorded.asked() == []


def test_a_signal_is_what_a_step_waits_for(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, WAITS)
        unknown = say(gateway, id, "signal", name="stop")
        assert unknown.status == 400 and unknown.error()["param"] == "name"
        assert unknown.error()["message"].endswith("; there are: go."), unknown.body
        assert say(gateway, id, "signal", name="go", payload={"word": "now"}).status == 200
        assert over(gateway, id)["state"] == "done"
        assert recorded.asked() == ["the word is now"]


def test_a_failed_run_goes_on_from_the_step_that_is_retried(launch):
    broken = [True]
    refusal = upstream.reply("400 Bad Request", b'{"error":{"message":"not today"}}')
    with Recorded(lambda prompt: refusal if broken[0] and prompt.startswith("then") else None) as recorded:
        gateway = launch(configuration.UNGUARDED, recorded.provider())
        id = started(gateway, two())
        failed = over(gateway, id)
        assert failed["state"] == "failed" and "not today" in failed["error"]
        assert step(failed, "b")["state"] == "failed"
        unknown = say(gateway, id, "retry", step="z")
        assert unknown.status == 400 and unknown.error()["param"] == "step"
        broken[0] = False
        assert say(gateway, id, "retry", step="b").json()["state"] == "running"
        assert over(gateway, id)["state"] == "done"
        prompt = f"then {answer('first')}"
        assert recorded.calls == {"first": [f"{id}/a"], prompt: [f"{id}/b", f"{id}/b~1"]}


def test_a_step_that_fails_for_a_while_is_tried_again(launch):
    left = [2]

    def fail(_prompt: str) -> bytes | None:
        left[0] -= 1
        return upstream.reply("500 Oh", b"{}") if left[0] >= 0 else None

    with Recorded(fail) as recorded:
        gateway = launch(configuration.UNGUARDED, recorded.provider())
        retry = {"attempts": 5, "backoff": "10ms"}
        id = started(gateway, {"name": "again", "steps": [model("a", "first", retry=retry)]})
        done = over(gateway, id)
        assert done["state"] == "done" and step(done, "a")["attempts"] == 3
        assert recorded.calls == {"first": [f"{id}/a"] * 3}


def test_an_http_step_calls_only_whom_the_operator_named(launch):
    def reply(connection, request) -> None:
        connection.sendall(upstream.reply("200 OK", json.dumps({"got": request.json()}).encode()))

    with upstream.Upstream(reply) as server:
        url = f"http://127.0.0.1:{server.port}/in?x=1"
        call = {"id": "call", "kind": "http", "method": "POST", "url": url, "body": {"q": [1]}}
        definition = {"name": "calls", "steps": [call], "output": "{{ steps.call.output.body.got.q }}"}
        refused = over(gateway := launch(), started(gateway, definition))
        assert refused["state"] == "failed" and "workflows.hosts" in refused["error"]
        assert server.requests == []
        named = launch(configuration.table("workflows", hosts=[f"127.0.0.1:{server.port}"]))
        id = started(named, definition)
        assert over(named, id)["output"] == [1]
        (request,) = server.requests
        assert request.header("idempotency-key") == f"{id}/call"
        assert request.head.startswith(b"POST /in?x=1 ")


def test_a_run_keeps_the_version_that_it_was_started_with(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, WAITS)
        newer = {**WAITS, "steps": [WAITS["steps"][0], model("after", "something else", "word")]}
        assert put(gateway, newer).json()["version"] == 2
        say(gateway, id, "signal", name="go", payload={"word": "old"})
        assert over(gateway, id)["version"] == 1
        assert recorded.asked() == ["the word is old"]
        versions = [ask(gateway.port, "GET", f"/v1/workflows/waits{query}").json()["version"]
                    for query in ("", "?version=1")]
        assert versions == [2, 1]


def test_a_gateway_that_leaves_hands_its_runs_on(tmp_path):
    go = threading.Event()
    with Recorded(lambda _prompt: go.wait(10) and None) as recorded:
        text = configuration.gateway(
            tmp_path / "data", recorded.provider(), server=['timeouts = { drain = "500ms" }']
        )
        with processes.start_gateway(tmp_path / "gateway", text) as gateway:
            id = started(gateway, two())
            wait_until("the first is asked", recorded.asked)
        go.set()
        with processes.start_gateway(tmp_path / "gateway", text) as gateway:
            ready(gateway)
            done = over(gateway, id)
            assert done["state"] == "done" and step(done, "a")["attempts"] == 1, "a drain costs no attempt"
            assert set(recorded.calls["first"]) == {f"{id}/a"}
