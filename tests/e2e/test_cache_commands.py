"""`tidegate cache` before a running gateway: what it shows, takes back, clears and fills beforehand."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import configuration, processes
from support.processes import Daemon, binary, create_key, free_port, run
from support.prompts import directive
from support.raw import ask, chat, complete
from support.secrets import ADMIN_KEY, add_canary, assert_no_secret
from support.upstream import Upstream, reply

SETTLE_SECONDS_MAX = 10.0


@pytest.fixture(scope="module")
def mock(tmp_path_factory) -> Iterator[Daemon]:
    """A provider of this file's own: what it was asked is counted, and its log has an end."""
    with processes.start_mock(tmp_path_factory.mktemp("mock")) as daemon:
        yield daemon


@pytest.fixture
def keeper(launch, mock) -> Daemon:
    """A gateway of the test's own that remembers nothing yet."""
    return launch(
        configuration.mock_provider(mock.port),
        configuration.alias("smart", ("mock/instant", 1)),
        configuration.alias("loose", ("mock/instant", 1)),
        "[models.loose.cache]\nany_temperature = true\n",
    )


def cache(gateway: Daemon, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """A command at the gateway's admin plane."""
    admin = f"http://127.0.0.1:{gateway.admin_port}"
    return run("cache", *arguments, "--admin", admin, environment=environment)


def warm(gateway: Daemon, file: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return run("cache", "warm", file, "--url", gateway.url, *arguments, environment=environment)


def summary(result: subprocess.CompletedProcess) -> dict:
    """What `--json` printed, without the time."""
    told = json.loads(result.stdout)
    assert told.pop("seconds") >= 0
    return told


def came(gateway: Daemon, content: str, model: str = "smart", headers: dict | None = None, **options) -> str:
    """What the cache had to do with a caller's answer."""
    body = chat(model, content, **{"temperature": 0, **options})
    response = complete(gateway.port, body, **(headers or {}))
    assert response.status == 200, response.body
    return response.header("x-tidegate-cache")


def calls(mock: Daemon) -> int:
    """How often the provider was asked until now."""
    return len(ask(mock.port, "GET", "/sim/log").json())


def write(folder: Path, *lines: object) -> Path:
    """A file of prompts; what is no text is written as JSON."""
    path = folder / "prompts.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


HIT = "hit; tier=memory"


def test_stats_are_a_table_or_what_the_gateway_says(keeper):
    assert [came(keeper, "one"), came(keeper, "one"), came(keeper, "one", temperature=1)] == [
        "miss",
        HIT,
        "bypass; reason=temperature",
    ]
    table = cache(keeper, "stats")
    assert table.returncode == 0, table.stderr
    rows = [r"hit rate +50\.0 % of 2", r"hits +memory 1 ", r"misses +1\n", r"bypassed +1\n", r"smart +50\.0 % "]
    for row in rows:
        assert re.search(row, table.stdout), f"{row}\n{table.stdout}"
    said = ask(keeper.admin_port, "GET", "/admin/cache").json()
    assert json.loads(cache(keeper, "stats", "--json").stdout) == said
    assert said["models"]["smart"]["hits"]["memory"] == 1


REACHED = {
    "a tag": ["--tag", "docs"],
    "a dependency": ["--dependency", "manual"],
    "an operation": ["--provider", "mock", "--model", "instant", "--operation", "chat"],
    "a model": ["--provider", "mock", "--model", "instant"],
}
ALL = {"a provider": ["--provider", "mock"], "everything": ["--everything"]}


@pytest.mark.parametrize("what", [*REACHED.values(), *ALL.values()], ids=[*REACHED, *ALL])
def test_what_is_invalidated_is_fetched_anew_and_nothing_else(keeper, what):
    def one() -> str:
        return came(keeper, "one", headers={"x-tidegate-tags": "docs, dep:manual"})

    def other() -> str:
        return came(keeper, "one", model="mock/fast", headers={"x-tidegate-tags": "news"})

    assert [one(), other(), one(), other()] == ["miss", "miss", HIT, HIT]
    result = cache(keeper, "invalidate", *what)
    assert result.returncode == 0 and result.stdout.startswith("invalidated"), result
    assert result.stderr == ""
    assert one() == "miss"
    assert other() == (HIT if what in REACHED.values() else "miss")


def test_a_key_that_is_nobody_s_takes_nothing_back(keeper):
    assert came(keeper, "one") == "miss"
    result = cache(keeper, "invalidate", "--key", "0" * 64, "--json")
    assert result.returncode == 0 and json.loads(result.stdout)["invalidated"] is True
    assert came(keeper, "one") == HIT


def test_a_tenant_s_own_is_taken_back_and_nobody_else_s(launch, mock, tmp_path):
    keys = {tenant: create_key() for tenant in ("search", "support")}
    rows = (configuration.key_row(key) + f'tenant = "{tenant}"\n' for tenant, key in keys.items())
    keeper = launch(configuration.mock_provider(mock.port), *rows)

    def both() -> list[str]:
        tagged = {"x-tidegate-tags": "docs"}
        return [
            came(keeper, "one", "mock/instant", {"authorization": f"Bearer {key['key']}", **tagged})
            for key in keys.values()
        ]

    assert both() == ["miss", "miss"] and both() == [HIT, HIT]
    for what in (["--tag", "docs"], ["--dependency", "manual"]):
        refused = cache(keeper, "invalidate", *what)
        assert refused.returncode == 1 and 'name the "tenant"' in refused.stderr, refused
    assert cache(keeper, "invalidate", "--tenant", "nobody").returncode == 0
    assert both() == [HIT, HIT]
    for what in (["--tag", "docs", "--tenant", "search"], ["--tenant", "search"]):
        assert cache(keeper, "invalidate", *what).returncode == 0
        assert both() == ["miss", HIT]

    file = write(tmp_path, "\"two\"")
    add_canary(keys["support"]["key"])
    (tmp_path / "key").write_text(keys["support"]["key"] + "\n")
    result = warm(keeper, file, "--model", "mock/instant", "--key-file", str(tmp_path / "key"))
    assert result.returncode == 0, result
    told = [
        came(keeper, "two", "mock/instant", {"authorization": f"Bearer {key['key']}"})
        for key in keys.values()
    ]
    assert told == ["miss", HIT]


def test_a_tier_that_could_not_be_told_is_a_warning():
    def answer(connection, _request) -> None:
        body = {"invalidated": True, "not_yet_told": {"redis": "the breaker is open"}}
        connection.sendall(reply("200 OK", json.dumps(body).encode()))

    with Upstream(answer) as elsewhere:
        admin = f"http://127.0.0.1:{elsewhere.port}"
        result = run("cache", "invalidate", "--everything", "--admin", admin)
        assert elsewhere.requests[0].head.startswith(b"POST /admin/cache/invalidate HTTP/1.1")
    assert result.returncode == 0 and result.stdout == "invalidated\n"
    assert "warning" in result.stderr and "redis" in result.stderr and "the breaker is open" in result.stderr


def test_expired_answers_are_cleared_and_fresh_ones_stay(keeper):
    assert came(keeper, "short", headers={"x-tidegate-cache-ttl": "1"}) == "miss"
    assert came(keeper, "long") == "miss"
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not (result := cache(keeper, "clear-expired")).stdout.startswith("1 expired cleared"):
        assert result.returncode == 0 and time.monotonic() < deadline, result
        time.sleep(0.1)
    assert result.stdout == "1 expired cleared, 1 left in memory\n"
    assert json.loads(cache(keeper, "clear-expired", "--json").stdout) == {"cleared": 0, "entries": 1}


def test_what_was_warmed_is_a_hit_for_callers(keeper, mock, tmp_path):
    whole = {"messages": [{"role": "user", "content": "three"}], "temperature": 0.0, "max_tokens": 500}
    lines = ["\"one\"", {"prompt": "two"}, "", whole, {**whole, "model": "mock/fast"}]
    file = write(tmp_path, *lines)
    before = calls(mock)
    result = warm(keeper, file, "--model", "smart", "--json", "--rate", "50/s")
    assert result.returncode == 0 and result.stderr == "", result
    assert summary(result) == {
        "prompts": 4,
        "requests": 4,
        "fetched": 4,
        "hits": 0,
        "bypassed": {},
        "failed": 0,
        "bad_lines": 0,
        "interrupted": False,
    }
    assert calls(mock) == before + 4
    assert came(keeper, "one") == came(keeper, "two") == HIT
    assert came(keeper, "three", temperature=0.0, max_tokens=500) == HIT
    assert came(keeper, "three", "mock/fast", temperature=0.0, max_tokens=500) == HIT
    # What was cut at its length is not kept, and so is fetched each time.
    cut = {"prompt": "four", "max_tokens": 5}
    for _ in range(2):
        assert summary(warm(keeper, write(tmp_path, cut), "--model", "smart", "--json"))["fetched"] == 1
    before += 2
    # As many again in the other form, made from the first.
    file = write(tmp_path, *lines)
    again = summary(warm(keeper, file, "--model", "smart", "--json", "--stream"))
    assert (again["prompts"], again["requests"], again["hits"]) == (4, 8, 8)
    assert came(keeper, "one", stream=True) == HIT
    assert calls(mock) == before + 4


def test_a_summary_is_for_people_and_quiet_is_quiet(keeper, tmp_path):
    file = write(tmp_path, "\"one\"", "\"one\"", "\"two\"")
    result = warm(keeper, file, "--model", "smart", "-c", "1")
    assert result.returncode == 0 and result.stdout.startswith("3 prompts in "), result
    assert re.search(r"fetched +2\nhits +1 ", result.stdout), result.stdout
    quiet = warm(keeper, file, "--model", "smart", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_an_alias_for_any_temperature_is_warmed_as_its_callers_ask(keeper, tmp_path):
    file = write(tmp_path, "\"one\"")
    assert warm(keeper, file, "--model", "loose", "--temperature", "none").returncode == 0
    body = chat("loose", "one")
    assert complete(keeper.port, body).header("x-tidegate-cache") == HIT
    passed = summary(warm(keeper, file, "--model", "smart", "--temperature", "none", "--json"))
    assert passed["bypassed"] == {"temperature": 1}


def test_tags_are_given_to_what_is_warmed(keeper, tmp_path):
    file = write(tmp_path, "\"one\"")
    assert warm(keeper, file, "--model", "smart", "-H", "x-tidegate-tags: docs").returncode == 0
    assert came(keeper, "one") == HIT
    assert cache(keeper, "invalidate", "--tag", "docs").returncode == 0
    assert came(keeper, "one") == "miss"


def test_bad_lines_are_told_by_number_and_the_rest_is_asked(keeper, tmp_path):
    failing = {"prompt": f"x {directive(status=400)}"}
    file = write(tmp_path, "one", "\"two\"", "", "[]", {"prompt": 7}, failing, {"messages": []}, "\"eight\"")
    result = warm(keeper, file, "--model", "smart", "--json", "-c", "1")
    assert result.returncode == 1
    told = [line.removeprefix(f"{file}:").split(":")[0] for line in result.stderr.splitlines()]
    assert told == ["1", "4", "5", "6", "7"], result.stderr
    assert "expected a value at column 1" in result.stderr
    counted = summary(result)
    assert (counted["bad_lines"], counted["failed"], counted["fetched"]) == (3, 2, 2)
    assert came(keeper, "two") == came(keeper, "eight") == HIT


def test_a_file_of_nothing_but_faults_is_told_in_part(keeper, tmp_path):
    result = warm(keeper, write(tmp_path, *["x"] * 500), "--model", "smart", "--json")
    assert result.returncode == 1 and summary(result)["bad_lines"] == 500
    assert len(result.stderr.splitlines()) < 30 and "only counted" in result.stderr


def test_prompts_come_from_standard_input_too(keeper):
    command = [binary(), "cache", "warm", "-", "--url", keeper.url, "--model", "smart", "--json"]
    result = subprocess.run(
        command, env={}, input='"one"\n"two"', capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0 and summary(result)["fetched"] == 2
    assert came(keeper, "two") == HIT


def test_an_interrupt_waits_for_what_is_under_way_and_sums_up(keeper, mock, tmp_path):
    file = write(tmp_path, *(json.dumps(f"question {number}") for number in range(1000)))
    command = [binary(), "cache", "warm", file, "--url", keeper.url, "--model", "mock/fast", "--json", "-c2"]
    before = calls(mock)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={}, text=True, **pipes) as process:
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while calls(mock) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "interrupted" in errors
    told = json.loads(output)
    assert told["interrupted"] is True and told["failed"] == 0
    assert 1 <= told["fetched"] < 1000
    assert told["fetched"] == calls(mock) - before
    assert came(keeper, "question 0", "mock/fast") == HIT


COMMANDS = [["stats"], ["invalidate", "--everything"], ["clear-expired"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_gateway_a_wrong_plane_and_no_gateway_s_answer_are_told_with_the_mend(keeper, command):
    def answer(connection, _request) -> None:
        connection.sendall(reply("200 OK", b"<html>"))

    nobody = run("cache", *command, "--admin", f"http://127.0.0.1:{free_port()}")
    assert nobody.returncode == 1
    assert "is the gateway running" in nobody.stderr and "--admin" in nobody.stderr
    wrong = run("cache", *command, "--admin", keeper.url)
    assert wrong.returncode == 1 and "4001" in wrong.stderr
    with Upstream(answer) as elsewhere:
        foreign = run("cache", *command, "--admin", f"http://127.0.0.1:{elsewhere.port}")
    assert foreign.returncode == 1 and "no admin plane" in foreign.stderr


def test_the_admin_key_comes_from_file_environment_or_configuration(launch, mock, tmp_path):
    keeper = launch(configuration.mock_provider(mock.port), TIDEGATE_ADMIN_KEY=ADMIN_KEY)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(f"{ADMIN_KEY}\n")
    bad.write_text("something-else")
    config = tmp_path / "tidegate.toml"
    config.write_text(f'[admin]\nlisten = "127.0.0.1:{keeper.admin_port}"\nkey = "{ADMIN_KEY}"\n')
    config.chmod(0o600)

    assert cache(keeper, "stats", "--admin-key-file", str(good)).returncode == 0
    assert cache(keeper, "stats", TIDEGATE_ADMIN_KEY=ADMIN_KEY).returncode == 0
    assert run("cache", "stats", "--config", config).returncode == 0
    # The well-known file is found where the command is run, and only where no address is given.
    assert run("cache", "stats", cwd=tmp_path).returncode == 0
    admin = f"http://127.0.0.1:{keeper.admin_port}"
    without = run("cache", "stats", "--admin", admin, cwd=tmp_path)
    assert without.returncode == 1 and "TIDEGATE_ADMIN_KEY" in without.stderr
    wrong = cache(keeper, "stats", "--admin-key-file", str(bad), TIDEGATE_ADMIN_KEY=ADMIN_KEY)
    assert wrong.returncode == 1 and "does not take this admin key" in wrong.stderr
    assert "something-else" not in wrong.stderr
    assert_no_secret(without.stderr + wrong.stderr, "what the command says")


@pytest.mark.parametrize("count", [1, 100])
def test_warming_stops_at_once_where_every_line_would_fail(launch, mock, tmp_path, count):
    key = create_key()
    keeper = launch(configuration.mock_provider(mock.port), configuration.key_row(key))
    file = write(tmp_path, *["\"one\""] * count)
    nobody = run("cache", "warm", file, "--model", "m", "--url", f"http://127.0.0.1:{free_port()}")
    assert nobody.returncode == 1 and "is the gateway running" in nobody.stderr
    assert len(nobody.stderr.splitlines()) == 1
    without = warm(keeper, file, "--model", "mock/instant")
    assert without.returncode == 1 and "TIDEGATE_API_KEY" in without.stderr
    wrong = warm(keeper, file, "--model", "mock/instant", TIDEGATE_API_KEY=create_key()["key"])
    assert wrong.returncode == 1 and "does not take this caller's key" in wrong.stderr
    assert warm(keeper, file, "--model", "mock/instant", TIDEGATE_API_KEY=key["key"]).returncode == 0


WRONG = {
    "no such file": ["warm", "/no/such/file.jsonl", "--model", "m"],
    "a folder": ["warm", "/", "--model", "m"],
    "a rate of none": ["warm", "-", "--rate", "0/s"],
    "nothing to take back": ["invalidate"],
    "two things to take back": ["invalidate", "--everything", "--tag", "docs"],
    "a key too short": ["invalidate", "--key", "abc"],
    "no URL": ["stats", "--admin", "127.0.0.1:4001"],
    "no key file": ["stats", "--admin", "http://127.0.0.1:1", "--admin-key-file", "/no/such/key"],
    "no configuration": ["stats", "--config", "/no/such/tidegate.toml"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_status_two(arguments, tmp_path):
    result = run("cache", *arguments, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr and not result.stdout, result


def test_help_page_and_completions_know_the_commands():
    for command in ("stats", "invalidate", "clear-expired", "warm"):
        assert "Example" in run("cache", command, "--help").stdout
        assert command in run("completions", "bash").stdout
    assert "Take answers back" in run("man").stdout


# The key of an answer


def lookup(gateway: Daemon, body: dict, **more: object) -> dict:
    response = complete(gateway.admin_port, {"body": body, **more}, "/admin/cache/lookup")
    assert response.status == 200, response.body
    return response.json()


def test_a_request_s_key_can_be_looked_up_and_its_answer_taken_back(keeper, mock):
    body = chat("smart", "which key is mine", temperature=0)
    before, asked = lookup(keeper, body), calls(mock)
    assert before["cache"] == "miss" and before["answer"] is None and before["target"] == "mock/instant"
    assert came(keeper, "which key is mine") == "miss"

    after = lookup(keeper, body)
    assert (after["cache"], after["key"], after["answer"]["tier"]) == ("hit", before["key"], "memory")
    assert 0 < after["answer"]["fresh_for_seconds"] <= 330 and after["answer"]["text_bytes"] > 100
    assert lookup(keeper, {**body, "stream": True})["key"] != before["key"]
    assert lookup(keeper, body, tenant="another")["key"] != before["key"]

    assert cache(keeper, "invalidate", "--key", after["key"]).returncode == 0
    assert lookup(keeper, body)["cache"] == "miss"
    assert came(keeper, "which key is mine") == "miss" and calls(mock) == asked + 2


def test_where_callers_have_keys_a_look_is_on_behalf_of_a_tenant_of_theirs(launch, mock):
    key = create_key()
    keeper = launch(configuration.mock_provider(mock.port), configuration.key_row(key) + 'tenant = "search"\n')
    body = chat("mock/instant", "whose", temperature=0)
    for tenant, mend in (({}, 'name the \\"tenant\\"'), ({"tenant": "nobody"}, "no key that is known here")):
        refused = complete(keeper.admin_port, {"body": body, **tenant}, "/admin/cache/lookup")
        assert refused.status == 400 and mend in refused.body.decode(), refused.body
    assert lookup(keeper, body, tenant="search")["cache"] == "miss"
    assert came(keeper, "whose", "mock/instant", {"authorization": f"Bearer {key['key']}"}) == "miss"
    assert lookup(keeper, body, tenant="search")["cache"] == "hit"


def test_why_a_request_is_not_looked_up_is_told(keeper):
    body = chat("smart", "why not", temperature=0)
    assert lookup(keeper, chat("smart", "why not"))["cache"] == "bypass; reason=temperature"
    assert lookup(keeper, body, headers={"cache-control": "no-store"})["cache"] == "bypass; reason=no-store"
    for wrong in ({"body": body, "path": "/v1/models"}, {"body": {}}, {"body": body, "headers": {"a b": "c"}}):
        assert complete(keeper.admin_port, wrong, "/admin/cache/lookup").status == 400
