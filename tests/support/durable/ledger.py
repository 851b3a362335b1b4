"""The outside ledger: what was asked for and acknowledged, what a provider and an application saw of it, and what
must be so in the end.

It believes nothing that the gateway says of its own past: only answers that came over the wire, and calls that came
out of it.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from support import jobs, upstream
from support.jobs import Application
from support.raw import chat
from support.upstream import Request, Upstream

# As many as somebody will read.
SHOWN_MAX = 20


@dataclass
class Order:
    """A job that somebody wants done, under a key of its own until it is acknowledged."""

    key: str
    body: dict
    # The ids under which it was acknowledged: one, or something is wrong.
    ids: set[str] = field(default_factory=set)


class Ledger:
    """A provider and an application that keep what they see, and the orders."""

    def __init__(self, work_seconds: float = 0.05):
        self.orders: dict[str, Order] = {}
        # By prompt: the request ids under which the provider was asked.
        self.calls: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._work_seconds = work_seconds
        self._provider = Upstream(self._answer)
        self.application = Application()

    def __enter__(self) -> Ledger:
        self._provider.__enter__()
        self.application.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        self.application.__exit__(*exception)
        self._provider.__exit__(*exception)

    @property
    def provider_port(self) -> int:
        return self._provider.port

    def _answer(self, connection, request: Request) -> None:
        prompt = request.json()["messages"][0]["content"]
        with self._lock:
            self.calls[prompt].append(request.header("x-request-id"))
        threading.Event().wait(self._work_seconds)
        connection.sendall(upstream.reply("200 OK", upstream.completion(f"answer to {prompt}")))

    def order(self, model: str) -> Order:
        """A job that nobody has asked for yet."""
        with self._lock:
            key = f"order-{len(self.orders)}"
            body = {
                "path": jobs.PATH,
                "body": chat(model, key),
                "webhook": {"url": self.application.url},
                "metadata": {"key": key},
            }
            order = self.orders[key] = Order(key, body)
        return order

    def acknowledged(self) -> list[Order]:
        with self._lock:
            return [order for order in self.orders.values() if order.ids]

    def times_asked(self) -> list[int]:
        """How often the provider was asked each prompt so far."""
        with self._lock:
            return [len(ids) for ids in self.calls.values()]

    def complaints(self, ends: dict[str, dict]) -> list[str]:
        """What is wrong in the end; `ends` are the jobs as they stand then, by id."""
        wrong: list[str] = []
        told: dict[str, set[str]] = defaultdict(set)
        for each in self.application.told:
            told[each.event["data"]["id"]].add(each.id)
        for order in self.acknowledged():
            wrong += self._order(order, ends, told)
        strangers = [prompt for prompt in self.calls if prompt not in self.orders]
        wrong += [f"the provider was asked {prompt}, which nobody ordered" for prompt in strangers]
        return wrong

    def _order(self, order: Order, ends: dict[str, dict], told: dict[str, set[str]]) -> list[str]:
        if len(order.ids) != 1:
            return [f"{order.key} was acknowledged under several ids: {sorted(order.ids)}"]
        (id,) = order.ids
        end, calls = ends.get(id), self.calls[order.key]
        wrong = []
        if end is None or end["state"] != "done":
            wrong.append(f"{order.key} ({id}) is not done: {json.dumps(end)[:400]}")
        elif end["result"]["body"]["choices"][0]["message"]["content"] != f"answer to {order.key}":
            wrong.append(f"{order.key} ({id}) has another's result")
        if not calls:
            wrong.append(f"{order.key} ({id}): the provider was never asked")
        if set(calls) - {id}:
            wrong.append(f"{order.key} ({id}): the provider was asked under other ids: {sorted(set(calls))}")
        if len(told[id]) != 1:
            wrong.append(f"{order.key} ({id}) was told under {len(told[id])} webhook ids")
        return wrong


def shown(complaints: list[str]) -> list[str]:
    rest = len(complaints) - SHOWN_MAX
    return complaints if rest <= 0 else [*complaints[:SHOWN_MAX], f"… and {rest} more"]
