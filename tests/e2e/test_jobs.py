"""`/v1/jobs`: what is acknowledged is done, once, whatever callers ask.

`test_kills.py` kills gateways meanwhile.
"""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from support import configuration, jobs, processes, workflows
from support.durable.grounds import locked
from support.jobs import Application, add, added, get, in_state, listed, model_job, over, ready, webhooks
from support.prompts import directive
from support.raw import Connection, ask, chat, complete, events
from support.upstream import Upstream, completion, reply
from support.waiting import wait_until

SLOW = directive(tokens=50, between_tokens="100ms")


@pytest.fixture
def gateway(launch):
    """A gateway with webhooks, a queue of its own, and a mind for nothing but jobs."""
    daemon = launch(webhooks(), configuration.table("jobs.queues.reports", rate_per_second=1000.0))
    ready(daemon)
    return daemon


# What a caller asks for


def test_a_job_is_acknowledged_done_and_kept(gateway):
    job = added(gateway, model_job(metadata={"for": "you"}, queue="reports", priority="high"))
    assert (job["object"], job["kind"], job["state"], job["attempts"]) == ("job", "model", "ready", 0)
    assert (job["queue"], job["priority"], job["metadata"]) == ("reports", "high", {"for": "you"})
    done = over(gateway, job["id"])
    assert (done["state"], done["attempts"], done["error"], done["errors"]) == ("done", 1, None, [])
    result = done["result"]
    assert result["status_code"] == 200 and result["target"] == "sim/instant"
    assert result["body"]["choices"][0]["message"]["content"]
    assert done["created_at"] <= done["started_at"] <= done["ended_at"]


def test_embeddings_may_be_asked_for_and_the_head_holds(gateway):
    job = {"path": "/v1/embeddings", "body": {"model": "sim/embed", "input": "hello"}}
    first = over(gateway, added(gateway, job)["id"])
    assert first["result"]["cache"] == "miss"
    assert over(gateway, added(gateway, job)["id"])["result"]["cache"] == "hit; tier=memory"
    fresh = over(gateway, added(gateway, job, cache_control="no-store")["id"])
    assert fresh["result"]["cache"] == "bypass; reason=no-store"


FAULTS = [
    ({}, "path"),
    ({"path": "/v1/models"}, "path"),
    ({"path": jobs.PATH}, "body"),
    ({"path": jobs.PATH, "body": []}, "body"),
    ({"path": jobs.PATH, "body": {"model": "sim/fast"}}, "body.messages"),
    (model_job(stranger=1), "stranger"),
    (model_job(kind="batch.line"), "kind"),
    (model_job(queue="nowhere"), "queue"),
    (model_job(priority="urgent"), "priority"),
    (model_job(max_attempts=0), "max_attempts"),
    (model_job(max_attempts=101), "max_attempts"),
    (model_job(delay="soon"), "delay"),
    (model_job(delay=-1), "delay"),
    (model_job(run_at="tomorrow"), "run_at"),
    (model_job(run_at=1, delay=1), "delay"),
    (model_job(deadline=1), "deadline"),
    (model_job(unique=""), "unique"),
    (model_job(metadata=[]), "metadata"),
    (model_job(metadata={"x": "y" * 20_000}), "metadata"),
    (model_job(webhook="http://app.example"), "webhook"),
    (model_job(webhook={}), "webhook.url"),
    (model_job(webhook={"url": "ftp://app.example"}), "webhook.url"),
    (model_job(webhook={"url": "http://u:p@app.example"}), "webhook.url"),
    ({"kind": "webhook", "body": {}}, "url"),
    ({"kind": "webhook", "url": "http://app.example", "path": "/", "body": {}}, "path"),
    ({"path": jobs.PATH, "body": {**chat("sim/fast"), "stream": True}}, "body.stream"),
]


def test_what_is_wrong_is_said_before_it_is_taken(gateway):
    for job, param in FAULTS:
        response = add(gateway, job)
        assert response.status == 400, (job, response.body)
        assert response.error()["param"] == param, job
    with Connection(gateway.port) as connection:
        assert connection.post(b"{", "/v1/jobs").error()["code"] == "invalid_json"
    schedule = {"cron": "0 7 * * *", "job": model_job("nobody/nothing")}
    for unknown, param in (
        (add(gateway, model_job("nobody/nothing")), "body.model"),
        (ask(gateway.port, "PUT", "/v1/schedules/s", json.dumps(schedule).encode()), "job.body.model"),
    ):
        assert (unknown.status, unknown.error()["code"]) == (404, "model_not_found"), unknown.body
        assert unknown.error()["param"] == param
    assert add(gateway, model_job(content="x" * (1 << 20))).status == 413
    assert listed(gateway)["data"] == []


def test_methods_and_ids_that_are_not_there(gateway):
    for method, path, status in [
        ("PUT", "/v1/jobs", 405),
        ("POST", "/v1/jobs/job_0000000000000000", 405),
        ("GET", "/v1/jobs/job_0000000000000000", 404),
        ("GET", "/v1/jobs/17", 404),
        ("DELETE", "/v1/jobs/job_5692161d100b05e5", 404),
        ("GET", "/v1/jobs/job_5692161d100b05e5/events", 404),
        ("POST", "/v1/jobs/job_5692161d100b05e5/retry", 404),
        ("GET", "/v1/jobs/job_5692161d100b05e5/other", 404),
        ("GET", "/v1/jobs?state=new", 400),
        ("GET", "/v1/jobs?limit=0", 400),
        ("GET", "/v1/jobs?after=17", 400),
    ]:
        response = ask(gateway.port, method, path)
        assert response.status == status, (method, path, response.body)
        assert response.error() and response.header("x-request-id")
    assert ask(gateway.port, "GET", "/jobs").status == 200, "without /v1 too"


def test_jobs_are_listed_from_the_newest_on_page_by_page(gateway):
    ids = [added(gateway, model_job(delay="1h", queue="reports"))["id"] for _ in range(25)]
    done = added(gateway, model_job())["id"]
    over(gateway, done)
    page = listed(gateway)
    assert [job["id"] for job in page["data"]] == [done, *ids[:5:-1]]
    assert page["has_more"] and page["last_id"] == ids[6]
    rest = listed(gateway, f"?after={page['last_id']}")
    assert [job["id"] for job in rest["data"]] == ids[5::-1] and not rest["has_more"]
    assert [job["id"] for job in listed(gateway, "?state=done")["data"]] == [done]
    assert len(listed(gateway, "?queue=reports&limit=100")["data"]) == 25
    assert listed(gateway, "?kind=webhook")["data"] == [] == listed(gateway, "?kind=strange")["data"]
    assert "result" not in page["data"][0], "results are fetched one by one"


def test_one_tenant_never_sees_anothers(launch):
    keys = [processes.create_key() for _ in range(2)]
    rows = [configuration.key_row(key, tenant=name) for key, name in zip(keys, ["one", "two"], strict=True)]
    gateway = launch(*rows)
    one, two = ({"authorization": f"Bearer {key['key']}"} for key in keys)
    wait_until("the store is open", lambda: ask(gateway.port, "GET", "/v1/jobs", **one).status == 200)
    assert add(gateway, model_job()).status == 401
    id = added(gateway, model_job(), **one)["id"]
    assert over(gateway, id, **one)["state"] == "done"
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/events"), ("POST", "/retry")]:
        assert ask(gateway.port, method, f"/v1/jobs/{id}{path}", **two).status == 404, (method, path)
    assert listed(gateway, **two)["data"] == []
    assert len(listed(gateway, **one)["data"]) == 1


# Once


def test_an_idempotency_key_makes_a_repetition_harmless(gateway):
    job, key = model_job("sim/fast", SLOW), {"idempotency_key": "one"}
    first = added(gateway, job, **key)
    in_state(gateway, first["id"], "running")
    again = add(gateway, job, **key)
    assert (again.status, again.error()["code"]) == (409, "job_is_running")
    assert again.header("retry-after") and again.header("location").endswith(first["id"])
    other = add(gateway, model_job(), **key)
    assert (other.status, other.error()["code"]) == (422, "idempotency_key_reused")
    ask(gateway.port, "DELETE", f"/v1/jobs/{first['id']}")
    over(gateway, first["id"])
    last = add(gateway, job, **key)
    assert (last.status, last.json()["id"]) == (200, first["id"])
    waiting = add(gateway, model_job(delay=60), idempotency_key="two")
    assert add(gateway, model_job(delay=60), idempotency_key="two").json()["id"] == waiting.json()["id"]
    assert add(gateway, job, idempotency_key="x" * 256).error()["param"] == "Idempotency-Key"


def test_a_unique_job_is_there_once_until_it_is_over(gateway):
    first = added(gateway, model_job(delay=60, unique="report"))["id"]
    second = add(gateway, model_job(content="other", unique="report"))
    assert (second.status, second.json()["id"]) == (200, first)
    ask(gateway.port, "DELETE", f"/v1/jobs/{first}")
    assert added(gateway, model_job(unique="report"))["id"] != first


# Later


def test_a_delay_a_moment_and_a_deadline_are_kept(gateway):
    soon = added(gateway, model_job(delay="300ms"))
    assert soon["state"] == "scheduled"
    at = added(gateway, model_job(run_at=time.time() + 0.3))
    assert at["state"] == "scheduled"
    for job in (soon, at):
        assert over(gateway, job["id"])["state"] == "done"
    late = added(gateway, model_job("sim/fast", SLOW, deadline=time.time() + 1))
    dead = over(gateway, late["id"])
    assert (dead["state"], dead["error"]["type"]) == ("dead", "deadline")


def test_a_schedule_adds_a_job_each_time(gateway):
    def write(name: str, **members: object):
        with Connection(gateway.port) as connection:
            body = json.dumps({"cron": "* * * * * *", "job": model_job(), **members}).encode()
            return connection.request("PUT", f"/v1/schedules/{name}", body)

    written = write("often", time_zone="Europe/Paris")
    assert written.status == 200, written.body
    assert (written.json()["name"], written.json()["time_zone"], written.json()["paused"]) == (
        "often",
        "Europe/Paris",
        False,
    )
    wait_until("two were added", lambda: len(listed(gateway, "?state=done")["data"]) >= 2)
    shown = ask(gateway.port, "GET", "/v1/schedules/often").json()
    assert shown["last_job"] in {job["id"] for job in listed(gateway, "?limit=100")["data"]}
    assert write("often", paused=True).json()["paused"]
    assert ask(gateway.port, "GET", "/v1/schedules/often").json()["next_at"] is None
    assert [each["name"] for each in ask(gateway.port, "GET", "/v1/schedules").json()["data"]] == ["often"]
    for members, param in [
        ({"cron": "never"}, "cron"),
        ({"time_zone": "Atlantis"}, "time_zone"),
        ({"cron": None}, "cron"),
        ({"job": model_job(delay=1)}, "job.delay"),
        ({"job": model_job(queue="nowhere")}, "job.queue"),
        ({"paused": 1}, "paused"),
    ]:
        response = write("bad", **members)
        assert (response.status, response.error()["param"]) == (400, param), response.body
    assert ask(gateway.port, "DELETE", "/v1/schedules/often").status == 200
    assert ask(gateway.port, "GET", "/v1/schedules/often").status == 404
    assert ask(gateway.port, "POST", "/v1/schedules").status == 405


# As it goes


def test_events_tell_a_job_from_its_state_to_its_end(gateway):
    id = added(gateway, model_job("sim/fast", delay="200ms"))["id"]
    response = ask(gateway.port, "GET", f"/v1/jobs/{id}/events")
    assert response.header("content-type") == "text/event-stream"
    assert response.body.startswith(b"event: state\ndata: {")
    data = [line[6:] for line in response.body.decode().splitlines() if line.startswith("data: ")]
    states = [json.loads(each)["state"] for each in data]
    assert states[0] == "scheduled" and states[-1] == "done"
    assert states == sorted(states, key=["scheduled", "ready", "running", "done"].index)
    again = ask(gateway.port, "GET", f"/v1/jobs/{id}/events")
    assert again.body.count(b"event: ") == 1, "what is over is told once"


def test_a_job_is_cancelled_before_and_while_it_runs(gateway):
    waiting = added(gateway, model_job(delay=60))["id"]
    response = ask(gateway.port, "DELETE", f"/v1/jobs/{waiting}")
    assert (response.status, response.json()["state"]) == (200, "cancelled")
    assert ask(gateway.port, "DELETE", f"/v1/jobs/{waiting}").status == 200, "once more does no harm"
    running = added(gateway, model_job("sim/fast", SLOW))["id"]
    in_state(gateway, running, "running")
    response = ask(gateway.port, "DELETE", f"/v1/jobs/{running}")
    assert response.status == 202, response.body
    assert over(gateway, running)["state"] == "cancelled"
    done = added(gateway, model_job())["id"]
    over(gateway, done)
    response = ask(gateway.port, "DELETE", f"/v1/jobs/{done}")
    assert (response.status, response.error()["code"]) == (409, "job_is_over")
    anew = ask(gateway.port, "POST", f"/v1/jobs/{done}/retry")
    assert (anew.status, anew.error()["code"]) == (409, "job_is_not_dead")


def test_failures_are_tried_again_kept_and_replayed(launch):
    answers = iter([reply("500 Broken", b'{"error":{"message":"no"}}')] * 3)

    def answer(connection, _request):
        connection.sendall(next(answers, reply("200 OK", completion("well"))))

    with Upstream(answer) as provider:
        gateway = launch(configuration.UNGUARDED, configuration.provider("p", provider.port))
        ready(gateway)
        id = added(gateway, model_job("p/m", max_attempts=1))["id"]
        dead = over(gateway, id)
        assert (dead["state"], dead["error"]["type"]) == ("dead", "provider")
        assert [error["attempt"] for error in dead["errors"]] == [1]
        calls = len(provider.requests)
        retried = ask(gateway.port, "POST", f"/v1/jobs/{id}/retry")
        assert retried.status == 202 and retried.json()["replay_of"] == id
        wait_until("it is asked for anew", lambda: len(provider.requests) > calls)
        ids = [request.header("x-request-id") for request in provider.requests]
        assert set(ids[:calls]) == {id} and ids[-1] == retried.json()["id"]


def test_what_is_done_is_told_signed(gateway):
    with Application() as application:
        id = added(gateway, model_job(webhook={"url": application.url}, metadata={"n": 1}))["id"]
        wait_until("it is told", lambda: application.told)
        event = application.told[0].event
        assert (event["type"], event["data"]["id"], event["data"]["metadata"]) == ("job.done", id, {"n": 1})
        own = added(gateway, {"kind": "webhook", "url": application.url, "body": {"hello": [1, 2.0]}})
        assert over(gateway, own["id"])["result"] == {"status_code": 200}
        assert (application.told[1].id, application.told[1].event) == (own["id"], {"hello": [1, 2.0]})


def test_a_job_that_never_began_is_told_of_too(launch):
    # One at once, and the next after five seconds: by then its deadline has passed.
    gateway = launch(webhooks(), configuration.table("jobs.queues.seldom", rate_per_second=0.2, burst=1.0))
    ready(gateway)
    with Application() as application:
        hook = {"webhook": {"url": application.url}}
        cancelled = added(gateway, model_job(delay=60, **hook))["id"]
        assert ask(gateway.port, "DELETE", f"/v1/jobs/{cancelled}").status == 200
        wait_until("it is told", lambda: application.told)
        assert over(gateway, added(gateway, model_job(queue="seldom"))["id"])["state"] == "done"
        late = added(gateway, model_job(queue="seldom", deadline=time.time() + 0.5, **hook))["id"]
        assert over(gateway, late)["state"] == "dead"
        wait_until("both are told", lambda: len(application.told) == 2)
        events = {each.event["data"]["id"]: each.event for each in application.told}
        assert events[cancelled]["type"] == "job.cancelled" and events[cancelled]["data"]["error"] is None
        assert events[late]["type"] == "job.dead" and events[late]["data"]["error"]["type"] == "deadline"
        assert len({each.id for each in application.told}) == 2


def test_a_backlog_has_a_bound_for_each_tenant(launch):
    keys = [processes.create_key(), processes.create_key()]
    rows = [configuration.key_row(key, tenant=f"tenant-{place}") for place, key in enumerate(keys)]
    gateway = launch(*rows, configuration.table("jobs", backlog_max=3))
    first, other = ({"authorization": f"Bearer {key['key']}"} for key in keys)
    wait_until("the store is open", lambda: ask(gateway.port, "GET", "/v1/jobs", **first).status == 200)
    ids = [added(gateway, model_job(delay=60), **first)["id"] for _ in range(3)]
    refused = add(gateway, model_job(), **first)
    assert (refused.status, refused.error()["code"]) == (429, "backlog_full"), refused.body
    assert "jobs.backlog_max" in refused.error()["message"] and int(refused.header("retry-after")) >= 1
    run = workflows.start(gateway, "none", **first)
    assert (run.status, run.error()["code"]) == (429, "backlog_full")
    assert add(gateway, model_job(), **other).status == 202, "another tenant has its own"
    assert ask(gateway.port, "DELETE", f"/v1/jobs/{ids[0]}", **first).status == 200
    wait_until("there is room again", lambda: add(gateway, model_job(), **first).status == 202)


def test_a_full_backlog_breaks_no_promise_to_who_comes_again_with_the_same_key(launch):
    gateway = launch(configuration.table("jobs", backlog_max=3))
    ready(gateway)
    held = model_job(delay=60)
    nap = {"name": "nap", "steps": [{"id": "nap", "kind": "sleep", "for": "60s"}]}
    assert workflows.put(gateway, nap).status == 200
    run, first = workflows.start(gateway, "nap", idempotency_key="r"), add(gateway, held, idempotency_key="a")
    assert (run.status, first.status) == (202, 202)
    # What is there already takes no room of what may wait.
    for _ in range(5):
        assert add(gateway, held, idempotency_key="a").json()["id"] == first.json()["id"]
        assert workflows.start(gateway, "nap", idempotency_key="r").json()["id"] == run.json()["id"]
    assert add(gateway, held).status == 202
    assert add(gateway, held).error()["code"] == "backlog_full"
    again = add(gateway, held, idempotency_key="a")
    assert (again.status, again.json()["id"]) == (200, first.json()["id"]), again.body
    again = workflows.start(gateway, "nap", idempotency_key="r")
    assert (again.status, again.json()["id"]) == (200, run.json()["id"]), again.body
    for reused in (
        add(gateway, model_job(delay=61), idempotency_key="a"),
        workflows.start(gateway, "nap", {"other": 1}, idempotency_key="r"),
    ):
        assert (reused.status, reused.error()["code"]) == (422, "idempotency_key_reused"), reused.body
    assert add(gateway, held, idempotency_key="b").status == 429, "a key of nothing is no way round"
    assert workflows.start(gateway, "nap", idempotency_key="s").status == 429


def test_no_webhook_goes_where_no_caller_may_send_one(launch):
    gateway = launch(webhooks(private=False))
    ready(gateway)
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.1.2.3:8080"]:
        response = add(gateway, model_job(webhook={"url": f"http://{host}/"}))
        assert (response.status, response.error()["param"]) == (400, "webhook.url"), host
    silent = launch()
    ready(silent)
    assert add(silent, model_job(webhook={"url": "http://app.example"})).error()["code"] == "webhooks_off"


# Whatever is killed, away or leaving


def test_a_drain_hands_back_what_is_under_way_and_the_next_does_it(launch):
    quick = 'timeouts = { drain = "500ms" }'
    gateway = launch(server=(quick,))
    ready(gateway)
    slow = [added(gateway, model_job("sim/fast", SLOW))["id"] for _ in range(3)]
    for id in slow:
        in_state(gateway, id, "running")
    waiting = added(gateway, model_job(delay=1))["id"]
    gateway.stop()
    folder = gateway.folder.parent / "next"
    text = processes.configured(gateway)
    with processes.start_gateway(folder, text) as after:
        ready(after)
        for id in [*slow, waiting]:
            ended = over(after, id)
            assert (ended["state"], ended["attempts"], ended["errors"]) == ("done", 1, [])


def test_while_the_database_is_away_callers_are_told_and_nobody_else_notices(launch):
    gateway = launch(configuration.table("store", wait="300ms"))
    ready(gateway)
    before = [added(gateway, model_job(delay="100ms"))["id"] for _ in range(5)]
    with locked(jobs.database(gateway)):
        for _ in range(3):
            response = add(gateway, model_job(), idempotency_key="once")
            assert (response.status, response.error()["code"]) == (503, "store_away"), response.body
            assert int(response.header("retry-after")) >= 1
            assert complete(gateway.port, chat("sim/instant")).status == 200
        assert ask(gateway.port, "GET", "/health/ready").status == 200

    def taken():
        response = add(gateway, model_job(), idempotency_key="once")
        return response if response.status in (200, 202) else None

    response = wait_until("it is back", taken)
    for id in [*before, response.json()["id"]]:
        assert over(gateway, id)["state"] == "done"
    assert len(listed(gateway, "?limit=100")["data"]) == 6, "nothing was added twice"


def test_a_gateway_starts_without_its_database_and_finds_it_later(launch, tmp_path):
    place = tmp_path / "blocked"
    place.write_text("a file where a folder should be")
    gateway = launch(configuration.table("store", url=f"sqlite:{place}/tidegate.db"))
    assert complete(gateway.port, chat("sim/instant")).status == 200
    response = add(gateway, model_job())
    assert (response.status, response.error()["code"]) == (503, "store_away")
    assert b"tidegate_store_up 0" in ask(gateway.admin_port, "GET", "/metrics").body
    said = ask(gateway.port, "GET", "/health/ready")
    assert (said.status, [row["dependency"] for row in said.json()["unwell"]]) == (200, ["store"])
    place.unlink()
    ready(gateway)
    assert over(gateway, added(gateway, model_job())["id"])["state"] == "done"
    assert ask(gateway.port, "GET", "/health/ready").json() == {"status": "ready"}
    assert gateway.log().count("jobs wait until it can be opened") == 1


def test_a_caller_who_leaves_a_stream_of_events_ends_it(gateway):
    id = added(gateway, model_job(delay=60))["id"]
    with Connection(gateway.port) as connection:
        connection.send(f"GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: 127.0.0.1:{gateway.port}\r\n\r\n".encode())
        assert connection.response_head()[0] == 200
        next(connection.chunks())
        # A stream that somebody reads does not hold up a gateway that leaves.
        gateway.stop()


# Operators


def test_operators_list_inspect_cancel_retry_and_purge(gateway):
    refused = directive(status=400)
    dead = added(gateway, model_job(content=refused))["id"]
    assert over(gateway, dead)["state"] == "dead"
    waiting = added(gateway, model_job(delay=60))["id"]
    admin = ["--admin", f"http://127.0.0.1:{gateway.admin_port}"]

    def run(*arguments: str):
        return processes.run("jobs", *arguments, *admin)

    table = run("list")
    assert table.returncode == 0, table.stderr
    assert dead in table.stdout and waiting in table.stdout and "scheduled" in table.stdout
    found = json.loads(run("list", "--state", "dead", "--json").stdout)["jobs"]["data"]
    assert [job["id"] for job in found] == [dead]
    shown = json.loads(run("show", dead).stdout)
    assert shown["payload"]["body"]["messages"][0]["content"] == refused
    assert shown["errors"][0]["type"] == "request"
    retried = run("retry", dead)
    assert retried.stdout.startswith(f"{dead} is done anew as job_"), retried.stderr
    assert run("cancel", waiting).stdout == f"{waiting} cancelled\n"
    assert run("cancel", dead).stdout == f"{dead} is over already: dead\n"
    wait_until("both are dead", lambda: len(listed(gateway, "?state=dead")["data"]) == 2)
    assert run("purge", "--state", "dead", "--older-than", "1h").stdout == "0 jobs forgotten\n"
    assert run("purge", "--state", "dead").stdout == "2 jobs forgotten\n"
    assert listed(gateway, "?state=dead")["data"] == []
    refused = run("retry", dead)
    assert refused.returncode == 1 and "no such job" in refused.stderr


def test_metrics_tell_how_the_work_stands(gateway):
    over(gateway, added(gateway, model_job())["id"])
    added(gateway, model_job(delay=60))

    def metrics() -> str:
        return ask(gateway.admin_port, "GET", "/metrics").body.decode()

    wait_until("it is counted", lambda: 'tidegate_jobs{queue="default",state="scheduled"} 1' in metrics())
    text = metrics()
    assert "tidegate_store_up 1" in text
    assert 'tidegate_jobs_attempts_total{outcome="done"} 1' in text
    assert "tidegate_jobs_run_seconds_count 1" in text


def test_the_databases_password_is_never_shown(tmp_path):
    url = "postgres://tidegate:canary-database-secret@127.0.0.1:1/none"
    shown = processes.run("config", "print", environment={"DATABASE_URL": url})
    assert shown.returncode == 0 and "canary-database-secret" not in shown.stdout
    assert "DATABASE_URL" in shown.stdout
    for bad in ["mysql://x", "sqlite:", "nothing"]:
        checked = processes.run("check", environment={"DATABASE_URL": bad}, cwd=tmp_path)
        assert checked.returncode == 2 and "DATABASE_URL" in checked.stderr, checked.stderr


def test_interactive_callers_do_not_stand_behind_jobs(launch):
    """A hundred slow jobs are under way, and who asks now is answered now."""
    gateway = launch(webhooks())
    ready(gateway)
    slow = [added(gateway, model_job("sim/fast", SLOW))["id"] for _ in range(30)]
    wait_until("many run", lambda: len(listed(gateway, "?state=running&limit=100")["data"]) >= 8)
    answered: list[int] = []
    threads = [
        threading.Thread(target=lambda: answered.append(complete(gateway.port, chat("sim/instant")).status))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [200] * 20
    for id in slow:
        ask(gateway.port, "DELETE", f"/v1/jobs/{id}")
    wait_until("none is left", lambda: all(get(gateway, id)["state"] in jobs.OVER for id in slow))
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0
