"""Workflows as a caller sees them: defining, starting, looking, waiting for a run's end; and a provider that
keeps what its models were asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable

from support import configuration, upstream
from support.processes import Daemon
from support.raw import Connection, Response, ask
from support.upstream import Request, Serving
from support.waiting import wait_until

OVER = {"done", "failed", "cancelled"}
MODEL = "recorded/m"


def answer(prompt: str) -> str:
    """What the provider says to a prompt: always the same."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


class Recorded(Serving):
    """A provider that answers each prompt with its digest, and keeps under which ids it was asked."""

    def __init__(self, before: Callable[[str], bytes | None] = lambda _: None):
        super().__init__()
        # By prompt.
        self.calls: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._before = before

    def provider(self) -> str:
        return configuration.provider("recorded", self.port, 'models = ["m"]')

    def asked(self) -> list[str]:
        """Every prompt, once for each time that it was asked."""
        with self._lock:
            return [prompt for prompt, ids in self.calls.items() for _ in ids]

    def _answer(self, connection, request: Request) -> None:
        prompt = request.json()["messages"][0]["content"]
        with self._lock:
            self.calls[prompt].append(request.header("x-request-id"))
        said = self._before(prompt) or upstream.reply("200 OK", upstream.completion(answer(prompt)))
        connection.sendall(said)


def model(id: str, prompt: str, *needs: str, **members: object) -> dict:
    """A step that asks the recorded model."""
    request = {"messages": [{"role": "user", "content": prompt}]}
    return {"id": id, "kind": "model", "model": MODEL, "needs": list(needs), "request": request, **members}


def said(id: str) -> str:
    """The expression for what a model step was told."""
    return f"{{{{ steps.{id}.output.choices[0].message.content }}}}"


def put(gateway: Daemon, definition: dict | str, name: str | None = None, **headers: str) -> Response:
    """Hands in a definition: a dictionary as JSON, text as TOML."""
    is_toml = isinstance(definition, str)
    body = definition if is_toml else json.dumps(definition)
    name = name or (definition["name"] if not is_toml else "w")
    media = "application/toml" if is_toml else "application/json"
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with Connection(gateway.port) as connection:
        return connection.request(
            "PUT", f"/v1/workflows/{name}", body.encode(), {"content-type": media, **named}
        )


def start(gateway: Daemon, name: str, input: object = None, **headers: str) -> Response:
    with Connection(gateway.port) as connection:
        body = {} if input is None else {"input": input}
        return connection.post(body, f"/v1/workflows/{name}/runs", **headers)


def started(gateway: Daemon, definition: dict, input: object = None, **headers: str) -> str:
    """The id of a run of a definition that is handed in before."""
    ready(gateway)
    response = put(gateway, definition, **headers)
    assert response.status == 200, response.body
    response = start(gateway, definition["name"], input, **headers)
    assert response.status == 202, response.body
    id = response.json()["id"]
    assert response.header("location") == f"/v1/workflows/runs/{id}"
    return id


def get(gateway: Daemon, id: str, **headers: str) -> dict:
    response = ask(gateway.port, "GET", f"/v1/workflows/runs/{id}", **headers)
    assert response.status == 200, response.body
    return response.json()


def say(gateway: Daemon, id: str, word: str, **body: object) -> Response:
    with Connection(gateway.port) as connection:
        return connection.post(body, f"/v1/workflows/runs/{id}/{word}")


def step(run: dict, id: str) -> dict:
    return next(step for step in run["steps"] if step["id"] == id)


def over(gateway: Daemon, id: str, **headers: str) -> dict:
    """The run, once nothing more happens to it."""

    def end() -> dict | None:
        run = get(gateway, id, **headers)
        return run if run["state"] in OVER else None

    return wait_until(f"{id} is over", end)


def step_is(gateway: Daemon, id: str, name: str, state: str) -> dict:
    """The run, once this step of it stands so."""

    def there() -> dict | None:
        run = get(gateway, id)
        return run if step(run, name)["state"] == state else None

    return wait_until(f"{name} of {id} is {state}", there)


def ready(gateway: Daemon) -> None:
    """Waits until the store is open: it is opened behind the gateway's start."""
    wait_until("the store is open", lambda: ask(gateway.port, "GET", "/v1/workflows").status != 503)


LAYERS, ABREAST = 5, 5


def thirty() -> dict:
    """Thirty steps: layers of models side by side, each summed up by one more that the next begins with."""
    steps: list[dict] = []
    for layer in range(LAYERS):
        before = [f"sum{layer - 1}"] if layer else []
        told = said(before[0]) if before else "{{ input.topic }}"
        names = [f"part{layer}_{place}" for place in range(ABREAST)]
        steps += [model(name, f"{{{{ input.topic }}}} {name}: {told}", *before) for name in names]
        parts = ",".join(said(name) for name in names)
        steps.append(model(f"sum{layer}", f"{{{{ input.topic }}}} sum{layer}: {parts}", *names))
    assert len(steps) == 30
    return {"name": "thirty", "input": ["topic"], "steps": steps, "output": said(f"sum{LAYERS - 1}")}


def prompts_of_thirty(topic: str) -> dict[str, str]:
    """What each of them must ask, by its id."""
    prompts: dict[str, str] = {}
    told = topic
    for layer in range(LAYERS):
        names = [f"part{layer}_{place}" for place in range(ABREAST)]
        prompts |= {name: f"{topic} {name}: {told}" for name in names}
        parts = ",".join(answer(prompts[name]) for name in names)
        prompts[f"sum{layer}"] = f"{topic} sum{layer}: {parts}"
        told = answer(prompts[f"sum{layer}"])
    return prompts


def two(name: str = "two") -> dict:
    """A step, and one that needs it."""
    return {"name": name, "steps": [model("a", "first"), model("b", f"then {said('a')}", "a")]}


# Waits for a word, and says it to a model.
WAITS = {
    "name": "waits",
    "steps": [
        {"id": "word", "kind": "wait", "signal": "go"},
        model("after", "the word is {{ steps.word.output.word }}", "word"),
    ],
}
