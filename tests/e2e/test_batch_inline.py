"""`POST /v1/batch`: several requests in one body, each answered as if it had come alone."""

from __future__ import annotations

import json
import threading
import uuid

import openai
import pytest
from support import configuration, processes, simlog
from support.processes import Daemon
from support.prompts import directive
from support.raw import Connection, Response, ask, chat, complete, head
from support.remembering import HIT, gated, numbered, question
from support.upstream import Upstream, completion, reply
from support.waiting import wait_until

BATCH = "/v1/batch"
CHAT = "/v1/chat/completions"


def item(custom_id: str, body: dict, url: str = CHAT) -> dict:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def items(bodies: list[dict]) -> list[dict]:
    return [item(f"item-{number}", body) for number, body in enumerate(bodies)]


def send(gateway: Daemon, requests: list[dict], headers: dict[str, str] | None = None, **members) -> Response:
    return complete(gateway.port, {"requests": requests, **members}, BATCH, **(headers or {}))


def lines(response: Response) -> list[dict]:
    """The lines of an answer, each of the form it must have."""
    assert response.status == 200, response.body
    said = response.json()
    assert said["object"] == "list"
    for line in said["data"]:
        assert set(line) == {"custom_id", "response", "error"} and line["error"] is None
        assert isinstance(line["response"]["body"], dict)
    codes = statuses(said["data"])
    failed = sum(code >= 400 for code in codes)
    counts = {"total": len(codes), "completed": len(codes) - failed, "failed": failed}
    assert said["request_counts"] == counts
    return said["data"]


def statuses(data: list[dict]) -> list[int]:
    return [line["response"]["status_code"] for line in data]


def waiting(gateway: Daemon) -> dict[str, int]:
    """Who waits for the one target that there is, by band."""
    rows = ask(gateway.admin_port, "GET", "/admin/targets").json()["targets"]
    return rows[0]["concurrency"]["waiting_by_band"] if rows else {}


def code(line: dict) -> str | None:
    return line["response"]["body"]["error"]["code"]


def test_each_item_has_its_own_answer_in_its_place(gateway, mock):
    mark = uuid.uuid4().hex
    requests = [
        item("chat", question()),
        item("no such model", chat("mock")),
        item("no messages", {"model": "mock/instant"}),
        item("the provider fails", chat("mock/instant", directive(status=500))),
        item("text", {"model": "mock/instant", "prompt": "once", "max_tokens": 3}, "/v1/completions"),
        item("a vector", {"model": "mock/embed", "input": ["a", "b"]}, "/v1/embeddings"),
        item("ünïcode \"quoted\"", chat("smart")),
    ]
    response = send(gateway, requests, {"x-request-id": mark})
    data = lines(response)
    assert [line["custom_id"] for line in data] == [each["custom_id"] for each in requests]
    assert statuses(data) == [200, 404, 400, 502, 200, 200, 200]
    assert [code(line) for line in data[1:4]] == ["model_not_found", "missing_required_parameter", "provider_error"]
    bodies = [line["response"]["body"] for line in data]
    assert [bodies[at]["object"] for at in (0, 4, 5)] == ["chat.completion", "text_completion", "list"]
    assert [vector["index"] for vector in bodies[5]["data"]] == [0, 1]
    assert data[6]["response"]["target"] == "mock/instant"
    # Its own head is the whole's; each item has the whole's id and its place.
    assert response.header("x-request-id") == mark
    assert [line["response"]["request_id"] for line in data] == [f"{mark}.{at}" for at in range(7)]
    assert float(response.header("x-process-time")) >= 0 and float(response.header("x-tidegate-overhead-ms")) >= 0
    assert int(response.header("x-tidegate-attempts")) == 5
    assert len(simlog.about(mock, f"{mark}.0")) == 1


def test_openais_sdk_can_send_one(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
    said = client.post("/batch", cast_to=object, body={"requests": items([chat("mock/instant")])})
    assert said["data"][0]["response"]["body"]["choices"][0]["message"]["content"]
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/batch", cast_to=object, body={"requests": []})
    assert refused.value.param == "requests"


def test_items_are_remembered_and_shared(launch):
    with Upstream(numbered()) as upstream:
        gateway = launch(configuration.provider("own", upstream.port))
        same, other = question("own/m"), question("own/m")
        data = lines(send(gateway, items([same, other, same, same])))
        texts = [line["response"]["body"]["choices"][0]["message"]["content"] for line in data]
        assert texts[0] == texts[2] == texts[3] != texts[1]
        assert len(upstream.requests) == 2
        again = lines(send(gateway, items([other, same])))
        assert [line["response"]["cache"] for line in again] == [HIT, HIT]
        fresh = lines(send(gateway, items([other]), {"cache-control": "no-cache"}))
        assert fresh[0]["response"]["cache"] == "bypass; reason=no-cache"
        assert len(upstream.requests) == 3


def test_each_item_counts_on_the_callers_own_key(launch, mock):
    key = processes.create_key()
    row = configuration.key_row(key, models=["mock/instant"], tenant="search", requests_per_minute=3)
    gateway = launch(configuration.mock_provider(mock.port), row)
    assert send(gateway, items([chat("mock/instant")])).status == 401
    bearer = {"authorization": f"Bearer {key['key']}"}
    data = lines(send(gateway, items([chat("mock/fast")]), bearer))
    assert (statuses(data), code(data[0])) == ([403], "model_not_allowed")
    bodies = [chat("mock/instant", str(number)) for number in range(5)]
    data = lines(send(gateway, items(bodies), bearer))
    assert sorted(statuses(data)) == [200, 200, 200, 429, 429]
    refused = [line for line in data if line["response"]["status_code"] == 429]
    assert {code(line) for line in refused} == {"requests_limit_exceeded"}
    assert all(int(line["response"]["retry_after_ms"]) > 0 for line in refused)


@pytest.mark.parametrize(("members", "most"), [({}, 8), ({"concurrency": 3}, 3), ({"concurrency": 32}, 32)])
def test_so_many_are_under_way_at_once(launch, members, most):
    now, seen, lock = [0], [0], threading.Lock()

    def answer(connection, request) -> None:
        with lock:
            now[0] += 1
            seen[0] = max(seen[0], now[0])
        # A round is let go once it is as large as it may be, or the last of them.
        wait_until("a whole round", lambda: seen[0] >= most)
        with lock:
            now[0] -= 1
        connection.sendall(reply("200 OK", completion("well")))

    with Upstream(answer) as upstream:
        gateway = launch(configuration.provider("own", upstream.port))
        # Of what is as patient as a batch is by default, a target gets five at once.
        urgent = {"x-tidegate-priority": "normal"}
        data = lines(send(gateway, items([question("own/m") for _ in range(40)]), urgent, **members))
        assert statuses(data) == [200] * 40
    assert seen[0] == most


@pytest.mark.parametrize(("priority", "band"), [(None, "batch"), ("low", "low"), ("high", "high")])
def test_items_wait_behind_everybody_unless_the_caller_says_otherwise(launch, priority, band):
    with gated(numbered()) as (upstream, gate):
        narrow = 'concurrency = { algorithm = "fixed", initial = 1, max = 1 }'
        gateway = launch(configuration.provider("own", upstream.port, narrow, 'models = ["m"]'))
        headers = {"x-tidegate-priority": priority} if priority else {}
        sent: list[Response] = []
        batch = items([question("own/m") for _ in range(4)])
        asking = threading.Thread(target=lambda: sent.append(send(gateway, batch, headers)))
        asking.start()

        wait_until("three that wait", lambda: waiting(gateway).get(band) == 3)
        gate.open.set()
        asking.join()
        assert statuses(lines(sent[0])) == [200] * 4


def test_who_leaves_ends_it_all(gateway, mock):
    mark = uuid.uuid4().hex
    body = {"requests": items([chat("mock/instant", directive(hang=True)) for _ in range(3)]), "concurrency": 2}
    with Connection(gateway.port) as connection:
        data = json.dumps(body).encode()
        connection.send(head("POST", BATCH, gateway.port, data, {"x-request-id": mark}) + data)
        for at in range(2):
            simlog.asked(mock, f"{mark}.{at}")
    assert [simlog.ended(mock, f"{mark}.{at}")["outcome"] for at in range(2)] == ["cancelled"] * 2
    assert simlog.about(mock, f"{mark}.2") == [], "what was not begun never is"


def test_a_deadline_covers_the_whole(gateway, mock):
    mark = uuid.uuid4().hex
    hanging = chat("mock/instant", directive(hang=True))
    headers = {"x-request-id": mark, "x-tidegate-timeout-ms": "300"}
    data = lines(send(gateway, items([chat("mock/instant"), hanging, hanging]), headers, concurrency=1))
    assert statuses(data) == [200, 504, 504]
    assert [code(line) for line in data[1:]] == ["deadline_passed"] * 2
    assert simlog.about(mock, f"{mark}.2") == []


@pytest.mark.parametrize(
    ("requests", "place"),
    [
        (items([chat("smart")]) * 2, "requests[1].custom_id"),
        (items([chat("smart"), chat("smart", stream=True)]), "requests[1].body.stream"),
        (items([chat("smart")] * 101), "requests[100]"),
        ([item("a", chat("smart"), "/v1/models")], "requests[0].url"),
    ],
    ids=["given twice", "streamed", "too many", "elsewhere"],
)
def test_an_envelope_with_a_fault_is_refused_before_anything_begins(gateway, mock, requests, place):
    mark = uuid.uuid4().hex
    refused = send(gateway, requests, {"x-request-id": mark})
    assert (refused.status, refused.error()["param"]) == (400, place)
    assert simlog.about(mock, f"{mark}.0") == []


def test_what_holds_for_every_request_holds_for_this_one(gateway):
    assert ask(gateway.port, "GET", BATCH).status == 405
    assert ask(gateway.port, "GET", BATCH).header("allow") == "POST"
    large = items([chat("smart", "x" * (11 << 20))])
    assert send(gateway, large).status == 413
    assert complete(gateway.port, b"{", BATCH).error()["code"] == "invalid_json"
    assert send(gateway, items([chat("smart")]), {"x-tidegate-priority": "soon"}).status == 400
    assert send(gateway, items([chat("smart")]), {"x-tidegate-timeout-ms": "0"}).status == 400
