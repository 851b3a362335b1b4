"""`tidegate map` before a running gateway: what it asks and writes, and that it goes on after any end."""

from __future__ import annotations

import csv
import json
import os
import pty
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from support import configuration, processes
from support.mapping import Job, lines, watch, write_rows
from support.processes import Daemon, create_key, free_port, run
from support.prompts import directive
from support.raw import ask, chat, complete
from support.secrets import add_canary, assert_no_secret
from support.upstream import Upstream, completion, reply, reset
from support.waiting import wait_until

SAY = ["--model", "mock/instant", "--prompt", "Say {{text}}"]
FAST = ["--model", "mock/fast", "--prompt", "Say {{text}}"]
# What the map process may have resident at most, whatever the file's length; the debug build is counted, too.
RESIDENT_BYTES_MAX = 128 << 20


@pytest.fixture
def mock(tmp_path) -> Iterator[Daemon]:
    """A provider of the test's own: what it was asked is counted, and its log has an end."""
    with processes.start_mock(tmp_path / "mock") as daemon:
        yield daemon


@pytest.fixture
def keeper(launch, mock) -> Daemon:
    """A gateway that learns nothing from faults: they are the rows' own here."""
    return launch(configuration.UNGUARDED, configuration.mock_provider(mock.port))


Mapping = Callable[..., Job]


@pytest.fixture
def mapping(keeper, tmp_path) -> Mapping:
    """Makes a job of rows and flags before the gateway."""

    def make(rows, *flags: str, input: str = "in.jsonl", output: str = "out.jsonl", url: str = "") -> Job:
        path = tmp_path / input
        write_rows(path, rows)
        return Job(path, tmp_path / output, url or keeper.url, [*flags])

    return make


def rows(count: int, text: Callable[[int], str] = lambda number: f"word {number}") -> list[dict]:
    return [{"id": number, "text": text(number)} for number in range(count)]


def calls(mock: Daemon) -> int:
    """How often the provider was asked until now."""
    return len(ask(mock.port, "GET", "/sim/log").json())


# What it asks and writes


def test_each_row_has_the_answer_that_a_caller_gets(mapping, keeper):
    job = mapping(rows(50), *SAY, "--param", "temperature=0", "--param", "max_tokens=9")
    result = job.run()
    assert result.returncode == 0 and result.stderr == "", result
    assert result.stdout.startswith("50 rows in "), result.stdout
    assert "answered              50\n" in result.stdout, result.stdout
    assert job.ids() == list(range(50)) and not job.errors.exists()
    for row in lines(job.output)[::7]:
        assert list(row) == ["id", "text", "answer"]
        said = complete(keeper.port, chat("mock/instant", f"Say {row['text']}", temperature=0, max_tokens=9))
        assert row["answer"] == said.json()["choices"][0]["message"]["content"]


def test_a_request_is_what_the_flags_and_the_row_make_it(mapping, tmp_path):
    def answer(connection, request) -> None:
        connection.sendall(reply("200 OK", completion("ok"), "x-tidegate-cost-usd: 0.000010"))

    template = tmp_path / "ask.txt"
    template.write_text("Line {{$line}}: {{user.name}} {{tags.0}}\n")
    key = create_key()["key"]
    add_canary(key)
    (tmp_path / "key").write_text(key + "\n")
    with Upstream(answer) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        row = {"id": 1, "user": {"name": 'Ann "Q"\n'}, "tags": [7]}
        flags = ["--model", "m/x", "--prompt-file", str(template), "--system", "You are {{id}}."]
        flags += ["--body", '{"seed": 1, "temperature": 1}', "--param", "temperature=0", "--param", "user=u"]
        job = mapping(["", row], *flags, "--key-file", str(tmp_path / "key"), "--field", "said", url=url)
        summary = job.summary()
        (request,) = server.requests
    assert request.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert request.header("authorization") == f"Bearer {key}"
    assert request.header("x-tidegate-priority") == "batch"
    messages = [
        {"role": "system", "content": "You are 1."},
        {"role": "user", "content": 'Line 2: Ann "Q"\n 7'},
    ]
    expected = {"model": "m/x", "messages": messages, "seed": 1, "temperature": 0, "user": "u"}
    assert request.json() == expected
    assert lines(job.output) == [{**row, "said": "ok"}]
    assert (summary["cost_usd"], summary["input_tokens"], summary["output_tokens"]) == (1e-5, 3, 1)
    assert_no_secret(job.journal.read_text(), "the journal")


def test_tables_come_in_and_go_out(mapping, tmp_path):
    head = "id,text,first name"
    texts = ['a, "b"\nc', "plain", ""]
    quoted = (text.replace('"', '""') for text in texts)
    table = [f'{number},"{text}",x{number}' for number, text in enumerate(quoted)]
    job = mapping([head, *table], *SAY, input="in.csv", output="out.csv")
    assert job.run("--prompt", "Say").returncode == 2
    assert job.run().returncode == 0
    with job.output.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["text"] for row in written] == texts
    assert list(written[0]) == ["id", "text", "first name", "answer"]
    assert all(row["answer"] for row in written)

    # From one form into the other, and chosen columns.
    job.output = tmp_path / "chosen.jsonl"
    assert job.run("--select", "first name,id").returncode == 0
    assert [list(row) for row in lines(job.output)] == [["first name", "id", "answer"]] * 3
    job = mapping(rows(2), *SAY, output="lines.csv")
    assert job.run().returncode == 2
    assert job.run("--select", "id").returncode == 0
    assert job.output.read_text().splitlines()[0] == "id,answer"


def test_texts_become_vectors(mapping):
    job = mapping(rows(3), "--model", "mock/embed", "--input", "{{text}}", "--param", "dimensions=4")
    assert job.run("--select", "id", "--field", "vector", "--endpoint", "embeddings").returncode == 0
    assert [len(row["vector"]) for row in lines(job.output)] == [4, 4, 4]


def test_an_answer_that_must_be_json_is_a_value_or_an_error(mapping):
    def answer(connection, request) -> None:
        connection.sendall(reply("200 OK", completion(request.json()["messages"][0]["content"])))

    texts = ['{\n "a": [1.50, "x y"]}', "nonsense", "[]"]
    with Upstream(answer) as server:
        job = mapping(
            ({"id": number, "text": text} for number, text in enumerate(texts)),
            *("--model", "m", "--prompt", "{{text}}", "--json"),
            url=f"http://127.0.0.1:{server.port}",
        )
        assert job.run().returncode == 1
    assert [row["answer"] for row in lines(job.output)] == [{"a": [1.5, "x y"]}, []]
    (error,) = lines(job.errors)
    assert (error["line"], error["code"], error["row"]["id"]) == (2, "answer_not_json", 1)
    assert "nonsense" in error["message"]


def test_what_is_remembered_counts_as_cached(launch, mock, mapping):
    keeper = launch(configuration.mock_provider(mock.port))
    job = mapping([{"id": number, "text": "same"} for number in range(20)], *SAY, url=keeper.url)
    before = calls(mock)
    summary = job.summary("--param", "temperature=0")
    assert (summary["rows"], summary["cached"], calls(mock)) == (20, 19, before + 1)


# Errors


def test_rows_that_fail_go_to_a_file_of_their_own_and_the_rest_is_answered(mapping, tmp_path):
    faulty = [
        {"id": 0, "text": f"x {directive(status=400)}"},
        "no json",
        '{"id": 2, "text": "fine"}',
        '{"id": 3, "other": 1}',
        '{"id": 4, "text": null}',
        "[1]",
        json.dumps({"id": 6, "text": "x" * (10 << 20)}),
        {"id": 7, "text": "fine"},
    ]
    job = mapping(faulty, *SAY)
    result = job.run()
    assert result.returncode == 1, result
    assert f"errors are in {job.errors}; the first: line 1: 400: " in result.stderr, result.stderr
    assert job.ids() == [2, 7]
    errors = lines(job.errors)
    told = [(error["line"], error["code"], error.get("status")) for error in errors]
    codes = [(2, "not_json"), (4, "unknown_field"), (5, "null_field"), (6, "not_json"), (7, "too_long")]
    assert told[0][0] == 1 and told[0][2] == 400
    assert told[1:] == [(*code, None) for code in codes]
    assert errors[0]["row"] == faulty[0] and errors[1]["row"] == "no json" and errors[5]["row"] is None
    assert errors[2]["message"] == 'no field "text"; there are: id, other'
    # A second run has nothing to do, and says the same.
    again = job.summary()
    assert (again["rows_of_this_run"], again["answered"], again["errors"]) == (0, 2, 6)
    assert job.ids() == [2, 7] and len(lines(job.errors)) == 6


def test_what_fails_for_a_while_is_asked_again(mapping):
    """Each row is told to come back, then broken off, then refused, and then answered."""
    seen: dict[str, int] = {}

    def answer(connection, request) -> None:
        content = request.json()["messages"][0]["content"]
        seen[content] = seen.get(content, 0) + 1
        match seen[content]:
            case 1:
                connection.sendall(reply("429 Too Many Requests", b"{}", "retry-after-ms: 5"))
            case 2:
                reset(connection)
            case 3:
                connection.sendall(reply("503 Service Unavailable", b"{}", "retry-after: 0"))
            case _:
                connection.sendall(reply("200 OK", completion(content)))

    with Upstream(answer) as server:
        job = mapping(rows(10), *SAY, url=f"http://127.0.0.1:{server.port}")
        result = job.run()
    assert result.returncode == 0, result
    assert job.ids() == list(range(10))
    assert [row["answer"] for row in lines(job.output)] == [f"Say word {number}" for number in range(10)]
    assert set(seen.values()) == {4}


def test_what_goes_on_failing_is_an_error_in_the_end(mapping):
    def text(number: int) -> str:
        return f"{number} {directive(status=500)}" if number % 3 == 0 else str(number)

    job = mapping(rows(10, text), *SAY, "--retries", "1")
    assert job.run().returncode == 1
    assert job.ids() == [1, 2, 4, 5, 7, 8] and job.failed() == [0, 3, 6, 9]
    assert {error["status"] for error in lines(job.errors)} == {502}


def test_too_many_errors_end_a_run_that_can_be_gone_on_with(mapping):
    job = mapping(rows(500, lambda number: f"{number} {directive(status=400)}"), *SAY, "-c", "4")
    result = job.run("--max-errors", "20")
    assert result.returncode == 1 and "--max-errors" in result.stderr, result.stderr
    assert 20 < len(job.failed()) < 100
    result = job.run("--max-errors", "5%")
    assert result.returncode == 1 and 100 < len(job.failed()) < 300
    assert job.failed() == list(range(len(job.failed())))


def test_a_run_stops_at_once_where_every_row_would_fail(launch, mock, mapping, tmp_path):
    key = create_key()
    keeper = launch(configuration.mock_provider(mock.port), configuration.key_row(key))
    nobody = mapping(rows(100), *SAY, url=f"http://127.0.0.1:{free_port()}").run()
    assert nobody.returncode == 1 and "is the gateway running" in nobody.stderr
    locked = mapping(rows(100), *SAY, url=keeper.url)
    without = locked.run()
    assert without.returncode == 1 and "TIDEGATE_API_KEY" in without.stderr
    unknown = mapping(rows(100), "--model", "nobody/x", "--prompt", "{{text}}", output="other.jsonl").run()
    assert unknown.returncode == 1 and "404" in unknown.stderr, unknown.stderr
    assert locked.ids() == [] and locked.failed() == []
    # Nothing was done, so that nothing keeps one from asking otherwise.
    locked.flags = ["--model", "mock/instant", "--prompt", "Other {{text}}"]
    (tmp_path / "key").write_text(key["key"])
    assert locked.run("--key-file", str(tmp_path / "key")).returncode == 0
    assert locked.ids() == list(range(100))


# Order and bounds


def test_the_order_is_the_inputs_or_as_rows_are_done(mapping):
    slow = directive(first_token="1500ms")
    job = mapping(rows(300, lambda number: f"{number} {slow if number == 0 else ''}"), *SAY, "-c", "20")
    assert job.run().returncode == 0
    assert job.ids() == list(range(300))
    job.output = job.output.with_name("done.jsonl")
    assert job.run("--order", "done").returncode == 0
    assert sorted(job.ids()) == list(range(300)) and job.ids()[0] != 0


@pytest.mark.parametrize("order", ["input", "done"])
def test_memory_is_constant_on_a_file_larger_than_it_may_be(mapping, tmp_path, order):
    """300 MB, most of which is neither asked nor kept, and a first row that takes its time."""
    count, padding = 3000, "x" * 100_000
    slow = directive(first_token="3s")
    made = (
        {"id": number, "text": f"{number} {slow if number == 0 else ''}", "padding": padding}
        for number in range(count)
    )
    job = mapping(made, *SAY, "--select", "id", "--order", order)
    assert job.input.stat().st_size > 300_000_000
    with job.start() as process:
        peak = watch(process, 80)
        assert process.returncode == 0, process.communicate()
    assert sorted(job.ids()) == list(range(count))
    assert 0 < peak < RESIDENT_BYTES_MAX, f"{peak >> 20} MiB"
    job.input.unlink()


def test_a_limit_takes_the_first_rows_and_the_rest_another_time(mapping, mock):
    job = mapping(rows(30), *SAY)
    assert job.run("--limit", "10").returncode == 0
    assert job.ids() == list(range(10))
    before = calls(mock)
    assert job.summary()["rows_of_this_run"] == 20
    assert job.ids() == list(range(30)) and calls(mock) == before + 20


# Going on


@pytest.mark.parametrize("order", ["input", "done"])
def test_every_row_is_there_once_however_often_the_run_is_killed(mapping, order):
    """A dozen kills at moments of chance, rows that fail and rows that take their time among them."""
    count, chance = 1500, random.Random(7)

    def text(number: int) -> str:
        if number % 41 == 0:
            return f"{number} {directive(status=400)}"
        return f"{number} {directive(first_token=f'{chance.choice((1, 10, 100))}ms')}"

    job = mapping(rows(count, text), *SAY, "--order", order, "-c", "8")
    wanted_errors = [number for number in range(count) if number % 41 == 0]
    for kill in range(12):
        with job.start() as process:
            time.sleep(chance.uniform(0.02, 0.6))
            process.send_signal(signal.SIGKILL)
        if not job.journal.exists():
            continue  # it had not begun yet
        assert job.journal.stat().st_size < 2 << 20
        if kill % 3 == 1:
            # A power cut leaves what was never told of.
            for path in (job.output, job.errors):
                with path.open("a") as file:
                    file.write('{"id": 5, "torn')
    result = job.run("--summary", "json")
    assert result.returncode == 1, result
    told = json.loads(result.stdout)
    assert (told["rows"], told["errors"]) == (count, len(wanted_errors))
    assert told["rows_of_this_run"] < count
    answered = [number for number in range(count) if number % 41]
    if order == "input":
        assert job.ids() == answered and job.failed() == wanted_errors
    assert sorted(job.ids()) == answered and sorted(job.failed()) == wanted_errors


def test_a_table_goes_on_where_it_stopped_with_one_head(mapping):
    slow = directive(first_token="5ms")
    table = [f'{number},"word\n{number} {slow}"' for number in range(300)]
    job = mapping(["id,text", *table], *SAY, input="in.csv", output="out.csv")
    for _ in range(4):
        with job.start("-c", "4") as process:
            time.sleep(0.2)
            process.send_signal(signal.SIGKILL)
    assert job.run().returncode == 0
    with job.output.open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [str(number) for number in range(300)]


def test_what_has_changed_is_refused_by_its_name(mapping, mock):
    job = mapping(rows(20), *SAY)
    assert job.run("--limit", "10").returncode == 0
    before = calls(mock)
    changes = {
        "--model": ["--model", "mock/fast", *SAY[2:]],
        "--prompt": [*SAY[:2], "--prompt", "Do {{text}}"],
        "--param": [*SAY, "--param", "temperature=0"],
        "--select": [*SAY, "--select", "id"],
        "--order": [*SAY, "--order", "done"],
    }
    for name, flags in changes.items():
        result = Job(job.input, job.output, job.url, flags).run()
        assert result.returncode == 2 and name in result.stderr, result
        assert "--restart" in result.stderr and "--force" in result.stderr
    write_rows(job.input, [*rows(20), {"id": 20, "text": "new"}])
    result = job.run()
    assert result.returncode == 2 and "the input" in result.stderr, result
    assert calls(mock) == before and job.ids() == list(range(10))

    assert job.run("--force").returncode == 0
    assert job.ids() == list(range(21)) and calls(mock) == before + 11
    assert job.run().returncode == 0 and calls(mock) == before + 11
    assert job.run("--restart", "--limit", "3").returncode == 0
    assert job.ids() == [0, 1, 2]


def test_files_that_are_not_its_own_are_left_alone(mapping, mock):
    job = mapping(rows(5), *SAY)
    before = calls(mock)
    job.output.write_text("precious\n")
    result = job.run()
    assert result.returncode == 2 and "--restart" in result.stderr
    assert job.output.read_text() == "precious\n" and calls(mock) == before
    own = Job(job.input, job.input, job.url, job.flags).run()
    assert own.returncode == 2 and "it is the input" in own.stderr
    assert len(lines(job.input)) == 5


def test_an_output_is_written_by_one_run_at_a_time(mapping):
    job = mapping(rows(50), *FAST, "-c", "1")
    with job.start() as first:
        wait_until("it has begun", lambda: job.output.exists() and job.output.stat().st_size > 0)
        second = job.run()
        assert second.returncode == 1 and "another run" in second.stderr, second
        first.send_signal(signal.SIGTERM)
        first.communicate()
    assert job.run().returncode == 0 and job.ids() == list(range(50))


def test_an_interrupt_waits_for_what_is_under_way_and_says_how_to_go_on(mapping, mock):
    job = mapping(rows(1000), *FAST, "-c", "4")
    before = calls(mock)
    with job.start() as process:
        wait_until("rows are asked", lambda: calls(mock) > before + 4)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "with the same command it goes on" in errors, errors
    # Whatever was asked was kept.
    kept = job.ids()
    assert kept == list(range(len(kept))) and 4 < len(kept) < 1000
    assert calls(mock) == before + len(kept)
    assert job.summary("--limit", str(len(kept) + 5))["rows_of_this_run"] == 5


def test_a_second_interrupt_gives_up_what_is_under_way(mapping, mock):
    job = mapping(rows(3, lambda number: f"{number} {directive(hang=True)}"), *SAY)
    before = calls(mock)
    with job.start() as process:
        wait_until("rows are asked", lambda: calls(mock) >= before + 3)
        process.send_signal(signal.SIGINT)
        wait_until("it has heard", lambda: "waited for" in process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 1 and job.ids() == []


def test_a_gateway_that_restarts_costs_no_row(mock, tmp_path, mapping):
    port = free_port()
    parts = [configuration.UNGUARDED, configuration.mock_provider(mock.port)]
    text = configuration.gateway(tmp_path / "data", *parts, port=port)
    first = processes.start_gateway(tmp_path / "restarted", text)
    job = mapping(rows(80), *FAST, "-c", "4", url=f"http://127.0.0.1:{port}")
    with job.start() as process:
        wait_until("rows are written", lambda: job.output.exists() and job.output.stat().st_size > 0)
        first.kill()
        second = processes.start_gateway(tmp_path / "restarted", text)
        with second:
            output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (output, errors)
    assert job.ids() == list(range(80))


def test_a_disk_that_is_full_loses_nothing_that_was_told(mapping):
    job = mapping(rows(400), *FAST, "-c", "8")

    def little() -> None:
        # As a full disk does, a write fails; the signal that would end the process is ignored before.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    result = job.run(preexec_fn=little, restore_signals=False)
    assert result.returncode == 1 and "goes on where it stopped" in result.stderr, result
    assert job.run().returncode == 0
    assert job.ids() == list(range(400))


# Trying it out, and being told


def test_a_dry_run_reads_everything_and_sends_nothing(mapping, mock, tmp_path):
    faulty = [*rows(500), "no json", {"id": 501}, *rows(3)]
    job = mapping(faulty, "--model", "smart", "--prompt", "Say {{text}}", "--param", "max_tokens=10")
    before = calls(mock)
    result = job.run("--dry-run", "--sample", "2", "--price", "1,2", "--summary", "json")
    assert result.returncode == 1, result
    told = json.loads(result.stdout)
    assert (told["rows"], told["requests"], told["faulty"]) == (505, 503, 2)
    assert told["output_tokens_max"] == 5030 and 503 * 8 < told["input_tokens"] < 503 * 20
    cost = told["input_tokens"] / 1e6 + told["output_tokens_max"] * 2 / 1e6
    assert told["cost_usd_max"] == pytest.approx(cost)
    assert f"{job.input}:501: " in result.stderr and f"{job.input}:502: no field" in result.stderr
    assert result.stderr.count('"content": "Say word') == 2
    assert calls(mock) == before
    assert not any(path.exists() for path in (job.output, job.errors, job.journal))

    # The price is the configuration's, too.
    config = tmp_path / "priced.toml"
    prices = '"mock/x" = { input = 1.0, output = 2.0 }'
    provider = configuration.provider("p", 1, f"prices = {{ {prices} }}")
    config.write_text(provider + configuration.alias("smart", ("p/mock/x", 1)))
    config.chmod(0o600)
    priced = job.run("--dry-run", "--config", config, "--summary", "json")
    assert json.loads(priced.stdout)["cost_usd_max"] == told["cost_usd_max"], priced
    assert "unknown" in job.run("--dry-run").stdout


def test_a_terminal_sees_a_bar_and_a_file_sees_none(mapping):
    job = mapping(rows(200), *FAST, "-c", "10")
    leader, follower = pty.openpty()
    result = job.start()
    result.communicate(timeout=30)
    assert result.returncode == 0
    shown = subprocess.Popen(
        job.command("--restart"), env={"TERM": "xterm"}, stdout=subprocess.DEVNULL, stderr=follower
    )
    os.close(follower)
    seen = b""
    try:
        while more := os.read(leader, 65536):
            seen += more
    except OSError:
        pass  # the other end has closed
    os.close(leader)
    assert shown.wait(30) == 0
    text = seen.decode(errors="replace")
    assert "%" in text and "/s" in text and "tokens" in text and "left" in text, text


def test_quiet_is_quiet(mapping):
    result = mapping(rows(2), *SAY, "--quiet").run()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


WRONG = {
    "no such file": ["/no/such/file.jsonl", *SAY],
    "a folder": ["/", "--format", "jsonl", *SAY],
    "no form": ["/dev/null", *SAY],
    "nothing to ask": ["in.jsonl", "--model", "m"],
    "two things to ask": ["in.jsonl", *SAY, "--input", "x"],
    "a broken template": ["in.jsonl", "--model", "m", "--prompt", "{{text"],
    "the same for all": ["in.jsonl", "--model", "m", "--prompt", "text"],
    "a column that is none": ["in.csv", "--model", "m", "--prompt", "{{x}}"],
    "no URL": ["in.jsonl", *SAY, "--url", "127.0.0.1"],
    "no key file": ["in.jsonl", *SAY, "--key-file", "/no/such/key"],
    "a member that is ours": ["in.jsonl", *SAY, "--param", "model=x"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_status_two_and_leaves_no_file(arguments, tmp_path):
    write_rows(tmp_path / "in.jsonl", rows(1))
    (tmp_path / "in.csv").write_text("id,text\n1,x\n")
    result = run("map", *arguments, "-o", "out.jsonl", cwd=tmp_path)
    assert result.returncode == 2 and result.stderr and not result.stdout, result
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.jsonl"]


def test_help_page_and_completions_know_the_command():
    told = run("map", "--help").stdout
    for word in ("Examples:", "{{field}}", "Exit codes:", "--max-errors", "--dry-run"):
        assert word in told, word
    assert "--prompt-file" in run("completions", "bash").stdout
    assert "about each row of a file" in run("man").stdout
