"""What somebody wants done, asked for until it is acknowledged: jobs, batches, runs of workflows. Each knows what must
have come of it in the end.

Not here: when they are asked for, and what happens to the gateway meanwhile (`kills`, `outages`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import SimpleNamespace

from support import batches, jobs, workflows
from support.batches import Plan
from support.processes import Daemon
from support.raw import Closed, Connection, Response, chat
from support.workflows import MODEL

Calls = dict[str, list[str]]
Told = dict[str, set[str]]


class Order(ABC):
    """One of them."""

    def __init__(self, name: str):
        self.name = name
        # The ids under which it was acknowledged: one, or something is wrong.
        self.ids: set[str] = set()
        # As it stood when it was looked at last, and once it was over.
        self.seen: dict | None = None
        self.end: dict | None = None

    @property
    def id(self) -> str:
        return min(self.ids)

    def place(self, gateway: Daemon) -> bool:
        """Asks for it; whether it was acknowledged. A gateway that is gone acknowledges nothing."""
        try:
            with Connection(gateway.port) as connection:
                return self.ask(connection)
        except (OSError, Closed):
            return False

    def look(self, connection: Connection) -> bool:
        """Looks how it stands; whether it is over."""
        response = connection.request("GET", self._where())
        if response.status == 200:
            self.seen = response.json()
            if self._is_over(self.seen) and self._fetch(connection):
                self.end = self.seen
        return self.end is not None

    @abstractmethod
    def prompts(self) -> Iterable[str]:
        """All that a provider may be asked for it."""

    @abstractmethod
    def complaints(self, calls: Calls, told: Told) -> list[str]:
        """What is wrong with its end."""

    @abstractmethod
    def ask(self, connection: Connection) -> bool:
        """Asks for it; whether it was acknowledged, or the caller was told to come again."""

    @abstractmethod
    def _where(self) -> str: ...

    @abstractmethod
    def _is_over(self, seen: dict) -> bool: ...

    def _fetch(self, _connection: Connection) -> bool:
        """Fetches what came of it, where its end does not say so itself; whether that was all there."""
        return True

    def _taken(self, response: Response, id: Callable[[dict], str] = lambda said: said["id"]) -> bool:
        """Whether an answer acknowledges it."""
        if response.status in (200, 202):
            self.ids.add(id(response.json()))
            return True
        assert_away(response)
        return False


class Job(Order):
    """A question to a model, of whose end an application is told."""

    def __init__(self, number: int, url: str, **members: object):
        super().__init__(f"job-{number}")
        # A kill costs an attempt, and there will be many.
        told = {"webhook": {"url": url}, "metadata": {"key": self.name}, "max_attempts": 100, **members}
        self.body = {"path": jobs.PATH, "body": chat(MODEL, self.name), **told}

    def prompts(self) -> Iterable[str]:
        return [self.name]

    def complaints(self, calls: Calls, told: Told) -> list[str]:
        if self.end["state"] != "done":
            return [f"it is not done: {json.dumps(self.end)[:400]}"]
        wrong = []
        if self.end["result"]["body"]["choices"][0]["message"]["content"] != f"answer to {self.name}":
            wrong.append("it has another's result")
        if len(told[self.id]) != 1:
            wrong.append(f"it was told under {len(told[self.id])} webhook ids")
        return wrong + under(calls, self.name, self.id)

    def ask(self, connection: Connection) -> bool:
        response = connection.post(self.body, "/v1/jobs", idempotency_key=self.name)
        if response.status == 409:
            self.ids.add(response.header("location").rsplit("/", 1)[1])
            return True
        return self._taken(response)

    def _where(self) -> str:
        return f"/v1/jobs/{self.id}"

    def _is_over(self, seen: dict) -> bool:
        return seen["state"] in jobs.OVER


class Batch(Order):
    """A few hundred questions, some of which cannot be asked and some of which are refused.

    Nothing makes it harmless to create one twice, as with OpenAI: one whose creation nobody heard of may be there
    or not. Where it is, it must come to the same end (see `unheard`).
    """

    def __init__(self, number: int, lines: int):
        super().__init__(f"batch-{number}")
        self.plan = Plan(lines, malformed=2, refused=3, falters=2, name=f"{self.name}-")
        self.output: list[dict] = []
        self.errors: list[dict] = []

    def prompts(self) -> Iterable[str]:
        return (self.plan.id(number) for number in range(self.plan.lines))

    def complaints(self, calls: Calls, told: Told) -> list[str]:
        if self.end["status"] != "completed":
            return [f"it is not completed: {json.dumps(self.end)[:400]}"]
        counts = SimpleNamespace(**self.end["request_counts"])
        wrong = batches.complaints(self.plan, SimpleNamespace(request_counts=counts), self.output, self.errors)
        for each in self.output + self.errors:
            if each["response"]:
                wrong += under(calls, each["custom_id"], each["id"])
        return wrong

    def ask(self, connection: Connection) -> bool:
        form, headers = upload("".join(self.plan.text(MODEL)).encode())
        response = connection.request("POST", "/v1/files", form, headers)
        if response.status != 200:
            assert_away(response)
            return False
        batch = {"endpoint": batches.ENDPOINT, "completion_window": "24h", "metadata": {"name": self.name}}
        return self._taken(connection.post({"input_file_id": response.json()["id"], **batch}, "/v1/batches"))

    def _where(self) -> str:
        return f"/v1/batches/{self.id}"

    def _is_over(self, seen: dict) -> bool:
        return seen["status"] in batches.OVER

    def _fetch(self, connection: Connection) -> bool:
        for member, into in (("output_file_id", self.output), ("error_file_id", self.errors)):
            into.clear()
            if id := self.seen[member]:
                response = connection.request("GET", f"/v1/files/{id}/content")
                if response.status != 200:
                    return False
                into += [json.loads(line) for line in response.body.splitlines()]
        return True


class Run(Order):
    """A run of one of the workflows below."""

    STEPS = {"short": 2, "long": 10, "refused": 2}

    def __init__(self, number: int):
        super().__init__(f"run-{number}")
        self.workflow = list(self.STEPS)[number % len(self.STEPS)]

    @classmethod
    def definitions(cls) -> list[dict]:
        """Chains of models, each of which asks on from what the one before has said; and one that is refused."""
        return [chain(name, steps, name == "refused") for name, steps in cls.STEPS.items()]

    def asked(self) -> list[str]:
        """What each step must ask, in turn."""
        prompts: list[str] = []
        for step in range(self.STEPS[self.workflow]):
            before = f"answer to {prompts[-1]}" if prompts else "nothing"
            prompts.append(f"{self._word(step)}{self.name} step{step}: {before}")
        return prompts

    def prompts(self) -> Iterable[str]:
        return self.asked()

    def complaints(self, calls: Calls, told: Told) -> list[str]:
        prompts = self.asked()
        state, output = ("failed", None) if self.workflow == "refused" else ("done", f"answer to {prompts[-1]}")
        wrong = []
        if (self.end["state"], self.end.get("output")) != (state, output):
            wrong.append(f"it should be {state} with {output}: {json.dumps(self.end)[:600]}")
        for step, prompt in enumerate(prompts):
            wrong += under(calls, prompt, f"{self.id}/step{step}")
        return wrong

    def _word(self, step: int) -> str:
        is_last = step == self.STEPS[self.workflow] - 1
        return f"{batches.REFUSED} " if self.workflow == "refused" and is_last else ""

    def ask(self, connection: Connection) -> bool:
        path = f"/v1/workflows/{self.workflow}/runs"
        return self._taken(connection.post({"input": {"name": self.name}}, path, idempotency_key=self.name))

    def _where(self) -> str:
        return f"/v1/workflows/runs/{self.id}"

    def _is_over(self, seen: dict) -> bool:
        return seen["state"] in workflows.OVER


def chain(name: str, length: int, is_refused: bool) -> dict:
    """A workflow of so many models in a row; the last one is refused, or it is not."""
    steps = []
    for step in range(length):
        word = f"{batches.REFUSED} " if is_refused and step == length - 1 else ""
        before = workflows.said(f"step{step - 1}") if step else "nothing"
        needs = [f"step{step - 1}"] if step else []
        steps.append(workflows.model(f"step{step}", f"{word}{{{{ input.name }}}} step{step}: {before}", *needs))
    return {"name": name, "input": ["name"], "steps": steps, "output": workflows.said(f"step{length - 1}")}


def assert_away(response: Response) -> None:
    """The store is not yet open, or away: nothing is acknowledged, and whoever asked is told to come again."""
    assert response.status == 503 and int(response.header("retry-after")) >= 1, (response.status, response.body)


def under(calls: Calls, prompt: str, id: str) -> list[str]:
    """What is wrong with the ids under which a provider was asked."""
    asked = set(calls.get(prompt, []))
    if asked == {id}:
        return []
    return [f"the provider was asked {prompt!r} under {sorted(asked)}" if asked else f"{prompt!r} was never asked"]


def upload(content: bytes) -> tuple[bytes, dict[str, str]]:
    """A form that brings an input, and its headers."""
    parts = (
        b'content-disposition: form-data; name="purpose"\r\n\r\nbatch',
        b'content-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n' + content,
    )
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, {"content-type": "multipart/form-data; boundary=edge"}


def unheard(gateway: Daemon, orders: Iterable[Batch]) -> None:
    """Finds batches that are there though nobody was told so."""
    missing = {order.name: order for order in orders if not order.ids}
    after = ""
    while missing:
        with Connection(gateway.port) as connection:
            page = connection.request("GET", f"/v1/batches?limit=100{after}").json()
        for batch in page["data"]:
            if order := missing.get(batch["metadata"]["name"]):
                order.ids.add(batch["id"])
        if not page["has_more"]:
            return
        after = f"&after={page['last_id']}"
