"""Advice: it comes with its evidence and not without, is written into the file and taken out of it again, byte for
byte, and nothing is written that nobody would take."""

from __future__ import annotations

import json
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import configuration, processes
from support.processes import Daemon, configured, run, write
from support.raw import Response, ask, chat, complete
from support.upstream import Upstream, completion, reply
from support.waiting import wait_until

QUICK = "[advice]\nrequests_min = 20\n"
# An alias whose cache is off, with a comment on every line that is to outlast what is done to the file.
OFF = """# Written by hand.
[models.smart] # for everybody
targets = [ { model = "mock/instant" } ] # one
cache = { ttl = "1m", enabled = false } # off for now
# The end.
"""
ENABLED = "models.smart.cache.enabled"


@pytest.fixture
def gateway(launch, mock) -> Daemon:
    return launch(configuration.mock_provider(mock.port), QUICK, OFF)


def view(gateway: Daemon) -> dict:
    return ask(gateway.admin_port, "GET", "/admin/advice").json()


def post(gateway: Daemon, path: str) -> Response:
    return ask(gateway.admin_port, "POST", f"/admin/advice/{path}", b"")


def question(content: str, **options) -> dict:
    return chat("smart", content, **{"temperature": 0, **options})


def repeat(gateway: Daemon, count: int = 30, **options) -> None:
    body = question(f"again {uuid.uuid4().hex}", **options)
    for _ in range(count):
        assert complete(gateway.port, body).status == 200


def advised(gateway: Daemon, rule: str = "duplicates") -> dict:
    """The one piece of advice of a rule, once it is there."""

    def there() -> dict | None:
        return next((advice for advice in view(gateway)["advice"] if advice["rule"] == rule), None)

    return wait_until(f"advice of the rule {rule}", there)


def seen(gateway: Daemon, count: int) -> None:
    """Until so many requests have been looked at."""

    def counted() -> int:
        figures = ask(gateway.admin_port, "GET", "/admin/performance?by=alias&window=1h").json()
        return sum(row["rates"]["requests"] for row in figures["aliases"])

    wait_until("the requests are counted", lambda: counted() >= count)


def measured(advice: dict) -> dict:
    return {row["name"]: row["value"] for row in advice["evidence"]}


def status_of_cache(gateway: Daemon) -> str | None:
    """What the cache has to do with a question that was asked just before."""
    body = question(f"twice {uuid.uuid4().hex}")
    complete(gateway.port, body)
    return complete(gateway.port, body).header("x-tidegate-cache")


def test_questions_that_repeat_are_told_and_others_are_not(gateway):
    for _ in range(40):
        assert complete(gateway.port, question(uuid.uuid4().hex)).status == 200
    seen(gateway, 40)
    assert view(gateway)["advice"] == []
    repeat(gateway, 19)
    repeat(gateway, 11, user="another")
    advice = advised(gateway)
    evidence = measured(advice)
    assert (evidence["requests"], evidence["repeated"]) == (70, 28)
    assert evidence["repeated_share"] == pytest.approx(0.4)
    assert advice["saving"]["requests_share"] == pytest.approx(0.4)
    assert advice["saving"]["usd_per_day"] is None, "a few seconds are no pace of a day"
    assert advice["change"] == [{"key": ENABLED, "from": False, "to": True}]
    assert advice["safe"] and advice["subject"] == "smart"


def test_a_caller_who_wants_no_cache_is_no_evidence(gateway):
    body = question("the same")
    for _ in range(40):
        assert complete(gateway.port, body, cache_control="no-store").status == 200
    seen(gateway, 40)
    assert view(gateway)["advice"] == []


def test_advice_is_applied_holds_and_is_taken_back_byte_for_byte(gateway):
    before = configured(gateway)
    assert view(gateway)["file"] == {
        "path": str(gateway.folder / "tidegate.toml"),
        "editable": True,
        "why_not": None,
    }
    repeat(gateway)
    advice = advised(gateway)
    assert status_of_cache(gateway) == "bypass; reason=disabled"

    applied = post(gateway, f"{advice['id']}/apply")
    assert applied.status == 200, applied.body
    assert applied.json()["change"] == [{"key": ENABLED, "from": "false", "to": True}]
    assert configured(gateway) == before.replace("enabled = false", "enabled = true")
    assert status_of_cache(gateway) == "hit; tier=memory", "it holds when it is answered"
    after = view(gateway)
    assert after["advice"] == [] and [row["id"] for row in after["applied"]] == [advice["id"]]
    again = post(gateway, f"{advice['id']}/apply")
    assert (again.status, again.error()["code"]) == (409, "advice_applied")

    reverted = post(gateway, f"{advice['id']}/revert")
    assert reverted.status == 200, reverted.body
    assert configured(gateway) == before
    assert status_of_cache(gateway) == "bypass; reason=disabled"
    assert view(gateway)["applied"] == []
    assert advised(gateway)["id"] == advice["id"], "what was seen is still there"
    assert post(gateway, f"{advice['id']}/revert").status == 404
    assert sorted(path.name for path in gateway.folder.iterdir()) == ["data", "log", "tidegate.toml"]


def test_what_was_applied_can_be_taken_back_after_a_restart(launch, mock, tmp_path):
    folder = tmp_path / "own"
    parts = configuration.mock_provider(mock.port), QUICK, OFF
    before = configuration.gateway(folder / "data", *parts)
    with processes.start_gateway(folder, before) as first:
        repeat(first)
        advice = advised(first)
        assert post(first, f"{advice['id']}/apply").status == 200
        written = configured(first)
    with processes.start_gateway(folder, written) as second:
        wait_until("what was applied", lambda: view(second)["applied"])
        assert [row["id"] for row in view(second)["applied"]] == [advice["id"]]
        assert status_of_cache(second) == "hit; tier=memory"
        assert post(second, f"{advice['id']}/revert").status == 200
        assert configured(second) == before


def test_a_file_that_was_changed_meanwhile_is_not_taken_back(gateway):
    repeat(gateway)
    advice = advised(gateway)
    assert post(gateway, f"{advice['id']}/apply").status == 200
    # What else is written stays, and is no reason not to.
    written = configured(gateway)
    changed = written.replace("enabled = true", "").replace("# The end.", "# Changed.")
    write(gateway, changed)
    refused = post(gateway, f"{advice['id']}/revert")
    assert (refused.status, refused.error()["code"]) == (409, "config_changed")
    assert ENABLED in refused.error()["message"]
    assert configured(gateway) == changed
    write(gateway, written.replace("# The end.", "# Changed."))
    assert post(gateway, f"{advice['id']}/revert").status == 200
    assert configured(gateway).endswith("enabled = false } # off for now\n# Changed.\n")


def test_a_note_of_what_was_taken_back_can_be_removed_later(gateway):
    before = configured(gateway)
    repeat(gateway)
    advice = advised(gateway)
    assert post(gateway, f"{advice['id']}/apply").status == 200
    # In the place of what the note is written to.
    blocked = gateway.folder / "data" / "advice.new"
    blocked.mkdir()
    told = post(gateway, f"{advice['id']}/revert")
    assert (told.status, told.error()["code"]) == (409, "advice_not_forgotten"), told.body
    assert "was written" in told.error()["message"] and "Nothing" not in told.error()["message"]
    assert configured(gateway) == before and status_of_cache(gateway) == "bypass; reason=disabled"
    blocked.rmdir()
    assert [row["id"] for row in view(gateway)["applied"]] == [advice["id"]]
    assert post(gateway, f"{advice['id']}/revert").status == 200
    assert configured(gateway) == before and view(gateway)["applied"] == []


def test_a_file_with_a_fault_is_left_alone(gateway):
    repeat(gateway)
    advice = advised(gateway)
    faulty = configured(gateway).replace('ttl = "1m"', 'ttl = "soon"')
    write(gateway, faulty)
    refused = post(gateway, f"{advice['id']}/apply")
    assert (refused.status, refused.error()["code"]) == (409, "config_refused")
    assert configured(gateway) == faulty
    assert view(gateway)["applied"] == []


def test_what_a_variable_says_is_not_written_in_vain(launch, mock):
    gateway = launch(
        configuration.mock_provider(mock.port),
        QUICK,
        OFF,
        TIDEGATE__MODELS__SMART__CACHE__ENABLED="false",
    )
    before = configured(gateway)
    repeat(gateway)
    refused = post(gateway, f"{advised(gateway)['id']}/apply")
    assert (refused.status, refused.error()["code"]) == (409, "config_overridden")
    assert configured(gateway) == before


def test_what_may_change_answers_is_for_people_to_decide(gateway):
    before = configured(gateway)
    repeat(gateway, temperature=1)
    advice = advised(gateway)
    keys = [change["key"] for change in advice["change"]]
    assert keys == [ENABLED, "models.smart.cache.any_temperature"] and not advice["safe"]
    refused = post(gateway, f"{advice['id']}/apply")
    assert (refused.status, refused.error()["code"]) == (409, "advice_unsafe")
    assert configured(gateway) == before


def test_other_formats_are_read_and_not_written(mock, tmp_path):
    folder = tmp_path / "json"
    folder.mkdir()
    path = folder / "tidegate.json"
    provider = {"preset": "openai-compatible", "base_url": f"{mock.url}/v1", "api_key": "x"}
    alias = {"targets": [{"model": "mock/instant"}], "cache": {"enabled": False}}
    said = {
        "data": str(folder / "data"),
        "server": {"listen": "127.0.0.1:0"},
        "admin": {"listen": "127.0.0.1:0"},
        "advice": {"requests_min": 20},
        "providers": {"mock": provider},
        "models": {"smart": alias},
    }
    path.write_text(json.dumps(said))
    with Daemon(["serve", "--config", path], folder) as gateway:
        repeat(gateway)
        advice = advised(gateway)
        file = view(gateway)["file"]
        assert not file["editable"] and "TOML" in file["why_not"]
        refused = post(gateway, f"{advice['id']}/apply")
        assert (refused.status, refused.error()["code"]) == (409, "config_not_editable")
        assert json.loads(path.read_text()) == said


def test_without_a_file_there_is_nothing_to_write_to(mock, tmp_path):
    folder = tmp_path / "none"
    environment = {
        "TIDEGATE__DATA": str(folder / "data"),
        "TIDEGATE__SERVER__LISTEN": "127.0.0.1:0",
        "TIDEGATE__ADMIN__LISTEN": "127.0.0.1:0",
    }
    with Daemon(["serve"], folder, environment) as gateway:
        said = view(gateway)
        assert said["file"]["path"] is None and not said["file"]["editable"]
        assert "--config" in said["file"]["why_not"]
        assert post(gateway, "duplicates-0000000000000000/apply").status == 404


def test_several_who_apply_at_once_write_once(gateway):
    repeat(gateway)
    advice = advised(gateway)
    before = configured(gateway)
    codes: list[int] = []

    def apply() -> None:
        codes.append(post(gateway, f"{advice['id']}/apply").status)

    threads = [threading.Thread(target=apply) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(200) == 1 and set(codes) <= {200, 409, 503}, codes
    assert post(gateway, f"{advice['id']}/revert").status == 200
    assert configured(gateway) == before


def test_a_folder_that_cannot_be_written_to_is_told(gateway):
    if os.geteuid() == 0:
        # Permissions hold nobody of that name up: a folder in the place of what is to be written does.
        blocked = gateway.folder / ".tidegate.advice.toml"
        blocked.mkdir()
    else:
        blocked = gateway.folder
        blocked.chmod(0o500)
    repeat(gateway)
    refused = post(gateway, f"{advised(gateway)['id']}/apply")
    assert (refused.status, refused.error()["code"]) == (409, "config_not_written")
    assert view(gateway)["applied"] == []
    blocked.chmod(0o700)


def test_a_weight_is_written_where_one_target_is_far_slower(launch):
    def answering(seconds: float):
        def answer(connection, _request) -> None:
            threading.Event().wait(seconds)
            connection.sendall(reply("200 OK", completion()))

        return answer

    with Upstream(answering(0.0)) as quick, Upstream(answering(0.7)) as slow:
        prices = 'prices = { "m" = { input = 1.0, output = 4.0 } }'
        gateway = launch(
            "[cache]\nenabled = false\n",
            configuration.provider("quick", quick.port, prices),
            configuration.provider("slow", slow.port, prices),
            QUICK.replace("20", "10"),
            configuration.alias("smart", ("slow/m", 1), ("quick/m", 1), affinity=False),
        )
        before = configured(gateway)
        with ThreadPoolExecutor(8) as callers:
            asked = [callers.submit(complete, gateway.port, question(uuid.uuid4().hex)) for _ in range(60)]
        assert {answer.result().status for answer in asked} == {200}
        advice = advised(gateway, "skew")
        assert advice["safe"] and measured(advice)["slower_target"] == "slow/m"
        assert advice["saving"]["seconds_p95"] > 0
        weight = advice["change"][0]["to"]
        assert post(gateway, f"{advice['id']}/apply").status == 200
        assert weight > 1 and f'{{ model = "quick/m", weight = {weight} }}' in configured(gateway)
        assert post(gateway, f"{advice['id']}/revert").status == 200
        assert configured(gateway) == before


def test_the_command_lists_applies_and_takes_back(gateway):
    repeat(gateway)
    advice = advised(gateway)
    admin = ["--admin", f"http://127.0.0.1:{gateway.admin_port}"]
    before = configured(gateway)

    def said(*words: str) -> str:
        result = run("advice", *words, *admin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    listed = said("list")
    assert f"tidegate advice apply {advice['id']}" in listed and f"{ENABLED}: false -> true" in listed
    assert json.loads(said("list", "--json"))["advice"][0]["id"] == advice["id"]
    assert Path(gateway.folder / "tidegate.toml").as_posix() in said("apply", advice["id"])
    assert "applied" in said("list")
    assert json.loads(said("revert", advice["id"], "--json"))["id"] == advice["id"]
    assert configured(gateway) == before
    unknown = run("advice", "revert", advice["id"], *admin)
    assert unknown.returncode == 1 and "no such advice" in unknown.stderr
