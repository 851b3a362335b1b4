"""Jobs as a caller sees them: adding, looking, waiting for their end; and an application that is told of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support import configuration, upstream
from support.processes import Daemon
from support.raw import Connection, Response, ask, chat
from support.upstream import Request, Serving
from support.waiting import wait_until

PATH = "/v1/chat/completions"
OVER = {"done", "dead", "cancelled"}
# Of the corpus' own; what is signed with it need not be kept from anybody.
WEBHOOK_KEY = bytes(range(32))
WEBHOOK_SECRET = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()


def webhooks(private: bool = True, **members: object) -> str:
    """Webhooks signed, and to loopback."""
    return configuration.table("jobs.webhook", secret=WEBHOOK_SECRET, private=private, **members)


def database(gateway: Daemon) -> Path:
    """The file of a gateway that was started with `configuration.gateway`."""
    return gateway.folder / "data" / "tidegate.db"


def model_job(model: str = "sim/instant", content: str = "hello", **members: object) -> dict:
    """A job that asks a model."""
    return {"path": PATH, "body": chat(model, content), **members}


def add(gateway: Daemon, job: dict, **headers: str) -> Response:
    with Connection(gateway.port) as connection:
        return connection.post(job, "/v1/jobs", **headers)


def added(gateway: Daemon, job: dict, **headers: str) -> dict:
    """The job, as it was acknowledged."""
    response = add(gateway, job, **headers)
    assert response.status == 202, response.body
    said = response.json()
    assert response.header("location") == f"/v1/jobs/{said['id']}"
    return said


def get(gateway: Daemon, id: str, **headers: str) -> dict:
    response = ask(gateway.port, "GET", f"/v1/jobs/{id}", **headers)
    assert response.status == 200, response.body
    return response.json()


def over(gateway: Daemon, id: str, **headers: str) -> dict:
    """The job, once nothing more happens to it."""

    def end() -> dict | None:
        job = get(gateway, id, **headers)
        return job if job["state"] in OVER else None

    return wait_until(f"{id} is over", end)


def in_state(gateway: Daemon, id: str, state: str) -> dict:
    """The job, once it stands so."""

    def there() -> dict | None:
        job = get(gateway, id)
        return job if job["state"] == state else None

    return wait_until(f"{id} is {state}", there)


def listed(gateway: Daemon, query: str = "", **headers: str) -> dict:
    response = ask(gateway.port, "GET", f"/v1/jobs{query}", **headers)
    assert response.status == 200, response.body
    return response.json()


def ready(gateway: Daemon) -> None:
    """Waits until the store is open: it is opened behind the gateway's start."""
    wait_until("the store is open", lambda: ask(gateway.port, "GET", "/v1/jobs").status == 200)


@dataclass(frozen=True)
class Told:
    """A webhook as it came, its signature checked."""

    id: str
    event: dict


class Application(Serving):
    """Takes webhooks, or does what `answer` says; keeps what it was told."""

    def __init__(self, answer: Callable | None = None):
        super().__init__()
        self.told: list[Told] = []
        self._lock = threading.Lock()
        self._then = answer or (lambda connection, _: connection.sendall(upstream.reply("200 OK", b"{}")))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told"

    def _answer(self, connection, request: Request) -> None:
        told = Told(request.header("webhook-id"), json.loads(request.body))
        assert request.header("webhook-signature") == signature(request), request.head
        with self._lock:
            self.told.append(told)
        self._then(connection, request)


def signature(request: Request) -> str:
    """What a webhook must be signed with, as Standard Webhooks has it."""
    told = f"{request.header('webhook-id')}.{request.header('webhook-timestamp')}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.new(WEBHOOK_KEY, told, hashlib.sha256).digest()).decode()
