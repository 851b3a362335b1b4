"""Keys made and revoked while the gateway runs, valid while its database is away, and what is used with them."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
import uuid
from collections import Counter
from pathlib import Path

import pytest
from support import configuration, keys, processes, simlog
from support.keys import create, requests, revoke, states, status, usage, use
from support.processes import Daemon
from support.prompts import directive
from support.raw import Response, ask, chat, complete
from support.remembering import answers, crowd, question, told
from support.secrets import ADMIN_KEY, add_canary
from support.waiting import wait_until

# A key of a key's form that nobody has.
STRANGER = "tg-StrangerAAAA-" + "x" * 43


def folder_of(gateway: Daemon) -> Path:
    return gateway.folder / "data"


def again(gateway: Daemon, name: str) -> Daemon:
    """Another process with the same file and the same data."""
    return processes.start_gateway(gateway.folder.parent / name, processes.configured(gateway))


def used(gateway: Daemon, sql: str) -> list[sqlite3.Row]:
    """What this statement says of the gateway's database."""
    database = sqlite3.connect(folder_of(gateway) / "tidegate.db")
    database.row_factory = sqlite3.Row
    with database:
        rows = database.execute(sql).fetchall()
    database.close()
    return rows


# Making, changing, revoking


def test_a_key_is_valid_as_soon_as_it_is_made_and_no_longer_than_it_is_revoked(launch):
    gateway = launch()
    assert status(gateway, None) == 200 and not (folder_of(gateway) / "tidegate.db").exists()
    made = create(gateway, tenant="search", models=["sim/*"], requests_per_minute=100)
    add_canary(made["key"][16:])
    assert (made["tenant"], made["models"], made["state"]) == ("search", ["sim/*"], "valid")
    answer = use(gateway, made["key"])
    assert answer.status == 200 and answer.header("x-ratelimit-limit-requests") == "100"
    assert status(gateway, None) == 401, "whoever has none is out from now on"
    assert use(gateway, made["key"], "mock/none").status == 403
    revoke(gateway, made["id"])
    assert (status(gateway, made["key"]), status(gateway, None)) == (401, 401)
    revoke(gateway, made["id"])
    assert states(gateway) == {made["id"]: "revoked"}
    taken = keys.admin(gateway, "POST", "/admin/keys", {"id": made["id"]})
    assert (taken.status, taken.error()["code"]) == (409, "key_exists"), "an id is not given twice"


def test_operators_ask_in_the_place_of_whoever_has_one(launch):
    gateway = launch()
    made = create(gateway, tenant="search", models=["sim/instant"])

    def explain(**whose: str) -> Response:
        return keys.admin(gateway, "POST", "/admin/explain", {"body": chat("sim/instant"), **whose})

    told = explain(key=made["id"])
    assert told.status == 200 and told.json()["caller"] == {"key": made["id"], "tenant": "search", "refused": None}
    assert explain().status == 400, "callers need keys here"
    played = keys.admin(gateway, "POST", "/admin/playground", {"body": chat("sim/instant"), "key": made["id"]})
    assert played.status == 200, played.body
    revoke(gateway, made["id"])
    assert explain(key=made["id"]).status == 400


def test_settings_change_without_a_new_secret(launch):
    gateway = launch()
    made = create(gateway, tenant="search", requests_per_minute=100)
    told = keys.change(gateway, made["id"], requests_per_minute=None, models=["sim/fast"])
    assert told.status == 200, told.body
    assert (told.json()["tenant"], told.json()["requests_per_minute"]) == ("search", None)
    assert use(gateway, made["key"], "sim/instant").status == 403
    assert use(gateway, made["key"], "sim/fast").header("x-ratelimit-limit-requests") is None
    revoke(gateway, made["id"])
    assert keys.change(gateway, made["id"], tenant="other").status == 404


def test_a_key_that_cannot_be_read_is_not_opened_by_a_change(launch):
    gateway = launch()
    made = create(gateway, tenant="search", models=["sim/fast"])
    with sqlite3.connect(folder_of(gateway) / "tidegate.db") as database:
        database.execute("UPDATE keys SET settings = X'5b315d'")
        database.execute("UPDATE versions SET version = version + 1 WHERE name = 'keys'")
    database.close()
    wait_until("it is read anew", lambda: states(gateway)[made["id"]] == "unreadable")
    told = keys.change(gateway, made["id"], priority="low")
    assert (told.status, told.error()["code"]) == (409, "key_unreadable"), told.body
    assert states(gateway)[made["id"]] == "unreadable" and status(gateway, made["key"]) == 401
    revoke(gateway, made["id"])


def test_what_is_wrong_is_said_with_its_place(launch):
    gateway = launch()
    for asked, param in [
        ({"tenant": "a b"}, "tenant"),
        ({"hash": "b3:00"}, "hash"),
        ({"id": "search"}, "id"),
        ({"modles": []}, "modles"),
        ({"priority": "urgent"}, "priority"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
    ]:
        response = keys.admin(gateway, "POST", "/admin/keys", asked)
        assert (response.status, response.error()["param"]) == (400, param), response.body
    for method, path, expected in [
        ("GET", f"/admin/keys/{STRANGER[:15]}", 404),
        ("DELETE", f"/admin/keys/{STRANGER[:15]}", 404),
        ("PUT", "/admin/keys", 405),
        ("GET", "/admin/usage?from=yesterday", 400),
    ]:
        assert ask(gateway.admin_port, method, path).status == expected, path
    assert keys.change(gateway, STRANGER[:15], tenant="x").status == 404
    assert usage(gateway) == []
    assert not (folder_of(gateway) / "tidegate.db").exists(), "nobody needed a database"


def test_a_key_of_the_file_is_the_files(tmp_path):
    made = processes.create_key()
    text = configuration.gateway(tmp_path / "data", configuration.key_row(made, tenant="file"))
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        assert status(gateway, made["key"]) == 200
        for method in ("DELETE", "PATCH"):
            response = keys.admin(gateway, method, f"/admin/keys/{made['id']}", {})
            assert (response.status, response.error()["code"]) == (409, "key_of_file"), response.body
        stored = create(gateway)
        assert status(gateway, stored["key"]) == status(gateway, made["key"]) == 200
        shown = keys.admin(gateway, "GET", "/admin/keys").json()["keys"]
        assert {key["source"] for key in shown} == {"file", "store"}
        revoke(gateway, stored["id"])
        assert (status(gateway, stored["key"]), status(gateway, made["key"])) == (401, 200)


def test_operators_make_list_and_revoke_keys_and_see_what_was_used(launch):
    gateway = launch()
    admin = ["--admin", f"http://127.0.0.1:{gateway.admin_port}"]
    made = processes.run("keys", "create", "--stored", "--tenant", "search", "--priority", "low", "--json", *admin)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert status(gateway, key["key"]) == 200
    listed = processes.run("keys", "list", *admin).stdout
    assert key["id"] in listed and "search" in listed and key["key"] not in listed
    table = processes.run("usage", *admin)
    assert table.returncode == 0 and "sim/instant" in table.stdout, table.stderr
    rows = json.loads(processes.run("usage", "--tenant", "search", "--json", *admin).stdout)["usage"]
    assert [(row["key"], row["requests"]) for row in rows] == [(key["id"], 1)]
    assert processes.run("keys", "revoke", key["id"], *admin).stdout == f"{key['id']} is revoked\n"
    assert status(gateway, key["key"]) == 401
    refused = processes.run("keys", "revoke", STRANGER[:15], *admin)
    assert refused.returncode == 1 and "no such key" in refused.stderr


# Without the database


@pytest.fixture
def apart(launch, tmp_path):
    """A gateway whose database is in a folder of its own, so that it can be taken away."""
    place = tmp_path / "database"
    gateway = launch(configuration.table("store", url=f"sqlite:{place}/tidegate.db", wait="300ms"))
    return gateway, place


def test_a_start_without_the_database_knows_the_keys_and_learns_the_others_later(apart):
    gateway, place = apart
    kept, gone = create(gateway, tenant="search"), create(gateway)
    revoke(gateway, gone["id"])
    gateway.stop()
    copy = folder_of(gateway) / "keys.cache"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert kept["key"][16:] not in copy.read_text()
    # Another replica makes a key meanwhile: the copy does not know it.
    elsewhere = processes.configured(gateway).replace(str(folder_of(gateway)), str(place.with_name("data")))
    with processes.start_gateway(place.with_name("elsewhere"), elsewhere) as replica:
        new = create(replica)
    place.rename(place.with_name("aside"))
    place.write_text("a file where a folder should be")
    with again(gateway, "next") as after:
        assert status(after, kept["key"]) == 200
        for unsure in (new["key"], gone["key"], STRANGER):
            response = use(after, unsure)
            assert (response.status, response.error()["code"]) == (503, "store_away"), response.body
            assert int(response.header("retry-after")) >= 1
        assert (status(after, "unused"), status(after, None)) == (401, 401)
        response = keys.admin(after, "POST", "/admin/keys", {})
        assert (response.status, response.error()["code"]) == (503, "store_away")
        place.unlink()
        place.with_name("aside").rename(place)
        wait_until("the store is read", lambda: status(after, STRANGER) == 401, 20)
        assert status(after, new["key"]) == status(after, kept["key"]) == 200
        assert status(after, gone["key"]) == 401


def test_keys_outlive_a_database_that_is_locked(apart):
    gateway, place = apart
    made = create(gateway)
    lock = sqlite3.connect(place / "tidegate.db", isolation_level=None, timeout=30)
    lock.execute("BEGIN IMMEDIATE")
    try:
        for _ in range(20):
            assert status(gateway, made["key"]) == 200
        response = keys.admin(gateway, "POST", "/admin/keys", {})
        assert (response.status, response.error()["code"]) == (503, "store_away")
    finally:
        lock.execute("ROLLBACK")
        lock.close()

    def written() -> bool:
        response = keys.admin(gateway, "GET", "/admin/usage")
        return response.status == 200 and [row["requests"] for row in response.json()["usage"]] == [20]

    wait_until("it is written", written)


def test_a_database_that_was_emptied_opens_nothing(apart):
    gateway, place = apart
    made = create(gateway)
    gateway.stop()
    for file in place.iterdir():
        file.unlink()
    with again(gateway, "emptied") as emptied:
        assert status(emptied, None) == 401
        fresh = create(emptied)
        assert (status(emptied, made["key"]), status(emptied, fresh["key"])) == (401, 200)
    (folder_of(gateway) / "keys.cache").write_bytes(b"torn")
    place.rename(place.with_name("aside"))
    place.write_text("")
    with again(gateway, "torn") as torn:
        assert (status(torn, None), status(torn, fresh["key"])) == (401, 503)
        assert "keys.cache is ignored" in torn.log()


def test_where_keys_are_required_nobody_calls_before_there_is_one(tmp_path):
    server = ['keys = "required"']
    text = configuration.gateway(tmp_path / "data", server=server)
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        assert status(gateway, None) == 401
        assert status(gateway, create(gateway)["key"]) == 200


def test_stored_keys_may_guard_a_listener_beyond_loopback(tmp_path):
    listener = '[server]\nlisten = "0.0.0.0:0"\n'
    environment = {"TIDEGATE_ADMIN_KEY": ADMIN_KEY}
    for more, code in [("", 2), ('keys = "required"\n', 0)]:
        path = tmp_path / "tidegate.toml"
        path.write_text(listener + more)
        checked = processes.run("check", "--config", path, environment=environment)
        assert checked.returncode == code, checked.stderr
    assert "keys required: those of the store" in checked.stdout


def test_two_gateways_on_one_database_see_each_others_changes(tmp_path):
    url = configuration.table("store", url=f"sqlite:{tmp_path}/both.db")
    texts = [configuration.gateway(tmp_path / name, url) for name in ("one", "other")]
    with (
        processes.start_gateway(tmp_path / "a", texts[0]) as one,
        processes.start_gateway(tmp_path / "b", texts[1]) as other,
    ):
        made = create(one)
        wait_until("the other knows it", lambda: status(other, made["key"]) == 200 and status(other, None) == 401)
        revoke(other, made["id"])
        wait_until("the one knows that it is revoked", lambda: status(one, made["key"]) == 401)


# What was used


def asked(gateway: Daemon, key: str, count: int) -> None:
    """So many requests from several connections at once, each with an answer of its own."""

    def ask_some(part: range) -> None:
        for number in part:
            assert use(gateway, key, content=f"number {number}").status == 200

    parts = [range(at, count, 4) for at in range(4)]
    threads = [threading.Thread(target=ask_some, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_usage_adds_up_exactly_over_drains(launch):
    gateway = launch()
    search, other = create(gateway, tenant="search"), create(gateway)
    asked(gateway, search["key"], 40)
    asked(gateway, other["key"], 12)
    assert use(gateway, other["key"], "nobody/nothing").status == 404
    for _ in range(2):
        assert use(gateway, other["key"], temperature=0).status == 200
    gateway.stop()
    with again(gateway, "next") as after:
        assert requests(after) == Counter({search["id"]: 40, other["id"]: 15})
        assert requests(after, "tenant=search") == Counter({search["id"]: 40})
        assert requests(after, f"key={other['id']}&from=2020-01-01") == Counter({other["id"]: 15})
        assert requests(after, "to=2020-01-01&from=2019-01-01") == Counter()
        rows = {(row["key"], row["model"]): row for row in usage(after)}
        plain, failed = rows[other["id"], "sim/instant"], rows[other["id"], "other"]
        assert (failed["requests"], failed["failed"], plain["failed"]) == (1, 1, 0)
        assert plain["hits"] == 1 and plain["tokens_in"] > 0 and plain["tokens_out"] > 0
        asked(after, search["key"], 5)
        assert requests(after)[search["id"]] == 45, "what is not yet written is written before it is shown"


PRICED = 'prices = { instant = { input = 2.0, output = 10.0 } }'


def priced(usage_row: dict) -> float:
    """What so many tokens cost at these prices, in dollars."""
    return (usage_row["tokens_in"] * 2.0 + usage_row["tokens_out"] * 10.0) / 1e6


def test_streams_and_prices_are_charged(launch, mock):
    gateway = launch(configuration.provider("priced", mock.port, 'models = ["instant"]', PRICED))
    made = create(gateway)
    whole = use(gateway, made["key"], "priced/instant", content="one")
    stream = use(gateway, made["key"], "priced/instant", content="two", stream=True)
    assert (whole.status, stream.status) == (200, 200)
    # Fetched by a flight that others may board.
    for flag in (True, False):
        shared = use(gateway, made["key"], "priced/instant", content="three", temperature=0, stream=flag)
        assert shared.status == 200
    (row,) = usage(gateway)
    spent = whole.json()["usage"]
    assert (row["requests"], row["hits"]) == (4, 1) and row["tokens_in"] >= spent["prompt_tokens"]
    assert row["tokens_out"] > spent["completion_tokens"], "the stream's too"
    assert abs(row["cost_usd"] - priced(row)) < 1e-9


def test_a_call_is_paid_once_by_whoever_had_it_made_though_they_leave(launch, mock):
    gateway = launch(configuration.provider("priced", mock.port, 'models = ["instant"]', PRICED))
    first, second = (create(gateway, tenant="search") for _ in range(2))
    content, mark = directive(first_token="500ms", between_tokens="50ms", tokens=40), uuid.uuid4().hex
    body = question("priced/instant", content=content, stream=True)
    begun = {"authorization": f"Bearer {first['key']}", "x_request_id": mark}
    with crowd(gateway, body, 1, **begun) as (leaver,):
        simlog.asked(mock, mark)
        with crowd(gateway, body, 5, authorization=f"Bearer {second['key']}") as others:
            leaver.response_head()
            for _ in range(5):
                leaver.until(b"\n\n")
            leaver.socket.close()
            assert {told(response) for response in answers(others)} == {"coalesced"}
    rows = {row["key"]: row for row in usage(gateway)}
    paid, came_along = rows[first["id"]], rows[second["id"]]
    alone = complete(mock.port, {**body, "model": "instant", "stream": False}).json()["usage"]
    spent = (paid["tokens_in"], paid["tokens_out"])
    assert spent == (alone["prompt_tokens"], alone["completion_tokens"])
    assert abs(paid["cost_usd"] - priced(paid)) < 1e-9 < paid["cost_usd"]
    assert (paid["requests"], came_along["requests"]) == (1, 5)
    assert (came_along["tokens_in"], came_along["tokens_out"], came_along["cost_usd"]) == (0, 0, 0)


def test_what_the_cache_asks_for_a_caller_is_that_caller_s_to_pay(launch, mock):
    """A question that is compared with others' is embedded by a provider."""
    gateway = launch(
        configuration.provider("priced", mock.port, 'models = ["instant"]', PRICED),
        configuration.alias("kin", ("priced/instant", 1), cache="semantic = true"),
        configuration.table("cache.semantic", embedder="priced/instant"),
    )
    made = create(gateway)
    assert use(gateway, made["key"], "kin", content="How do I delete a file?", temperature=0).status == 200
    rows = wait_until("its text is embedded", lambda: (rows := usage(gateway)) and len(rows) == 2 and rows)
    (of_embedding,) = (row for row in rows if row["model"] == "priced/instant")
    assert (of_embedding["key"], of_embedding["requests"]) == (made["id"], 0)
    assert of_embedding["tokens_in"] > 0 and abs(of_embedding["cost_usd"] - priced(of_embedding)) < 1e-9


def test_usage_is_kept_for_as_long_as_is_said(launch):
    gateway = launch(configuration.table("store", keep_usage="48h"))
    made = create(gateway)
    asked(gateway, made["key"], 3)
    gateway.stop()
    (today,) = (row["day"] for row in used(gateway, "SELECT * FROM usage"))
    for days_ago in range(1, 6):
        used(gateway, f"INSERT INTO usage SELECT {today - days_ago}, 'old', tenant, model, 1, 0, 0, 0, 0, 0 FROM usage LIMIT 1")
    with again(gateway, "next") as after:
        # What began 48 hours ago is not over for as long; the day may have changed meanwhile.
        wait_until("the old days are forgotten", lambda: requests(after, "from=1970-01-01")["old"] <= 2)
        left = requests(after, "from=1970-01-01")
        assert left["old"] in (1, 2) and left[made["id"]] == 3


def test_a_kill_costs_no_more_than_what_was_not_yet_written(launch):
    gateway = launch()
    made = create(gateway)
    asked(gateway, made["key"], 30)
    # Written behind everybody's back, a few seconds later at most.
    database = sqlite3.connect(f"file:{folder_of(gateway) / 'tidegate.db'}?mode=ro", uri=True)
    written = lambda: (database.execute("SELECT sum(requests) FROM usage").fetchone()[0] or 0) >= 30  # noqa: E731
    wait_until("it is written", written, 15)
    database.close()
    asked(gateway, made["key"], 7)
    gateway.kill()
    with again(gateway, "next") as after:
        assert 30 <= requests(after)[made["id"]] <= 37


def test_a_caller_without_a_key_makes_no_database_and_is_counted_where_there_is_one(launch):
    gateway = launch()
    for _ in range(3):
        assert status(gateway, None) == 200
    assert usage(gateway) == []
    gateway.stop()
    assert not (folder_of(gateway) / "tidegate.db").exists(), "also at the end nothing was to be written"
    with again(gateway, "next") as after:
        wait_until("a store", lambda: ask(after.port, "GET", "/v1/jobs").status == 200)
        assert status(after, None) == 200
        assert requests(after) == Counter({"": 1})


def test_a_key_of_the_file_is_counted_in_a_database_made_for_it(tmp_path):
    made = processes.create_key()
    text = configuration.gateway(tmp_path / "data", configuration.key_row(made))
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        assert status(gateway, made["key"]) == 200
    with processes.start_gateway(tmp_path / "next", text) as after:
        assert requests(after) == Counter({made["id"]: 1})
        assert os.stat(tmp_path / "data" / "keys.cache").st_size > 0
