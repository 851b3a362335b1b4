"""The outside ledger: what was asked for and acknowledged, what a provider and an application saw of it, and what
must be so in the end.

It believes nothing that the gateway says of its own past: only answers that came over the wire, and calls that came
out of it.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from support import batches, configuration, upstream
from support.durable.orders import Order
from support.jobs import Application
from support.upstream import Request, Upstream

# As many as somebody will read.
SHOWN_MAX = 20

Kind = TypeVar("Kind", bound=Order)


class Ledger:
    """A provider and an application that keep what they see, and the orders."""

    def __init__(self, work_seconds: float = 0.05):
        self.orders: list[Order] = []
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

    def provider(self) -> str:
        """The provider, as a gateway is told of it."""
        return configuration.provider("recorded", self._provider.port, 'models = ["m"]')

    def _answer(self, connection, request: Request) -> None:
        prompt = request.json()["messages"][0]["content"]
        with self._lock:
            self.calls[prompt].append(request.header("x-request-id"))
            is_first = len(self.calls[prompt]) == 1
            self._provider.requests.clear()
        threading.Event().wait(self._work_seconds)
        if prompt.startswith(batches.REFUSED):
            body = json.dumps({"error": {"message": f"no to {prompt}", "type": "invalid_request_error"}})
            connection.sendall(upstream.reply("400 Bad Request", body.encode()))
        elif prompt.startswith(batches.FALTERS) and is_first:
            body = b'{"error":{"message":"not now","type":"server_error"}}'
            connection.sendall(upstream.reply("503 Service Unavailable", body))
        else:
            connection.sendall(upstream.reply("200 OK", upstream.completion(f"answer to {prompt}")))

    def order(self, make: Callable[[int], Kind]) -> Kind:
        """What nobody has asked for yet, under a number of its own."""
        with self._lock:
            order = make(len(self.orders))
            self.orders.append(order)
        return order

    def acknowledged(self) -> list[Order]:
        with self._lock:
            return [order for order in self.orders if order.ids]

    def told(self) -> dict[str, set[str]]:
        """Under which ids the application was told of each job."""
        told: dict[str, set[str]] = defaultdict(set)
        for each in list(self.application.told):
            told[each.event["data"]["id"]].add(each.id)
        return told

    def complaints(self) -> list[str]:
        """What is wrong in the end."""
        told, wrong = self.told(), []
        for order in self.acknowledged():
            if len(order.ids) != 1:
                wrong.append(f"{order.name} was acknowledged under several ids: {sorted(order.ids)}")
            elif order.end is None:
                wrong.append(f"{order.name} ({order.id}) never came to an end: {json.dumps(order.seen)[:400]}")
            else:
                wrong += [f"{order.name} ({order.id}): {each}" for each in order.complaints(self.calls, told)]
        strangers = set(self.calls) - {prompt for order in self.orders for prompt in order.prompts()}
        wrong += [f"the provider was asked {prompt!r}, which nobody ordered" for prompt in sorted(strangers)]
        return wrong

    def counts(self) -> tuple[int, int]:
        """Calls at the provider, and prompts that it was asked more than once."""
        with self._lock:
            lengths = [len(ids) for ids in self.calls.values()]
        return sum(lengths), sum(length > 1 for length in lengths)


def of_kind(orders: Iterable[Order], kind: type[Kind]) -> list[Kind]:
    return [order for order in orders if isinstance(order, kind)]


def shown(complaints: list[str]) -> list[str]:
    rest = len(complaints) - SHOWN_MAX
    return complaints if rest <= 0 else [*complaints[:SHOWN_MAX], f"… and {rest} more"]
