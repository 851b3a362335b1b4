"""Alerts: what fires is told to everybody who is to hear of it, once, and so is its end; nobody who hangs delays
anybody else."""

from __future__ import annotations

import json
import re
import threading

import pytest
from support import alerts, configuration, processes
from support.alertmanager import Alertmanager
from support.alerts import (
    QUICK,
    Provider,
    Traffic,
    firing,
    over,
    receiver,
    shown,
    silence,
    states,
    told,
    webhook,
)
from support.jobs import Application
from support.mail import MailServer
from support.processes import run
from support.raw import ask, chat, complete
from support.upstream import Upstream, reply
from support.waiting import wait_until


@pytest.fixture
def provider():
    with Provider() as provider:
        yield provider


def parts(provider: Provider, *receivers: str) -> list[str]:
    return [configuration.UNGUARDED, configuration.provider("own", provider.port), QUICK, *receivers]


def asking(gateway) -> Traffic:
    return Traffic(lambda: complete(gateway.port, chat("own/m")))


def hangs(_connection, _request) -> None:
    """Never answers; the connection stays open until the server ends."""
    threading.Event().wait(60)


def ok(connection, _request) -> None:
    connection.sendall(reply("200 OK", b"ok"))


def test_errors_fire_are_told_once_and_are_over(provider, launch):
    with Application() as pager:
        gateway = launch(*parts(provider, webhook("pager", pager.url)))
        with asking(gateway):
            provider.fails = True
            alert = firing(gateway, "errors")
            assert alert["severity"] == "critical" and alert["value"] > 0.01
            assert "error_share is" in alert["description"]
            wait_until("the pager is told", lambda: pager.told)
            metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
            assert 'tidegate_alerts{state="firing",severity="critical"} 1' in metrics
            provider.fails = False
            over(gateway, "errors")
        wait_until("the pager is told that it is over", lambda: len(pager.told) == 2)
        assert told(pager) == [("firing", "errors"), ("resolved", "errors")]
        history = [(event["name"], event["state"]) for event in shown(gateway)["history"]]
        assert history == [("errors", "resolved"), ("errors", "firing")]
        metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
        assert 'tidegate_alert_notifications_total{receiver="pager",result="ok"} 2' in metrics


def test_a_receiver_that_hangs_delays_nobody(provider, launch):
    with Application() as pager, Upstream(hangs) as hanging, Upstream(ok) as chat_room, MailServer() as mail:
        gateway = launch(
            *parts(
                provider,
                webhook("hanging", f"http://127.0.0.1:{hanging.port}/", timeout="60s"),
                webhook("pager", pager.url),
                receiver("room", "slack", url=f"http://127.0.0.1:{chat_room.port}/services/x"),
                receiver(
                    "mail",
                    "email",
                    server=f"127.0.0.1:{mail.port}",
                    tls="none",
                    to=["On call <on-call@example.com>", "other@example.com"],
                    **{"from": "Tidegate <tidegate@example.com>"},
                ),
            )
        )
        with asking(gateway):
            provider.fails = True
            firing(gateway, "errors")
            provider.fails = False
            over(gateway, "errors")
            wait_until("the pager is told of both", lambda: len(pager.told) == 2)
            wait_until("the room is told of both", lambda: len(chat_room.requests) == 2)
            wait_until("both letters are there", lambda: len(mail.letters) == 2)
            # All that while the first one has not answered once, and callers are served.
            assert len(hanging.requests) == 1
            assert complete(gateway.port, chat("own/m")).status == 200
        rows = {row["name"]: row for row in shown(gateway)["receivers"]}
        assert (rows["hanging"]["ok"], rows["hanging"]["waiting"]) == (0, 1)
        assert (rows["mail"]["ok"], rows["mail"]["healthy"]) == (2, True)
        letter = mail.letters[0]
        assert (letter.sender, letter.recipients) == (
            "tidegate@example.com",
            ["on-call@example.com", "other@example.com"],
        )
        assert letter.message["subject"].startswith("[FIRING:1] errors")
        assert "error_share is" in letter.message.get_content()
        assert mail.letters[1].message["subject"].startswith("[RESOLVED] errors")
        slack = [request.json() for request in chat_room.requests]
        assert [said["attachments"][0]["color"] for said in slack] == ["danger", "good"]


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(provider, launch):
    answers = iter([b"500 Internal Server Error", b"429 Too Many Requests"])

    def at_last(connection, _request) -> None:
        connection.sendall(reply(next(answers, b"200 OK").decode(), b"{}"))

    with Application(at_last) as pager:
        gateway = launch(*parts(provider, webhook("pager", pager.url, resolved=False)))
        with asking(gateway):
            provider.fails = True
            firing(gateway, "errors")
            wait_until("the third attempt is taken", lambda: shown(gateway)["receivers"][0]["ok"] == 1, 30)
        assert len(pager.told) == 3 and len({event.id for event in pager.told}) == 1
        row = shown(gateway)["receivers"][0]
        assert row["healthy"] and row["last_fault"]["words"] == "it answered 429"


def test_alertmanager_takes_it_and_says_the_same_as_we(provider, launch, tmp_path):
    """The real one: it shows our alert under our fingerprint, is told of its end, and its own webhook has the very
    form of ours."""
    with Application() as pager, Upstream(ok) as theirs:
        with Alertmanager(tmp_path / "am", f"http://127.0.0.1:{theirs.port}/") as manager:
            gateway = launch(
                *parts(
                    provider,
                    webhook("pager", pager.url),
                    receiver("prometheus", "alertmanager", url=f"http://127.0.0.1:{manager.port}"),
                )
            )
            with asking(gateway):
                provider.fails = True
                alert = firing(gateway, "errors")
                there = wait_until("Alertmanager has it", manager.alerts)
                assert [row["fingerprint"] for row in there] == [alert["id"]]
                assert there[0]["labels"] == alert["labels"]
                wait_until("both have told", lambda: theirs.requests and pager.told)
                provider.fails = False
                wait_until("it is over there, too", lambda: not manager.alerts(), 30)
            wait_until("they told that it is over", lambda: len(theirs.requests) >= 2)
    ours, other = pager.told[0].event, theirs.requests[0].json()
    assert set(ours) == set(other)
    assert {name: type(value) for name, value in ours.items()} == {
        name: type(value) for name, value in other.items()
    }
    assert set(ours["alerts"][0]) == set(other["alerts"][0])
    for same in ("version", "status", "groupLabels", "commonLabels", "commonAnnotations", "truncatedAlerts"):
        assert ours[same] == other[same], same
    assert ours["groupKey"] == other["groupKey"]
    for same in ("status", "labels", "annotations", "endsAt", "generatorURL", "fingerprint"):
        assert ours["alerts"][0][same] == other["alerts"][0][same], same


def test_a_silence_survives_a_restart_and_ends_when_it_is_lifted(provider, tmp_path):
    with Application() as pager:
        text = configuration.gateway(tmp_path / "data", *parts(provider, webhook("pager", pager.url)))
        with processes.start_gateway(tmp_path, text) as gateway:
            asked = silence(gateway, matchers=[{"name": "alertname", "value": "err*"}], comment="known")
            assert asked.status == 200, asked.body
            id = asked.json()["id"]
        with processes.start_gateway(tmp_path, text) as gateway:
            wait_until("the silence is there", lambda: [row["id"] for row in shown(gateway)["silences"]] == [id])
            with asking(gateway):
                provider.fails = True
                alert = firing(gateway, "errors")
                assert alert["silenced_by"] == [id]
                assert pager.told == []
                admin = f"http://127.0.0.1:{gateway.admin_port}"
                ended = run("alerts", "unsilence", "--admin", admin, id)
                assert ended.returncode == 0, ended.stderr
                wait_until("the pager is told after all", lambda: pager.told)
            unknown = run("alerts", "unsilence", "--admin", admin, id)
            assert unknown.returncode == 1 and "no such silence" in unknown.stderr
        kept = json.loads((tmp_path / "data" / "alerts" / "silences.json").read_text())
        assert kept == {"silences": []}


FAULTS = [
    {"matchers": []},
    {"matchers": [{"name": "", "value": "x"}]},
    {"matchers": [{"name": "a"}]},
    {"matchers": [{"name": "a", "value": "b"}], "duration": "soon"},
    {"matchers": [{"name": "a", "value": "b"}], "until": "2030-01-01T00:00:00Z"},
    {"matchers": [{"name": "a", "value": "b"}], "stranger": 1},
    {"matchers": [{"name": "a" * 2000, "value": "b"}]},
]


def test_what_is_no_silence_is_refused(provider, launch):
    gateway = launch(*parts(provider))
    for asked in FAULTS:
        response = silence(gateway, **asked)
        assert response.status == 400, (asked, response.body)
    assert shown(gateway)["silences"] == []
    assert ask(gateway.admin_port, "DELETE", "/admin/alerts/silences/none").status == 404


def test_operators_list_silence_and_try_who_is_told(provider, launch):
    with Application() as pager, Upstream(hangs) as hanging, MailServer() as mail:
        gateway = launch(
            *parts(
                provider,
                webhook("pager", pager.url),
                webhook("hanging", f"http://127.0.0.1:{hanging.port}/", timeout="300ms"),
                receiver("mail", "email", server=f"127.0.0.1:{mail.port}", tls="none", to=["a@b.c"], **{"from": "t@b.c"}),
            )
        )
        admin = ["--admin", f"http://127.0.0.1:{gateway.admin_port}"]
        wait_until("the receivers are there", lambda: len(shown(gateway)["receivers"]) == 3)
        tested = run("alerts", "test", *admin)
        assert tested.returncode == 1, "one of them failed"
        rows = {line.split()[0]: line for line in tested.stdout.splitlines()}
        assert "taken" in rows["pager"] and "it answered 200" in rows["pager"]
        assert "taken" in rows["mail"] and "no answer within 0.3 s" in rows["hanging"]
        assert told(pager) == [("firing", "TidegateTest")]
        assert mail.letters[0].message["subject"].startswith("[FIRING:1] TidegateTest")
        assert states(gateway) == {}, "a test is no alert"

        made = run("alerts", "silence", "alertname=errors", "model!=x*", "--comment", "known", *admin)
        assert made.returncode == 0 and re.match(r"silence [0-9a-f]{16} until ", made.stdout), made.stderr
        listed = run("alerts", "list", *admin)
        assert "alertname=errors model!=x*" in listed.stdout and "Nothing fires" in listed.stdout
        as_json = json.loads(run("alerts", "list", "--json", *admin).stdout)
        assert {rule["name"] for rule in as_json["rules"]} == {"errors"}


def test_receivers_and_rules_follow_the_configuration(provider, launch):
    with Application() as pager:
        gateway = launch(*parts(provider))
        assert alerts.shown(gateway)["receivers"] == []
        with asking(gateway):
            provider.fails = True
            firing(gateway, "errors")
            text = processes.configured(gateway)
            processes.write(gateway, text + "\n" + webhook("pager", pager.url))
            wait_until("the receiver is there", lambda: shown(gateway)["receivers"])
            processes.write(gateway, text.replace("[alerts]\n", "[alerts]\nenabled = false\n"))
            wait_until("nothing is watched", lambda: not shown(gateway)["enabled"])
            wait_until("what fired is over", lambda: states(gateway) == {})
