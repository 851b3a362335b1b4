"""`/v1/workflows` from outside: what is refused, whose runs are whose, lists, and changes as they come."""

from __future__ import annotations

import json

import pytest
from support import configuration, processes
from support.processes import create_key
from support.raw import Closed, Connection, ask
from support.waiting import wait_until
from support.workflows import (
    WAITS,
    Recorded,
    model,
    over,
    put,
    ready,
    say,
    start,
    started,
    step_is,
    two,
)

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
        assert response.status == 415 and "'application/yaml'" in response.error()["message"]
        # What curl says of whatever `-d` sends.
        form = {"content-type": "application/x-www-form-urlencoded"}
        named = json.dumps({"name": "w", "steps": [model("a", "x")]}).encode()
        assert connection.request("PUT", "/v1/workflows/w", named, form).status == 200
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
        ended = ask(gateway.admin_port, "POST", f"/admin/workflows/runs/{ids[4]}/cancel")
        assert ended.json()["state"] == "cancelled"
        metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
        assert 'tidegate_workflow_step_seconds_count{kind="model"} 8' in metrics


def test_a_store_that_is_away_is_said_to_be(tmp_path):
    text = configuration.gateway(tmp_path / "data", configuration.table("store", url=f"sqlite:{tmp_path}"))
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        for response in (put(gateway, two()), start(gateway, "two"), ask(gateway.port, "GET", "/v1/workflows")):
            assert response.status == 503 and response.header("retry-after"), response.body


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
