"""The dashboard from outside: its files, its door, and what its pages ask. What a viewer sees is tried in tests/dashboard."""

from __future__ import annotations

import json
import re
import signal

import pytest
from support import configuration
from support.processes import Daemon, configured, create_key, write
from support.prompts import directive
from support.raw import Connection, Response, ask, chat, complete, events
from support.secrets import ADMIN_KEY
from support.waiting import wait_until

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
OWN = {"x-tidegate-dashboard": "1", "sec-fetch-site": "same-origin"}


@pytest.fixture
def open_one(launch, mock) -> Daemon:
    """Without an admin key, as on a developer's machine."""
    return launch(configuration.mock_provider(mock.port), configuration.alias("smart", ("mock/fast", 3), ("mock/instant", 1)))


@pytest.fixture
def locked(launch, mock) -> Daemon:
    """With an admin key."""
    return launch(configuration.mock_provider(mock.port), TIDEGATE_ADMIN_KEY=ADMIN_KEY)


def post(gateway: Daemon, path: str, body: object = None, **headers: str) -> Response:
    data = b"" if body is None else json.dumps(body).encode()
    return ask(gateway.admin_port, "POST", path, data, **{"content-type": "application/json", **headers})


def log_in(gateway: Daemon, key: str = ADMIN_KEY, **headers: str) -> Response:
    return post(gateway, "/admin/session", {"key": key}, **{**OWN, **headers})


def cookie(response: Response) -> str:
    return response.header("set-cookie").split(";")[0]


def test_browsers_get_the_page_and_programs_an_index(open_one):
    page = ask(open_one.admin_port, "GET", "/", accept=HTML)
    assert page.status == 200 and page.body.startswith(b"<!doctype html>")
    index = ask(open_one.admin_port, "GET", "/", accept="application/json").json()
    assert index["targets"] == "/admin/targets"
    for name, path in index.items():
        if name not in ("name", "live"):
            assert ask(open_one.admin_port, "GET", path).status in (200, 405), path


def test_the_page_allows_nothing_but_its_own_files(locked):
    page = ask(locked.admin_port, "GET", "/", accept=HTML)
    policy = page.header("content-security-policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.header("x-content-type-options") == "nosniff"
    assert page.header("referrer-policy") == "no-referrer"
    assert not re.search(rb"<script(?![^>]*\ssrc=)|style=|https?://|\son\w+=", page.body)


def test_files_are_kept_for_good_and_the_page_is_asked_for_anew(open_one):
    page = ask(open_one.admin_port, "GET", "/", accept=HTML)
    assert page.header("cache-control") == "no-cache"
    assert ask(open_one.admin_port, "GET", "/", accept=HTML, **{"if-none-match": page.header("etag")}).status == 304
    [path] = re.findall(r'"(/assets/\w+/app\.js)"', page.body.decode())
    file = ask(open_one.admin_port, "GET", path)
    assert file.status == 200 and file.header("content-type") == "text/javascript; charset=utf-8"
    assert "immutable" in file.header("cache-control") and file.header("x-content-type-options") == "nosniff"
    assert ask(open_one.admin_port, "GET", path, **{"if-none-match": file.header("etag")}).status == 304
    packed = ask(open_one.admin_port, "GET", path.replace("app.js", "vendor/uplot.js"), **{"accept-encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip" and len(packed.body) < 30_000
    for other in (re.sub(r"assets/\w+", "assets/0123456789abcdef", path), path.replace("app.js", "../app.js"), "/assets/x"):
        assert ask(open_one.admin_port, "GET", other).status == 404, other


def test_a_page_of_another_host_sees_nothing(open_one):
    for path in ("/", "/admin/session", "/admin/targets"):
        assert ask(open_one.admin_port, "GET", path, host="evil.example").status == 403, path


def test_a_log_in_opens_the_plane_to_this_browser_alone(locked):
    assert ask(locked.admin_port, "GET", "/admin/session").json() == {"needs_key": True, "passes": False, "version": "0.1.0"}
    assert log_in(locked, "wrong").status == 401
    logged_in = log_in(locked)
    assert logged_in.status == 200
    said = logged_in.header("set-cookie")
    assert "HttpOnly" in said and "SameSite=Strict" in said and "Path=/" in said and ADMIN_KEY not in said
    assert f"tidegate_session_{locked.admin_port}=" in said
    jar = cookie(logged_in)
    assert ask(locked.admin_port, "GET", "/admin/targets", cookie=jar).status == 200
    assert ask(locked.admin_port, "GET", "/admin/session", cookie=jar).json()["passes"]
    assert ask(locked.admin_port, "GET", "/admin/targets", cookie=jar[:-1] + "x").status == 401
    # A wrong bearer token is not made good by a cookie, and a right one needs none.
    assert ask(locked.admin_port, "GET", "/admin/targets", cookie=jar, authorization="Bearer x").status == 401
    assert ask(locked.admin_port, "GET", "/admin/targets", authorization=f"Bearer {ADMIN_KEY}").status == 200
    assert ask(locked.admin_port, "DELETE", "/admin/session", cookie=jar, **OWN).status == 200
    assert ask(locked.admin_port, "GET", "/admin/targets", cookie=jar).status == 401


def test_a_cookie_changes_something_from_our_own_pages_only(locked):
    jar = cookie(log_in(locked))
    own_origin = f"http://127.0.0.1:{locked.admin_port}"
    for headers, status in [
        (OWN, 200),
        ({"x-tidegate-dashboard": "1", "origin": own_origin}, 200),
        ({}, 403),
        ({"x-tidegate-dashboard": "1"}, 403),
        ({"sec-fetch-site": "same-origin"}, 403),
        ({"x-tidegate-dashboard": "1", "sec-fetch-site": "same-site"}, 403),
        ({"x-tidegate-dashboard": "1", "sec-fetch-site": "cross-site"}, 403),
        ({"x-tidegate-dashboard": "1", "origin": "http://localhost:1"}, 403),
        ({"x-tidegate-dashboard": "1", "origin": "null"}, 403),
    ]:
        assert post(locked, "/admin/cache/clear-expired", cookie=jar, **headers).status == status, headers
    # Nor may another program's page on this machine read with it.
    assert ask(locked.admin_port, "GET", "/admin/targets", cookie=jar, **{"sec-fetch-site": "same-site"}).status == 403
    # A log-in is not for others' pages to begin either.
    assert log_in(locked, **{"sec-fetch-site": "cross-site"}).status == 403


def test_without_a_key_programs_pass_and_others_pages_do_not(open_one):
    assert ask(open_one.admin_port, "GET", "/admin/session").json()["passes"]
    assert post(open_one, "/admin/cache/clear-expired").status == 200
    assert post(open_one, "/admin/cache/clear-expired", **OWN).status == 200
    assert post(open_one, "/admin/cache/clear-expired", **{"sec-fetch-site": "same-site"}).status == 403
    assert post(open_one, "/admin/cache/clear-expired", origin="http://localhost:1").status == 403


def test_wrong_keys_are_slowed_down_and_the_bearer_s_is_not(locked):
    answers = [log_in(locked, f"wrong {number}") for number in range(12)]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].header("retry-after")) >= 1
    assert log_in(locked).status == 429
    assert ask(locked.admin_port, "GET", "/admin/targets", authorization=f"Bearer {ADMIN_KEY}").status == 200


def test_live_figures_are_pushed_and_their_listeners_bounded(open_one):
    for _ in range(5):
        assert complete(open_one.port, chat("mock/instant")).status == 200
    with Connection(open_one.admin_port) as connection:
        connection.send(b"GET /admin/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        status, headers = connection.response_head()
        assert status == 200 and ("content-type", "text/event-stream") in headers
        frames = b""
        samples = []
        for chunk in connection.chunks():
            frames += chunk
            samples = [json.loads(data) for data in re.findall(rb"event: now\ndata: (.+)\n", frames)]
            if samples and samples[-1]["requests_per_second"] > 0:
                break
        assert frames.startswith(b"event: past\ndata: [")
        assert samples[-1]["in_flight"] == 0 and samples[-1]["p95_ms"] > 0

    listeners = [Connection(open_one.admin_port) for _ in range(70)]
    try:
        for listener in listeners:
            listener.send(b"GET /admin/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        told = [listener.response_head()[0] for listener in listeners]
        # Connections are taken in no order, and whoever listened above may not be gone yet.
        assert told.count(503) in (6, 7) and told.count(200) == 70 - told.count(503)
    finally:
        for listener in listeners:
            listener.__exit__(None, None, None)
    # Who has left makes room.
    wait_until("room for a listener", lambda: first_status(open_one) == 200)


def test_a_drain_can_be_watched(open_one):
    with Connection(open_one.port) as asking, Connection(open_one.admin_port) as watching:
        watching.send(b"GET /admin/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert watching.response_head()[0] == 200
        body = json.dumps(chat("mock/instant", directive(first_token="3s"))).encode()
        asking.send(f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        wait_until("the request is under way", lambda: any(row["concurrency"]["in_flight"] for row in ask(open_one.admin_port, "GET", "/admin/targets").json()["targets"]))
        open_one.signal(signal.SIGTERM)
        assert any(b'"draining":true' in chunk for chunk in watching.chunks())
        assert asking.response_head()[0] == 200
    assert open_one.wait() == 0


def first_status(gateway: Daemon) -> int:
    with Connection(gateway.admin_port) as connection:
        connection.send(b"GET /admin/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return connection.response_head()[0]


def test_a_request_is_explained_as_it_would_go(open_one, mock):
    def explain(body: dict, **more: object) -> dict:
        response = post(open_one, "/admin/explain", {"body": body, **more})
        assert response.status == 200, response.body
        return response.json()

    asked = chat("smart", temperature=0)
    said = explain(asked)
    assert said["operation"] == "chat" and said["alias"]["drawn_by"] == "conversation"
    assert {row["target"]: row["part"]["share"] for row in said["targets"]} == {"mock/fast": 0.75, "mock/instant": 0.25}
    first = said["targets"][0]["target"]
    assert said["targets"][0]["first_choice"] and said["cache"] == {
        "eligible": True, "key": said["cache"]["key"], "hit": None, "age_seconds": None, "compared_with_other_questions": False,
    }
    # It goes as it was told, and is a hit thereafter.
    answer = complete(open_one.port, asked)
    assert answer.header("x-tidegate-target") == first
    assert explain(asked)["cache"]["hit"] == "memory"

    assert explain(chat("mock/instant"))["cache"] == {"eligible": False, "reason": "temperature"}
    assert explain(asked, headers={"cache-control": "no-store"})["cache"]["reason"] == "no-store"
    assert explain({"model": "mock/embed", "input": "x"}, path="/v1/embeddings")["operation"] == "embeddings"
    for body in ({"body": chat("nope")}, {"body": asked, "path": "/v1/models"}, {"body": asked, "key": "tg-AAAAAAAAAAAA"}, {"body": 7}):
        assert post(open_one, "/admin/explain", body).status in (400, 404), body


def test_nothing_is_asked_or_counted_to_explain(open_one):
    before = ask(open_one.admin_port, "GET", "/admin/cache").json()["last_hour"]
    for _ in range(3):
        post(open_one, "/admin/explain", {"body": chat("smart", temperature=0)})
    assert ask(open_one.admin_port, "GET", "/admin/cache").json()["last_hour"] == before
    assert "tidegate_upstream_attempts_total{provider=\"mock\",model=\"fast\",result=\"ok\"} 0" in ask(
        open_one.admin_port, "GET", "/metrics"
    ).body.decode()


def test_the_playground_goes_the_callers_way(launch, mock):
    key = create_key()
    row = configuration.key_row(key, models=["mock/instant"], tenant="search")
    gateway = launch(configuration.mock_provider(mock.port), row, TIDEGATE_ADMIN_KEY=ADMIN_KEY)
    bearer = {"authorization": f"Bearer {ADMIN_KEY}"}

    def play(body: dict, **more: object) -> Response:
        return post(gateway, "/admin/playground", {"body": body, **more}, **bearer)

    whole = play(chat("mock/instant", temperature=0), key=key["id"])
    assert whole.status == 200 and whole.json()["choices"][0]["message"]["content"]
    assert whole.header("x-tidegate-cache") == "miss" and whole.header("x-tidegate-target") == "mock/instant"
    assert play(chat("mock/instant", temperature=0), key=key["id"]).header("x-tidegate-cache") == "hit; tier=memory"

    stream = play(chat("mock/instant", stream=True), key=key["id"])
    assert stream.header("content-type") == "text/event-stream"
    said = events(stream.body)
    assert said[-1] == "[DONE]" and "delta" in json.loads(said[0])["choices"][0]

    assert play(chat("mock/fast"), key=key["id"]).status == 403
    assert play(chat("mock/instant")).status == 400
    assert play(chat("mock/instant"), key="tg-AAAAAAAAAAAA").status == 400
    assert post(gateway, "/admin/playground", {"body": chat("mock/instant"), "key": key["id"]}).status == 401


def test_who_leaves_the_playground_ends_the_providers_call(open_one, mock):
    body = json.dumps({"body": chat("mock/slow", stream=True), "headers": {"cache-control": "no-store"}}).encode()
    with Connection(open_one.admin_port) as connection:
        head = f"POST /admin/playground HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        assert connection.response_head()[0] == 200
        next(connection.chunks())

    def in_flight() -> bool:
        [target] = [row for row in ask(open_one.admin_port, "GET", "/admin/targets").json()["targets"] if row["model"] == "slow"]
        return target["concurrency"]["in_flight"] == 0

    wait_until("the provider's call to end", in_flight)


def test_the_file_is_compared_and_put_in_force(open_one):
    def look() -> dict:
        return ask(open_one.admin_port, "GET", "/admin/config/file").json()

    def in_force() -> dict:
        return ask(open_one.admin_port, "GET", "/admin/config").json()

    text = configured(open_one)
    before = look()
    assert before["config"] == in_force() and before["faults"] is None and before["needs_restart"] == []
    # Whoever asks is told at once; the watch over the file may have applied it a moment before.
    write(open_one, text + configuration.alias("fresh", ("mock/instant", 1)))
    assert "fresh" in look()["config"]["models"]
    told = post(open_one, "/admin/config/reload")
    assert told.status == 200 and told.json()["applied"]
    assert "fresh" in in_force()["models"]

    write(open_one, text + "[server.nonsense]\n")
    faulty = look()
    assert faulty["config"] is None and "nonsense" in faulty["faults"]
    refused = post(open_one, "/admin/config/reload")
    assert refused.status == 400 and "nonsense" in refused.error()["message"]
    assert "fresh" in in_force()["models"]

    # What waits for a restart does so however often the rest is put in force, and no longer than it is asked for.
    write(open_one, text + "[observe]\nhistory_days = 3\n")
    for _ in range(2):
        assert post(open_one, "/admin/config/reload").json()["needs_restart"] == ["observe.history_days"]
        assert look()["needs_restart"] == ["observe.history_days"]
    write(open_one, text)
    assert look()["needs_restart"] == []
