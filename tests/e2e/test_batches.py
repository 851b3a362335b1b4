"""Batches of many lines: each is in the output or the error file once, whatever fails, is killed, cancelled or late.

`scripts/durable batch` does the same with the 50,000 lines that there may be, and tells what callers feel of it.
"""

from __future__ import annotations

import random
import time

import openai
import pytest
from support import batches, configuration, processes
from support.batches import GOOD, Plan, Provider, line
from support.jobs import ready
from support.raw import Connection, ask
from support.waiting import wait_until

MEMORY_BYTES_MAX = 150 << 20


def configured(folder, provider: Provider, *parts: str) -> str:
    """A gateway before the provider, with its store in the folder."""
    return configuration.gateway(
        folder / "data", configuration.provider("plan", provider.port, 'models = ["m"]'), *parts
    )


def client_of(gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0, timeout=60)


def begun(client, plan: Plan, folder, window: str = "24h"):
    """A batch of the plan's input."""
    file = batches.bring(client, plan.write(folder / "in.jsonl", "plan/m"))
    return batches.create(client, file.id, window)


def judged(client, plan: Plan, id: str, seconds: float = 90.0) -> list[str]:
    """What is wrong with a batch, once it is completed."""
    batch = batches.over(client, id, seconds)
    assert batch.status == "completed", batch
    output, errors = (batches.lines(client, file) for file in (batch.output_file_id, batch.error_file_id))
    return batches.complaints(plan, batch, output, errors)


def test_two_thousand_lines_with_faults_of_all_kinds(tmp_path):
    plan = Plan(2000)
    with Provider() as provider:
        with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                batch = begun(client, plan, tmp_path)
                assert judged(client, plan, batch.id) == []
            metrics = ask(gateway.admin_port, "GET", "/metrics").body.decode()
            good, bad = plan.count(GOOD, batches.FALTERS), plan.count(batches.MALFORMED, batches.REFUSED)
            assert f'tidegate_batch_lines_total{{outcome="completed"}} {good}' in metrics
            assert f'tidegate_batch_lines_total{{outcome="failed"}} {bad}' in metrics
    assert all(provider.asked[plan.id(n)] == 1 for n in range(plan.lines) if plan.kind(n) == GOOD)


def test_a_gateway_that_is_killed_in_the_middle_loses_and_doubles_no_line(tmp_path):
    plan, chance = Plan(1200, falters=0), random.Random(7)
    with Provider(seconds=0.02) as provider:
        text = configured(tmp_path, provider, '[cache]\nenabled = false\n')
        id = None
        for round_ in range(6):
            gateway = processes.start_gateway(tmp_path / f"gateway-{round_ % 2}", text)
            try:
                ready(gateway)
                if id is None:
                    with client_of(gateway) as client:
                        id = begun(client, plan, tmp_path).id
                time.sleep(chance.uniform(0.05, 0.5))
            finally:
                gateway.kill()
        with processes.start_gateway(tmp_path / "gateway-last", text) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                # What the last of those held is free again when its leases are over.
                assert judged(client, plan, id, 120) == []
    asked = sum(provider.asked.values())
    assert asked >= plan.count(GOOD, batches.REFUSED), "lines that were under way are asked again"


def test_a_batch_expires_with_what_was_done(tmp_path):
    plan = Plan(300, malformed=0, refused=0, falters=0)
    with Provider(seconds=0.2) as provider:
        with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                batch = batches.over(client, begun(client, plan, tmp_path, "2s").id)
                assert batch.status == "expired" and batch.expired_at
                output = batches.lines(client, batch.output_file_id)
                errors = batches.lines(client, batch.error_file_id)
    assert 0 < len(output) == batch.request_counts.completed
    assert all(each["error"]["code"] == "batch_expired" for each in errors)
    ids = {each["custom_id"] for each in output + errors}
    assert ids == {plan.id(n) for n in range(plan.lines)} and len(output) + len(errors) == plan.lines


def test_a_drain_puts_lines_back_and_the_next_gateway_goes_on(tmp_path):
    plan = Plan(400, malformed=0, refused=0, falters=0)
    with Provider(seconds=0.05) as provider:
        text = configured(tmp_path, provider)
        with processes.start_gateway(tmp_path / "gateway", text) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                id = begun(client, plan, tmp_path).id
                wait_until("some lines are done", lambda: client.batches.retrieve(id).request_counts.completed)
        with processes.start_gateway(tmp_path / "gateway-last", text) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                assert judged(client, plan, id) == []
    assert set(provider.asked.values()) == {1}, "no line was asked twice"


def test_a_large_input_costs_no_memory(tmp_path):
    plan = Plan(2000, bytes=40_000, refused=0, falters=0)
    with Provider() as provider:
        text = configured(tmp_path, provider, '[cache]\nenabled = false\n')
        with processes.start_gateway(tmp_path / "gateway", text) as gateway:
            ready(gateway)
            with client_of(gateway) as client:
                batch, peak = begun(client, plan, tmp_path), 0
                while batch.status not in batches.OVER:
                    peak = max(peak, gateway.resident_bytes())
                    time.sleep(0.05)
                    batch = client.batches.retrieve(batch.id)
                assert judged(client, plan, batch.id) == []
    assert peak < MEMORY_BYTES_MAX, f"{peak >> 20} MiB"


def test_the_same_question_is_asked_once(tmp_path):
    with Provider(seconds=0.1) as provider:
        with processes.start_gateway(tmp_path / "gateway", configured(tmp_path, provider)) as gateway:
            ready(gateway)
            rows = [line(str(number), "plan/m", "alike", temperature=0) for number in range(50)]
            with client_of(gateway) as client:
                file = client.files.create(file=("in.jsonl", "\n".join(rows).encode()), purpose="batch")
                batch = batches.over(client, batches.create(client, file.id).id)
                assert batch.request_counts.completed == 50
    assert provider.asked == {"alike": 1}


# What uploads should not be


def form(*parts: bytes, boundary: str = "edge") -> tuple[bytes, dict[str, str]]:
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


PURPOSE = b'content-disposition: form-data; name="purpose"\r\n\r\nbatch'
FILE = b'content-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{}\n'


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 400),
        (b"", {}, 400),
        (*form(PURPOSE), 400),
        (*form(FILE), 400),
        (*form(PURPOSE, FILE, boundary="other"), 400),
        (form(PURPOSE, FILE)[0][:-20], form()[1], 400),
        (*form(PURPOSE, FILE, b"no header"), 400),
        (*form(FILE, b'content-disposition: form-data; name="purpose"\r\n\r\n' + b"x" * 100_000), 413),
        (*form(PURPOSE, FILE), 200),
        (*form(FILE, PURPOSE), 200),
        (*form(b'content-disposition: form-data; name="stranger"\r\n\r\nx', FILE, PURPOSE), 200),
    ],
)
def test_a_form_is_read_or_refused(gateway, body, headers, status, still_well):
    ready(gateway)
    with Connection(gateway.port) as connection:
        response = connection.request("POST", "/v1/files", body, headers)
    assert response.status == status, response.body


def test_a_file_that_is_too_large_is_refused(gateway, still_well):
    ready(gateway)
    before = ask(gateway.port, "GET", "/v1/files").json()["data"]
    head, tail = form(PURPOSE, b'content-disposition: form-data; name="file"\r\n\r\n@')[0].split(b"@")
    rest = (200 << 20) + 1
    with Connection(gateway.port) as connection:
        length = len(head) + rest + len(tail)
        connection.send(
            f"POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1:{gateway.port}\r\ncontent-length: {length}\r\n"
            "content-type: multipart/form-data; boundary=edge\r\n\r\n".encode()
        )
        connection.send(head)
        for _ in range(rest // (1 << 20)):
            connection.send(b"x" * (1 << 20))
        connection.send(b"x" + tail)
        assert connection.response("POST").status == 413
    assert ask(gateway.port, "GET", "/v1/files").json()["data"] == before


def test_methods_and_ids_that_are_not_there(gateway):
    ready(gateway)
    for method, path, status in [
        ("PUT", "/v1/files", 405),
        ("POST", "/v1/files/file-1", 405),
        ("POST", "/v1/files/file-1/content", 405),
        ("GET", "/v1/files/file-1", 404),
        ("GET", "/v1/files/file-output-1/content", 404),
        ("GET", "/v1/files/file-1/other", 404),
        ("GET", "/v1/files?limit=0", 400),
        ("GET", "/v1/files?order=asc", 400),
        ("PUT", "/v1/batches", 405),
        ("DELETE", "/v1/batches/batch_1", 405),
        ("GET", "/v1/batches/batch_1/cancel", 405),
        ("GET", "/v1/batches/batch_1", 404),
        ("POST", "/v1/batches/batch_1/cancel", 404),
        ("GET", "/v1/batches?limit=101", 400),
    ]:
        response = ask(gateway.port, method, path)
        assert response.status == status, (method, path, response.body)
        assert response.error() and response.header("x-request-id")
