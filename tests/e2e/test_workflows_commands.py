"""`tidegate workflow`: with a gateway, and without one."""

from __future__ import annotations

import json

from support import configuration
from support.processes import run
from support.workflows import (
    WAITS,
    Recorded,
    answer,
    model,
    over,
    ready,
    said,
    thirty,
)


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
