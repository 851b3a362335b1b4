"""Batches that a provider's own batch API runs: at the simulated provider over TCP, through OpenAI's SDK.

Each line is in the output or the error file once, whatever is killed, refused or cancelled; and the simulated
provider's log has no call for a single line, unless it has refused the batch.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter

import openai
import pytest
from support import batches, configuration, processes, simlog
from support.jobs import ready
from support.raw import ask
from support.waiting import wait_until

MEMORY_BYTES_MAX = 150 << 20
PRICES = 'prices = { "instant" = { input = 1000.0, output = 2000.0, batch = 0.5 } }'


@pytest.fixture
def provider(tmp_path):
    """A simulated provider of the test's own, as it tells what it was asked."""
    with processes.start_mock(tmp_path / "provider") as mock:
        yield mock


def configured(folder, provider, *parts: str, way: str = "provider", models: tuple[str, ...] = ("instant",)) -> str:
    """A gateway with the alias `smart` for these models of that provider."""
    alias = configuration.alias("smart", *((f"mock/{model}", 1) for model in models)) + f'batch = "{way}"\n'
    return configuration.gateway(
        folder / "data",
        configuration.provider("mock", provider.port, f"models = {json.dumps(models)}", "batches = true", PRICES),
        alias,
        *parts,
    )


def client_of(gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0, timeout=60)


def row(id: str, say: str = "hello", model: str = "smart", **members: object) -> str:
    return batches.line(id, model, f"{say} {id}", **members)


def begun(client, rows: list[str], **options: object):
    file = client.files.create(file=("in.jsonl", "\n".join(rows).encode()), purpose="batch")
    return batches.create(client, file.id, **options)


def paths(provider) -> Counter[str]:
    """What the provider was asked, by method-less path without its ids."""
    log = ask(provider.port, "GET", "/sim/log").json()
    return Counter("/".join(entry["path"].split("/")[:3]) for entry in log)


def judged(client, id: str, good: set[str], bad: dict[str | None, int], seconds: float = 90.0):
    """The completed batch, whose lines ended as expected: these well, and of these names so many among the errors."""
    batch = batches.over(client, id, seconds)
    assert batch.status == "completed", batch
    output, errors = (batches.lines(client, file) for file in (batch.output_file_id, batch.error_file_id))
    assert batches.names(output, good, "output") == []
    assert Counter(each["custom_id"] for each in errors) == Counter(bad)
    ids = Counter(each["id"] for each in output + errors)
    assert max(ids.values()) == 1, "a line is there twice"
    counts = batch.request_counts
    assert (counts.completed, counts.failed) == (len(output), len(errors))
    assert counts.total == len(output) + len(errors)
    return batch


def metric(gateway, name: str) -> float:
    lines = ask(gateway.admin_port, "GET", "/metrics").body.decode().splitlines()
    return float(next((line.split()[-1] for line in lines if line.startswith(name + " ")), 0))


def cost(gateway) -> float:
    rows = ask(gateway.admin_port, "GET", "/admin/usage").json()["usage"]
    return sum(row["cost_usd"] for row in rows)


def cost_of(client, batch) -> float:
    """What its good lines cost: half of 1,000 and of 2,000 dollars for a million tokens."""
    used = [each["response"]["body"]["usage"] for each in batches.lines(client, batch.output_file_id)]
    return sum(each["prompt_tokens"] * 500 + each["completion_tokens"] * 1000 for each in used) / 1e6


def test_some_hundred_lines_with_faults_run_at_the_provider(tmp_path, provider):
    good = {f"good-{number}" for number in range(400)}
    rows = [row(id) for id in sorted(good)]
    rows[50:50] = ["no json", row("good-7"), row("refused", "[[sim: status=400]]"), row("late", "[[sim: hang]]")]
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            batch = begun(client, rows, metadata={"whose": "ours"})
            batch = judged(client, batch.id, good, {None: 1, "good-7": 1, "refused": 1, "late": 1})
            assert batch.metadata == {"whose": "ours"}
            errors = {each["custom_id"]: each for each in batches.lines(client, batch.error_file_id)}
            assert errors["refused"]["response"]["status_code"] == 400
            assert errors["late"]["error"]["code"] == "batch_expired" and errors["late"]["response"] is None
            output = batches.lines(client, batch.output_file_id)
            assert all(each["response"]["body"]["object"] == "chat.completion" for each in output)
        assert paths(provider)["/v1/chat"] == 0, "no line was asked by itself"
        assert metric(gateway, 'tidegate_provider_batches_total{outcome="sent"}') == 1
        assert metric(gateway, 'tidegate_provider_batches_total{outcome="fetched"}') == 1
        shown = ask(gateway.admin_port, "GET", "/admin/batches").json()["batches"][0]
        assert shown["id"] == batch.id and shown["status"] == "completed"
        (way,) = shown["at_providers"]
        assert (way["model"], way["target"], way["state"]) == ("smart", "mock/instant", "fetched")


def test_it_costs_half(tmp_path, provider):
    rows, costs = [row(f"{number}") for number in range(40)], {}
    for way in ("gateway", "provider"):
        text = configured(tmp_path / way, provider, "[cache]\nenabled = false\n", way=way)
        with processes.start_gateway(tmp_path / way / "gateway", text) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                judged(client, begun(client, rows).id, {f"{number}" for number in range(40)}, {})
            costs[way] = wait_until("it is counted", lambda gateway=gateway: cost(gateway))
    assert costs["provider"] == pytest.approx(costs["gateway"] / 2, rel=1e-3)


def test_what_is_remembered_is_not_sent_and_what_comes_back_is_remembered(tmp_path, provider):
    rows = [row(f"{number}", temperature=0) for number in range(20)]
    ids = {f"{number}" for number in range(20)}
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            judged(client, begun(client, rows).id, ids, {})
            first = cost(gateway)
            said = client.chat.completions.create(**json.loads(rows[3])["body"])
            assert said.choices
            judged(client, begun(client, rows).id, ids, {})
        asked = paths(provider)
        assert asked["/v1/chat"] == 0, "a caller's own question is answered from what the batch brought"
        assert metric(gateway, 'tidegate_provider_batches_total{outcome="sent"}') == 1
        assert cost(gateway) == pytest.approx(first), "nobody was asked a second time"


def test_of_two_targets_a_line_is_remembered_where_it_was_run(tmp_path, provider):
    rows = [row(f"{number}", temperature=0) for number in range(40)]
    ids = {f"{number}" for number in range(40)}
    text = configured(tmp_path, provider, models=("instant", "fast"))
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            batch = judged(client, begun(client, rows).id, ids, {})
            expected = pytest.approx(cost_of(client, batch))
            wait_until("all of it is counted", lambda: cost(gateway) == expected)
            judged(client, begun(client, rows).id, ids, {})
        assert paths(provider)["/v1/chat"] == 0, "nobody is asked what is remembered"
        assert metric(gateway, 'tidegate_provider_batches_total{outcome="sent"}') == 1
        assert cost(gateway) == expected


def test_lines_of_other_models_are_asked_one_by_one(tmp_path, provider):
    rows = [row(f"far-{number}") for number in range(5)] + [row("near", model="mock/instant")]
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            judged(client, begun(client, rows).id, {f"far-{number}" for number in range(5)} | {"near"}, {})
    assert paths(provider)["/v1/chat"] == 1


@pytest.mark.parametrize("refusal", [[{"status": 403}], [{}, {"status": 400}], [{"status": 404}]])
def test_a_batch_that_is_refused_is_run_line_by_line(tmp_path, provider, refusal):
    ids = {f"{number}" for number in range(30)}
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        simlog.script(provider, *refusal)
        with client_of(gateway) as client:
            judged(client, begun(client, [row(id) for id in sorted(ids)]).id, ids, {})
        assert paths(provider)["/v1/chat"] == 30
        assert metric(gateway, 'tidegate_provider_batches_total{outcome="returned"}') == 1
        told = [line for line in gateway.log().splitlines() if "does not run a batch of its own" in line]
        assert len(told) == 1, told
        (way,) = ask(gateway.admin_port, "GET", "/admin/batches").json()["batches"][0]["at_providers"]
        assert way["state"] == "returned" and way["reason"]


def test_a_batch_whose_creation_was_not_heard_of_is_not_created_again(tmp_path, provider):
    ids = {f"{number}" for number in range(30)}
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        simlog.script(provider, {}, {"reset": True})
        with client_of(gateway) as client:
            judged(client, begun(client, [row(id) for id in sorted(ids)]).id, ids, {})
    there = ask(provider.port, "GET", "/v1/batches").json()["data"]
    assert len(there) == 1 and there[0]["metadata"]["tidegate_attempt"] == "1"


def test_a_provider_that_is_asked_too_often_gets_no_second_file(tmp_path, provider):
    ids = {f"{number}" for number in range(30)}
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        simlog.script(provider, {}, {"status": 429}, {"status": 429})
        with client_of(gateway) as client:
            judged(client, begun(client, [row(id) for id in sorted(ids)]).id, ids, {})
    log = Counter(entry["path"] for entry in ask(provider.port, "GET", "/sim/log").json())
    assert (log["/v1/files"], log["/v1/batches"]) == (1, 3), "brought once, and asked for until it was created"
    there = ask(provider.port, "GET", "/v1/batches").json()["data"]
    assert [batch["metadata"]["tidegate_attempt"] for batch in there] == ["1"]
    assert paths(provider)["/v1/chat"] == 0


def test_a_cancelled_batch_is_cancelled_at_the_provider(tmp_path, provider):
    rows = [row(f"soon-{number}") for number in range(10)]
    rows += [row(f"late-{number}", "[[sim: first_token=600s]]") for number in range(10)]
    with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            id = begun(client, rows).id
            there = lambda: ask(provider.port, "GET", "/v1/batches").json()["data"]  # noqa: E731
            wait_until("the soon ones are done", lambda: there() and there()[0]["request_counts"]["completed"] == 10)
            client.batches.cancel(id)
            batch = batches.over(client, id)
            assert batch.status == "cancelled" and batch.request_counts.completed == 10
            output, errors = (batches.lines(client, file) for file in (batch.output_file_id, batch.error_file_id))
    assert {each["custom_id"] for each in output} == {f"soon-{number}" for number in range(10)}
    assert {each["custom_id"] for each in errors} == {f"late-{number}" for number in range(10)}
    assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
    assert there()[0]["status"] == "cancelled"


def test_a_large_input_costs_no_memory(tmp_path, provider):
    padding = " lorem" * 10_000
    rows = [row(f"{number}", f"[[sim: tokens=5]]{padding}") for number in range(500)]
    text = configured(tmp_path, provider, "[cache]\nenabled = false\n")
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            batch, peak = begun(client, rows), 0
            while batch.status not in batches.OVER:
                peak = max(peak, gateway.resident_bytes())
                time.sleep(0.05)
                batch = client.batches.retrieve(batch.id)
            judged(client, batch.id, {f"{number}" for number in range(500)}, {})
    assert paths(provider)["/v1/chat"] == 0
    assert peak < MEMORY_BYTES_MAX, f"{peak >> 20} MiB"


def test_a_drain_leaves_it_at_the_provider_and_the_next_gateway_fetches_it(tmp_path, provider):
    rows = [row(f"{number}", "[[sim: first_token=3s]]") for number in range(30)]
    text = configured(tmp_path, provider)
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            id = begun(client, rows).id
            wait_until("it is there", lambda: ask(provider.port, "GET", "/v1/batches").json()["data"])
    with processes.start_gateway(tmp_path / "gateway-last", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            judged(client, id, {f"{number}" for number in range(30)}, {})
    there = ask(provider.port, "GET", "/v1/batches").json()["data"]
    assert [batch["status"] for batch in there] == ["completed"]
    assert paths(provider)["/v1/chat"] == 0


def test_a_drain_while_it_is_fetched_loses_no_cost(tmp_path, provider):
    ids = {f"{number}" for number in range(1500)}
    text = configured(tmp_path, provider, "[cache]\nenabled = false\n")
    with processes.start_gateway(tmp_path / "gateway", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            id = begun(client, [row(each) for each in sorted(ids)]).id
            wait_until("some of it is here", lambda: client.batches.retrieve(id).request_counts.completed, 60)
    with processes.start_gateway(tmp_path / "gateway-last", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            batch = judged(client, id, ids, {})
            expected = pytest.approx(cost_of(client, batch))
        wait_until("each line that is paid for is counted once", lambda: cost(gateway) == expected)


@pytest.mark.timeout(240)
def test_gateways_that_are_killed_a_dozen_times_lose_and_double_no_line(tmp_path, provider):
    chance, lines = random.Random(5), 300
    rows = [row(f"{number}", f"[[sim: first_token={chance.randrange(4)}s]]") for number in range(lines)]
    text = configured(tmp_path, provider, "[cache]\nenabled = false\n")
    ids = []
    for round_ in range(12):
        gateway = processes.start_gateway(tmp_path / f"gateway-{round_ % 2}", text)
        try:
            ready(gateway)
            if round_ % 4 == 0:
                with client_of(gateway) as client:
                    ids.append(begun(client, rows).id)
            time.sleep(chance.uniform(0.05, 1.5))
        finally:
            gateway.kill()
    with processes.start_gateway(tmp_path / "gateway-last", text) as gateway:
        ready(gateway)
        with client_of(gateway) as client:
            for id in ids:
                # What the last of those held is free again when its leases are over.
                judged(client, id, {f"{number}" for number in range(lines)}, {}, 150)
    there = ask(provider.port, "GET", "/v1/batches").json()["data"]
    marks = Counter(batch["metadata"]["tidegate_batch"] for batch in there)
    assert marks == Counter(ids), "each was created there once"
    assert paths(provider)["/v1/chat"] == 0
