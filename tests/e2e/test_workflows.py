"""Workflows from outside: runs to their end, whatever is killed meanwhile; and what may be asked of them."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from support import configuration, processes, upstream, workflows
from support.processes import create_key, run
from support.raw import Closed, Connection, ask
from support.waiting import wait_until
from support.workflows import (
    Recorded,
    answer,
    get,
    model,
    over,
    prompts_of_thirty,
    put,
    ready,
    said,
    say,
    start,
    started,
    step,
    step_is,
    thirty,
)

WAITS = {
    "name": "waits",
    "steps": [
        {"id": "word", "kind": "wait", "signal": "go"},
        model("after", "the word is {{ steps.word.output.word }}", "word"),
    ],
}


def two(name: str = "two") -> dict:
    """A step, and one that needs it."""
    return {"name": name, "steps": [model("a", "first"), model("b", f"then {said('a')}", "a")]}


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
        each = {key: value for key, value in model("x", "item {{ item }} of {{ index }}").items()
                if key not in ("id", "needs")}
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
        assert item["input"] == "d" and item["output"]["choices"][0]["message"]["content"] == answer("item d of 3")


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


BAD = {
    "an unknown kind": ({"steps": [{"id": "a", "kind": "slep"}]}, "/steps/0/kind", "did you mean `sleep`"),
    "an unknown step": ({"steps": [model("a", "x", "b")]}, "/steps/0/needs/0", "unknown step `b`"),
    "a cycle": ({"steps": [model("a", "x", "b"), model("b", "x", "a")]}, "/steps/0/id", "a cycle"),
    "a bad expression": (
        {"steps": [model("a", "{{ 1 + }}")]},
        "/steps/0/request/messages/0/content",
        "",
    ),
    "no steps": ({"steps": []}, "/steps", "from 1 to"),
    "the name of another": ({"name": "other", "steps": [model("a", "x")]}, "/name", "/v1/workflows/other"),
}


@pytest.mark.parametrize(("definition", "pointer", "part"), BAD.values(), ids=BAD.keys())
def test_a_bad_definition_is_refused_with_the_place(gateway, definition, pointer, part, still_well):
    ready(gateway)
    response = put(gateway, {"name": "bad", **definition}, "bad")
    error = response.json()["error"]
    assert response.status == 400 and error["code"] == "invalid_definition"
    assert error["param"] == pointer and part in error["message"], error


def test_every_fault_of_a_definition_is_told_at_once(gateway):
    ready(gateway)
    text = "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'slep'\n[[steps]]\nid = 'a'\nkind = 'wait'\nsignl = 's'\n"
    error = put(gateway, text).json()["error"]
    told = {(fault["line"], fault["pointer"]) for fault in error["faults"]}
    assert {(4, "/steps/0/kind"), (6, "/steps/1/id"), (8, "/steps/1/signl")} <= told, error
    assert put(gateway, b"\xff".decode("latin-1")).status == 400
    with Connection(gateway.port) as connection:
        response = connection.request("PUT", "/v1/workflows/w", b"a: 1", {"content-type": "application/yaml"})
        assert response.status == 415
    assert put(gateway, "#" * (1 << 20) + "#").status == 413


def test_a_start_is_checked_and_may_be_repeated(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        ready(gateway)
        definition = {"name": "one", "input": ["q"], "steps": [model("a", "{{ input.q }}")]}
        assert start(gateway, "one", {"q": "x"}).status == 404
        assert put(gateway, definition).json()["version"] == 1
        assert put(gateway, definition).json()["version"] == 1, "the same is no new version"
        wrong = start(gateway, "one", {})
        assert wrong.status == 400 and wrong.json()["error"]["param"] == "/input/q"
        first = start(gateway, "one", {"q": "x"}, idempotency_key="k")
        again = start(gateway, "one", {"q": "x"}, idempotency_key="k")
        other = start(gateway, "one", {"q": "y"}, idempotency_key="k")
        assert (first.status, again.status, other.status) == (202, 200, 422)
        assert first.json()["id"] == again.json()["id"]
        over(gateway, first.json()["id"])
        assert recorded.asked() == ["x"]


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


def test_changes_are_told_until_the_end(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        id = started(gateway, WAITS)
        step_is(gateway, id, "word", "listening")
        with Connection(gateway.port) as connection:
            connection.send(f"GET /v1/workflows/runs/{id}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
            status, headers = connection.response_head()
            assert status == 200 and ("content-type", "text/event-stream") in headers
            chunks = connection.chunks()
            first = events(next(chunks))
            say(gateway, id, "signal", name="go", payload={"word": "now"})
            rest = events(b"".join(chunks))
        assert [name for name, _ in first] == ["run"]
        assert [step["state"] for step in first[0][1]["steps"]] == ["listening", "waiting"]
        assert rest[-1][0] == "run" and rest[-1][1]["state"] == "done"
        told = [(data["id"], data["state"]) for name, data in rest if name == "step"]
        assert ("word", "done") in told and told[-1] == ("after", "done")


def events(body: bytes) -> list[tuple[str, dict]]:
    """Names and data; comments are left out."""
    found = []
    for frame in filter(None, body.decode().split("\n\n")):
        lines = dict(line.split(": ", 1) for line in frame.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_runs_are_their_tenants_own_and_ask_as_their_starter_may(launch):
    ours, theirs = create_key(), create_key()
    with Recorded() as recorded:
        gateway = launch(
            configuration.key_row(ours, tenant="ours"),
            configuration.key_row(theirs, tenant="theirs", models=["recorded/other"]),
            recorded.provider(),
        )
        mine = {"authorization": f"Bearer {ours['key']}"}
        other = {"authorization": f"Bearer {theirs['key']}"}
        wait_until("the store is open", lambda: ask(gateway.port, "GET", "/v1/workflows", **mine).status == 200)
        assert put(gateway, two(), **mine).status == 200
        id = start(gateway, "two", **mine).json()["id"]
        assert over(gateway, id, **mine)["state"] == "done"
        assert ask(gateway.port, "GET", f"/v1/workflows/runs/{id}").status == 401
        for path in (f"/v1/workflows/runs/{id}", "/v1/workflows/two", f"/v1/workflows/runs/{id}/events"):
            assert ask(gateway.port, "GET", path, **other).status == 404, path
        assert ask(gateway.port, "GET", "/v1/workflows/runs", **other).json()["data"] == []
        assert put(gateway, two(), **other).status == 200
        refused = start(gateway, "two", **other).json()["id"]
        assert over(gateway, refused, **other)["state"] == "failed"
        assert len(recorded.asked()) == 2, "a model that its key may not use is not asked"


def test_runs_are_listed_from_the_newest_on(launch):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        ids = [started(gateway, two())]
        ids += [start(gateway, "two").json()["id"] for _ in range(3)]
        ids.append(started(gateway, WAITS))
        for id in ids[:4]:
            over(gateway, id)

        def listed(query: str = "", of: str = "") -> dict:
            return ask(gateway.port, "GET", f"/v1/workflows{of}/runs{query}").json()

        newest = ids[::-1]
        assert [run["id"] for run in listed()["data"]] == newest
        page = listed("?limit=2")
        assert [run["id"] for run in page["data"]] == newest[:2] and page["has_more"]
        assert [run["id"] for run in listed(f"?after={page['last_id']}")["data"]] == newest[2:]
        assert [run["id"] for run in listed("?state=running")["data"]] == ids[4:]
        assert len(listed("?workflow=two")["data"]) == len(listed(of="/two")["data"]) == 4
        assert ask(gateway.port, "GET", "/v1/workflows/runs?state=over").error()["param"] == "state"
        names = [each["name"] for each in ask(gateway.port, "GET", "/v1/workflows").json()["data"]]
        assert names == ["two", "waits"]
        shown = ask(gateway.admin_port, "GET", "/admin/workflows/runs?limit=2").json()
        assert [run["id"] for run in shown["data"]] == newest[:2] and "tenant" in shown["data"][0]
        assert ask(gateway.admin_port, "POST", f"/admin/workflows/runs/{ids[4]}/cancel").json()["state"] == "cancelled"
        metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
        assert 'tidegate_workflow_step_seconds_count{kind="model"} 8' in metrics


def test_a_store_that_is_away_is_said_to_be(tmp_path):
    text = configuration.gateway(tmp_path / "data", configuration.table("store", url=f"sqlite:{tmp_path}"))
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        for response in (put(gateway, two()), start(gateway, "two"), ask(gateway.port, "GET", "/v1/workflows")):
            assert response.status == 503 and response.header("retry-after"), response.body


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


def command(gateway, *arguments: object):
    return run("workflow", *map(str, arguments), "--url", f"http://127.0.0.1:{gateway.port}")


def test_a_run_is_followed_from_the_command_line(launch, tmp_path):
    with Recorded() as recorded:
        gateway = launch(configuration.UNGUARDED, recorded.provider())
        ready(gateway)
        file = tmp_path / "one.json"
        steps = [model("a", "{{ input.q }}"), model("b", f"then {said('a')}", "a")]
        file.write_text(json.dumps({"name": "one", "input": ["q"], "steps": steps, "output": {"b": said("b")}}))
        done = command(gateway, "run", file, "--input", '{"q": "x"}')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"b": answer(f"then {answer('x')}")}
        assert "b  done" in done.stderr
        listed = json.loads(command(gateway, "list", "--json").stdout)["data"]
        (id,) = (run["id"] for run in listed)
        shown = command(gateway, "show", id, "--ascii")
        assert shown.returncode == 0 and f"{id} is done" in shown.stdout
        assert ["*", "a", "model", "done"] in [line.split() for line in shown.stdout.splitlines()]
        assert id in command(gateway, "list").stdout
        wrong = command(gateway, "run", file, "--input", "{}")
        assert wrong.returncode == 1 and "`q` is missing" in wrong.stderr


def test_a_run_is_steered_from_the_command_line(launch, tmp_path):
    with Recorded() as recorded:
        gateway = launch(recorded.provider())
        ready(gateway)
        file = tmp_path / "waits.json"
        file.write_text(json.dumps(WAITS))
        id = command(gateway, "run", file, "--detach").stdout.strip()
        assert command(gateway, "pause", id).stdout == f"{id} is paused\n"
        assert command(gateway, "resume", id).stdout == f"{id} is running\n"
        assert command(gateway, "signal", id, "go", "--payload", '{"word": "now"}').returncode == 0
        assert over(gateway, id)["state"] == "done"
        assert command(gateway, "retry", id, "after").stdout == f"{id} is running\n"
        assert over(gateway, id)["state"] == "done"
        refused = command(gateway, "cancel", id)
        assert refused.returncode == 1 and "done" in refused.stderr
        assert command(gateway, "show", "run-of-nobody").returncode == 1


def test_definitions_are_checked_without_a_gateway(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.toml"
    good.write_text(json.dumps(thirty()))
    bad.write_text("name = 'w'\nned = 1\n[[steps]]\nid = 'a'\nkind = 'slep'\n")
    assert run("workflow", "check", good).returncode == 0
    refused = run("workflow", "check", good, bad)
    assert refused.returncode == 2
    for part in ("bad.toml:5:8", "did you mean `sleep`?", "unknown key `ned`", "2 faults"):
        assert part in refused.stderr, refused.stderr
    report = json.loads(run("workflow", "check", "--json", good, bad).stdout)
    assert [file["ok"] for file in report["files"]] == [True, False] and not report["ok"]
    shown = run("workflow", "show", "--ascii", good)
    assert shown.returncode == 0 and "sum4" in shown.stdout and shown.stdout.isascii()
    assert run("workflow", "show", bad).returncode == 2
    assert run("workflow", "check", tmp_path / "none.toml").returncode == 2


def test_a_stream_of_nobody_and_wrong_methods_are_refused(gateway, still_well):
    ready(gateway)
    for method, path, status in [
        ("GET", "/v1/workflows/runs/run-x", 404),
        ("GET", "/v1/workflows/runs/run-x/events", 404),
        ("POST", "/v1/workflows/runs/run-x/cancel", 404),
        ("POST", "/v1/workflows/runs/run-x/dance", 404),
        ("DELETE", "/v1/workflows/runs/run-x", 405),
        ("POST", "/v1/workflows", 405),
        ("POST", "/v1/workflows/w", 405),
        ("PUT", "/v1/workflows/runs", 405),
        ("GET", "/v1/workflows/w?version=x", 400),
    ]:
        try:
            response = ask(gateway.port, method, path)
        except Closed:
            pytest.fail(f"{method} {path} is not answered")
        assert response.status == status, f"{method} {path}: {response.body!r}"
