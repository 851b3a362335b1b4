"""Live figures as operators read them: `/admin/performance`, its charts, and `tidegate top`."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import uuid
from urllib.parse import urlencode

import pytest
from support import configuration, processes
from support.prompts import directive
from support.raw import Connection, ask, chat, complete
from support.waiting import wait_until

WINDOWS = ["10s", "1m", "10m", "1h", "24h"]
FIGURES = ["total", "overhead", "first_token", "between_tokens", "cache", "external"]


@pytest.fixture
def gateway(launch):
    return launch(configuration.alias("smart", ("sim/instant", 1)))


def performance(gateway, **which) -> dict:
    response = ask(gateway.admin_port, "GET", f"/admin/performance?{urlencode(which)}")
    assert response.status == 200, response.body
    return response.json()


def chart(gateway, **which) -> list[dict]:
    response = ask(gateway.admin_port, "GET", f"/admin/performance/chart?{urlencode(which)}")
    assert response.status == 200, response.body
    return response.json()["points"]


def named(rows: list[dict]) -> dict[str, dict]:
    return {row["name"]: row for row in rows}


def question(content: str = "hello", **options) -> dict:
    return chat("smart", content, temperature=0, **options)


def test_requests_count_for_all_and_for_whom_they_are(launch):
    key = processes.create_key()
    gateway = launch(configuration.key_row(key), configuration.alias("smart", ("sim/instant", 1)))
    bearer = {"authorization": f"Bearer {key['key']}"}
    for _ in range(4):
        assert complete(gateway.port, question(), **bearer).status == 200
    assert complete(gateway.port, chat("no-such-model"), **bearer).status == 404
    assert complete(gateway.port, question()).status == 401

    seen = performance(gateway)
    assert set(seen["all"]) == set(WINDOWS)
    for window in WINDOWS:
        rates, figures = seen["all"][window]["rates"], seen["all"][window]["figures"]
        assert rates["requests"] == 6, window
        assert rates["outcomes"] | {"ok": 0, "caller_error": 0} == dict.fromkeys(rates["outcomes"], 0)
        assert (rates["outcomes"]["ok"], rates["outcomes"]["caller_error"]) == (4, 2)
        assert rates["cache_hit_rate"] == 0.75 and rates["error_rate"] == 0
        assert set(figures) == set(FIGURES)
        assert figures["total"]["count"] == 6 and figures["external"]["count"] == 1
        total = figures["total"]
        assert 0 < total["p50_ms"] <= total["p95_ms"] <= total["p99_ms"] <= total["max_ms"]
    routes, keys = named(seen["routes"]), named(seen["keys"])
    assert {name: row["rates"]["requests"] for name, row in routes.items()} == {"smart": 4, "other": 2}
    assert {name: row["rates"]["requests"] for name, row in keys.items()} == {key["id"]: 5}
    assert [row["name"] for row in seen["aliases"]] == ["smart"]
    target = named(seen["targets"])["sim/instant"]
    assert target["rates"]["requests"] == 1, "one call, and three hits"
    assert seen["held"]["not_seen"] == 0 and 0 < seen["held"]["bytes"] <= 8 << 20


def test_a_target_that_fails_shows_though_another_answers(falling_back):
    assert complete(falling_back.port, chat("safe")).status == 200
    seen = performance(falling_back)
    rates = {name: row["rates"]["error_rate"] for name, row in named(seen["targets"]).items()}
    assert rates == {"bad/m": 1.0, "good/m": 0.0}
    assert seen["all"]["1m"]["rates"]["error_rate"] == 0


@pytest.mark.parametrize("temperature", [0, 1], ids=["by a flight", "directly"])
def test_streams_tell_of_first_tokens_and_of_the_time_between(gateway, temperature):
    said = directive(first_token="30ms", between_tokens="10ms", tokens=40)
    body = chat("smart", f"{uuid.uuid4()} {said}", stream=True, temperature=temperature)
    assert complete(gateway.port, body).status == 200
    seen = performance(gateway)
    for row in [seen["all"]["1m"], *seen["routes"], *seen["targets"]]:
        figures = row["figures"]
        assert figures["first_token"]["count"] == 1 and figures["first_token"]["p50_ms"] >= 29
        gaps = figures["between_tokens"]
        assert 30 <= gaps["count"] <= 41 and gaps["p50_ms"] >= 5, gaps


def test_a_list_may_be_narrowed(gateway):
    assert complete(gateway.port, question()).status == 200
    assert complete(gateway.port, chat("sim/fast", directive(first_token="0ms", tokens=1))).status == 200
    assert set(performance(gateway, by="route")) == {"at", "window", "all", "held", "routes"}
    assert len(performance(gateway, by="route", limit=1)["routes"]) == 1
    only = performance(gateway, by="route", name="smart", window="24h")
    assert [row["name"] for row in only["routes"]] == ["smart"] and only["window"] == "24h"
    for query in ["by=model", "window=2h", "limit=x", "nothing=1"]:
        assert ask(gateway.admin_port, "GET", f"/admin/performance?{query}").status == 400, query


def test_a_figure_over_time(gateway):
    for _ in range(3):
        assert complete(gateway.port, question()).status == 200
    for window in WINDOWS:
        assert sum(point["count"] for point in chart(gateway, figure="total", window=window)) == 3
        assert sum(point["requests"] for point in chart(gateway, window=window)) == 3
        assert sum(point["requests"] for point in chart(gateway, by="alias", name="smart", window=window)) == 3
    assert chart(gateway, by="alias", name="nobody") == []
    for query in ["window=2h", "window=0d", "by=key", "figure=size"]:
        assert ask(gateway.admin_port, "GET", f"/admin/performance/chart?{query}").status == 400, query


def test_what_was_seen_is_known_after_a_restart(launch, tmp_path):
    first = launch(configuration.alias("smart", ("sim/instant", 1)))
    for _ in range(5):
        assert complete(first.port, question()).status == 200
    assert performance(first)["all"]["24h"]["rates"]["requests"] == 5
    first.stop()
    files = list((first.folder / "data" / "history").glob("*.history"))
    assert len(files) in (1, 2) and all(file.stat().st_size for file in files)
    again = processes.start_gateway(first.folder, processes.configured(first))
    with again:
        assert sum(point["requests"] for point in chart(again, window="30d")) == 5
        assert sum(point["count"] for point in chart(again, window="1d", figure="total")) == 5


def test_a_disk_that_refuses_keeps_nobody_from_looking(launch):
    gateway = launch()
    gateway.stop()
    (gateway.folder / "data").mkdir(exist_ok=True)
    (gateway.folder / "data" / "history").write_text("no folder")
    with processes.start_gateway(gateway.folder, processes.configured(gateway)) as again:
        assert complete(again.port, chat("sim/instant")).status == 200
        assert performance(again)["all"]["1m"]["rates"]["requests"] == 1
        response = ask(again.admin_port, "GET", "/admin/performance/chart?window=30d")
        assert response.status == 500 and response.error()


def test_names_that_callers_invent_have_no_figures(gateway):
    at_once = directive(first_token="0ms", between_tokens="0ms", tokens=1)
    with Connection(gateway.port) as connection:
        for number in range(400):
            model = f"sim/invented-{number}" if number % 2 else f"invented-{number}"
            headers = {"authorization": f"Bearer tg-invented-{number}"}
            assert connection.post(chat(model, at_once), **headers).status in (200, 404)
    seen = performance(gateway, limit=1000)
    names = {kind: [row["name"] for row in seen[kind]] for kind in ("routes", "targets", "keys", "aliases")}
    assert names == {"routes": ["other"], "targets": ["sim/other"], "keys": [], "aliases": []}
    assert seen["all"]["1m"]["rates"]["requests"] == 400


# On a terminal


def top(gateway, *arguments: str):
    return processes.run("top", "--admin", f"http://127.0.0.1:{gateway.admin_port}", *arguments)


def test_top_tells_it_once(gateway):
    for _ in range(3):
        assert complete(gateway.port, question(), x_request_id="r-seen").status == 200
    told = top(gateway, "--once")
    assert told.returncode == 0, told.stderr
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert any(line.startswith("smart ") for line in lines), told.stdout
    assert any(line.startswith("sim/instant ") and line.endswith(" ok") for line in lines), told.stdout
    assert sum(line.endswith(" r-seen") for line in lines) == 3
    assert "\x1b" not in told.stdout
    as_json = json.loads(top(gateway, "--once", "--json").stdout)
    assert set(as_json) == {"performance", "targets", "requests"}
    assert as_json["performance"]["all"]["1m"]["rates"]["requests"] == 3
    assert words_of(top(gateway).stdout) == words_of(told.stdout), "elsewhere than on a terminal"


def words_of(picture: str) -> list[str]:
    """Its lines but for the first, which has the time, without figures: those of the last seconds change meanwhile."""
    return [re.sub(r"\d[\d.]*", "0", " ".join(line.split())) for line in picture.splitlines()[1:]]


def test_top_of_nobody_says_so(gateway):
    nobody = processes.run("top", "--once", "--admin", f"http://127.0.0.1:{processes.free_port()}")
    assert nobody.returncode == 1 and "is the gateway running there?" in nobody.stderr
    assert top(gateway, "--window", "2h").returncode == 2


class Terminal:
    """`tidegate top` on a terminal of its own."""

    def __init__(self, gateway, rows: int = 40, columns: int = 150):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        url = f"http://127.0.0.1:{gateway.admin_port}"
        command = [processes.binary(), "top", "--admin", url, "--every", "200ms"]
        self.process = subprocess.Popen(command, env={}, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def read(self) -> str:
        """All that was shown so far."""
        while select.select([self.ours], [], [], 0.05)[0]:
            try:
                self.shown += os.read(self.ours, 65536).decode()
            except OSError:
                break
        return self.shown

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_exception) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)


def test_top_goes_on_and_leaves_the_terminal_as_it_was(gateway):
    with Terminal(gateway) as terminal:
        wait_until("it begins", lambda: "\x1b[?1049h\x1b[?25l" in terminal.read())
        assert complete(gateway.port, question(), x_request_id="r-later").status == 200
        wait_until("it goes on", lambda: "r-later" in terminal.read())
        terminal.process.send_signal(signal.SIGINT)
        wait_until("it ends", lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 0
        assert terminal.read().endswith("\x1b[?25h\x1b[?1049l")
        frames = terminal.shown.split("\x1b[H")[1:]
        assert all(frame.count("\r\n") < 40 for frame in frames)


def test_top_waits_for_a_gateway_that_is_away(gateway):
    with Terminal(gateway) as terminal:
        wait_until("it begins", lambda: "requests/s" in terminal.read())
        gateway.stop()
        wait_until("it says so", lambda: "away: " in terminal.read())
        terminal.process.send_signal(signal.SIGTERM)
        wait_until("it ends", lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 0
