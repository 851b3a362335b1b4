"""Files and batches, as OpenAI's client has them."""

from __future__ import annotations

import json

import openai
import pytest
from support import batches
from support.batches import ENDPOINT, line

INPUT = "\n".join([line("a"), line("b"), "no json", line("c", "no-such/model")]).encode()


def test_a_file_is_brought_listed_read_and_removed(client):
    file = client.files.create(file=("in.jsonl", INPUT), purpose="batch")
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(INPUT), "in.jsonl", "batch")
    assert file.status == "processed" and file.expires_at > file.created_at
    assert client.files.retrieve(file.id) == file
    assert file.id in {each.id for each in client.files.list(purpose="batch")}
    assert client.files.list(purpose="other").data == []
    assert client.files.content(file.id).read() == INPUT
    assert client.files.delete(file.id).deleted
    for look in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            look(file.id)


def test_a_file_may_say_for_how_long_it_is_kept(client):
    after = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("in.jsonl", INPUT), purpose="batch", expires_after=after)
    assert file.expires_at == file.created_at + 3600


def test_files_are_listed_page_by_page(client):
    brought = [client.files.create(file=("in.jsonl", INPUT), purpose="batch").id for _ in range(5)]
    page = client.files.list(limit=2)
    assert [file.id for file in page.data] == brought[:2:-1] and page.has_more
    # The client asks for the pages that follow by itself.
    found = [file.id for file, _ in zip(page, range(5), strict=False)]
    assert found == brought[::-1]


def test_a_batch_answers_each_line_once(client):
    file = client.files.create(file=("in.jsonl", INPUT), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={"for": "you"}
    )
    assert (batch.object, batch.status, batch.input_file_id) == ("batch", "validating", file.id)
    assert batch.metadata == {"for": "you"} and batch.completion_window == "24h"
    assert batch.expires_at == batch.created_at + 86_400 and batch.request_counts.total == 0
    batch = batches.over(client, batch.id)
    assert batch.status == "completed" and batch.errors is None
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (4, 2, 2)
    output = {each["custom_id"]: each for each in batches.lines(client, batch.output_file_id)}
    assert set(output) == {"a", "b"}
    for each in output.values():
        assert each["error"] is None and each["response"]["status_code"] == 200
        assert each["id"].startswith("batch_req_") and each["response"]["request_id"]
        assert each["response"]["body"]["choices"][0]["message"]["content"]
    errors = {each["custom_id"]: each for each in batches.lines(client, batch.error_file_id)}
    assert errors[None]["error"]["code"] == "invalid_json_line"
    assert errors["c"]["response"]["status_code"] == 404
    for id in (batch.output_file_id, batch.error_file_id):
        file = client.files.retrieve(id)
        assert file.purpose == "batch_output" and file.bytes == len(client.files.content(id).read())


def test_a_batch_without_a_good_line_fails(client):
    file = client.files.create(file=("in.jsonl", b"[]\n" + line("a").encode()[:-1]), purpose="batch")
    batch = batches.over(client, batches.create(client, file.id).id)
    assert batch.status == "failed" and batch.output_file_id is None and batch.failed_at
    assert [(each.code, each.line) for each in batch.errors.data] == [
        ("invalid_json_line", 1),
        ("invalid_json_line", 2),
    ]


def test_batches_are_listed_and_cancelled(client):
    file = client.files.create(file=("in.jsonl", INPUT), purpose="batch")
    made = [batches.create(client, file.id).id for _ in range(3)]
    page = client.batches.list(limit=2)
    assert [batch.id for batch in page.data] == made[:0:-1] and page.has_more
    assert [batch.id for batch, _ in zip(page, range(3), strict=False)] == made[::-1]
    for id in made:
        batches.over(client, id)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(made[0])
    slow = "\n".join(line(str(number), "mock/slow") for number in range(200)).encode()
    file = client.files.create(file=("in.jsonl", slow), purpose="batch")
    batch = client.batches.cancel(batches.create(client, file.id).id)
    assert batch.status in ("cancelling", "cancelled")
    batch = batches.over(client, batch.id)
    assert batch.status == "cancelled" and batch.cancelled_at >= batch.cancelling_at
    counts = batch.request_counts
    found = batches.lines(client, batch.output_file_id) + batches.lines(client, batch.error_file_id)
    assert len({each["custom_id"] for each in found}) == len(found) == counts.total


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input_file_id": "file-none"}, "input_file_id"),
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"endpoint": "/chat/completions"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"metadata": {"x": "y" * 600}}, "metadata"),
        ({"extra_body": {"stranger": 1}}, "stranger"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said(client, change, param):
    file = client.files.create(file=("in.jsonl", INPUT), purpose="batch")
    good = {"input_file_id": file.id, "endpoint": ENDPOINT, "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**{**good, **change})
    assert refused.value.param == param


def test_what_is_wrong_with_a_file_is_said(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("in.jsonl", INPUT), purpose="fine-tune")
    assert refused.value.param == "purpose"


def test_nobody_sees_what_another_tenant_has(keyed_front):
    file_of = {}
    with keyed_front.client() as one, keyed_front.client(api_key=keyed_front.restricted_key) as other:
        for client in (one, other):
            file_of[client] = client.files.create(file=("in.jsonl", INPUT), purpose="batch").id
        batch = batches.over(one, batches.create(one, file_of[one]).id)
        assert file_of[one] not in {file.id for file in other.files.list()}
        assert batch.id not in {each.id for each in other.batches.list()}
        for look in (
            lambda: other.files.content(file_of[one]),
            lambda: other.files.delete(file_of[one]),
            lambda: other.files.content(batch.output_file_id),
            lambda: other.batches.retrieve(batch.id),
            lambda: other.batches.cancel(batch.id),
        ):
            with pytest.raises(openai.NotFoundError):
                look()
        with pytest.raises(openai.BadRequestError):
            batches.create(other, file_of[one])


def test_a_line_is_asked_with_the_rights_of_the_key(keyed_front):
    with keyed_front.client(api_key=keyed_front.restricted_key) as client:
        lines = "\n".join([line("may"), line("may-not", "mock/fast")]).encode()
        file = client.files.create(file=("in.jsonl", lines), purpose="batch")
        batch = batches.over(client, batches.create(client, file.id).id)
        assert [each["custom_id"] for each in batches.lines(client, batch.output_file_id)] == ["may"]
        (refused,) = batches.lines(client, batch.error_file_id)
        assert refused["response"]["status_code"] == 403
        assert json.dumps(refused["response"]["body"]["error"])


async def test_the_asynchronous_client_can_do_the_same(async_client):
    file = await async_client.files.create(file=("in.jsonl", INPUT), purpose="batch")
    content = await async_client.files.content(file.id)
    assert content.content == INPUT
    batch = await async_client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
    )
    assert (await async_client.batches.retrieve(batch.id)).id == batch.id
    async for each in async_client.batches.list(limit=1):
        assert each.id == batch.id
        break
