"""A gateway before three simulated providers, and what else a scenario puts behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import configuration, processes
from support.processes import Daemon
from support.protect.providers import Account, Call, Provider
from support.raw import Response, chat, complete

NAMES = ("first", "second", "third")
MODEL = "instant"

# Short enough to be waited for, long enough for a machine that does other things too.
PATIENCE = {"connect": "300ms", "first_token": "400ms", "between_tokens": "400ms", "total": "1200ms"}
# With a provider that answers when it is let.
LONG_PATIENCE = {"connect": "2s", "first_token": "30s", "between_tokens": "30s", "total": "60s"}


def provider(name: str, port: int, **members: object) -> str:
    """A provider's table; `members` are further ones, such as `concurrency`."""
    members = {"timeouts": PATIENCE, "models": [MODEL], **members}
    return configuration.provider(
        name, port, *(f"{member} = {configuration.inline(value)}" for member, value in members.items())
    )


def alias(name: str, *targets: str | dict, **members: object) -> str:
    """An alias of these targets: names, or tables with weight and priority."""
    rows = [{"model": target} if isinstance(target, str) else target for target in targets]
    return configuration.table(f"models.{json.dumps(name)}", targets=rows, **members)


def strategy(name: str, **members: object) -> str:
    """A strategy for breakers, beside the presets."""
    return configuration.table(f"guard.strategies.{name}", **{"like": "balanced", **members})


def never_trips() -> str:
    """A strategy for scenarios in which one fault after another is to reach the provider."""
    return strategy("patient", consecutive=100_000, success_below=0.0, calls_min=1_000_000)


def generous_retries(**members: object) -> str:
    """A budget that is never in the way, and no pauses."""
    budget = {"budget": 1.0, "budget_per_second": 1000, "backoff": "1ms", "backoff_max": "5ms"}
    return configuration.table("guard.retry", **{**budget, **members})


@dataclass
class Stand:
    """What was started."""

    gateways: list[Daemon]
    providers: dict[str, Provider]
    account: Account
    # Secrets by name.
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> Daemon:
        return self.gateways[0]

    def ask(
        self,
        model: str = "any",
        content: str = "tell me",
        key: str = "",
        stream: bool = False,
        **headers: str,
    ) -> Asked:
        """One request with an id of its own; `key` is the name of the caller's."""
        mark = uuid.uuid4().hex
        headers = {"x-request-id": mark, **headers}
        if key:
            headers["authorization"] = f"Bearer {self.keys[key]}"
        response = complete(self.gateway.port, chat(model, content, stream=stream), **headers)
        return Asked(self, mark, response)


@dataclass(frozen=True)
class Asked:
    """One request, what came of it, and what was done for it."""

    stand: Stand
    mark: str
    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def calls(self) -> list[Call]:
        """The calls that were made for it, by provider, and the oldest first."""
        self.stand.account.take()
        found = self.stand.account.calls().get(self.mark, [])
        return sorted(found, key=lambda call: (NAMES.index(call.provider), call.came_ms))

    @property
    def asked(self) -> list[str]:
        """The providers that were asked, in the order of `NAMES` and each as often as it was. Nobody is asked after
        one who answers, so that whoever failed was asked before."""
        return [call.provider for call in self.calls]


@contextmanager
def stand(
    folder: Path,
    *parts: str,
    gateways: int = 1,
    keys: dict[str, dict] | None = None,
    arguments: tuple[str, ...] = (),
    members: dict[str, dict] | None = None,
) -> Iterator[Stand]:
    """Starts three providers with these `arguments` and the gateways before them.

    `members` are further ones of a provider's table, `keys` those of callers' rows. At the end each gateway is
    judged: it must have lived, and must leave as it is told to.
    """
    made = {name: processes.create_key() for name in keys or {}}
    with ExitStack() as stack:
        providers = {
            name: stack.enter_context(Provider(name, folder / name, *arguments)) for name in NAMES
        }
        rows = [configuration.key_row(made[name], **members_) for name, members_ in (keys or {}).items()]
        tables = [provider(name, each.port, **(members or {}).get(name, {})) for name, each in providers.items()]
        started = []
        for number in range(gateways):
            home = folder / f"gateway-{number}"
            # Tables with a header of their own come after what belongs to the file's root.
            text = configuration.gateway(home / "data", *rows, *tables, *parts)
            started.append(stack.enter_context(processes.start_gateway(home, text)))
        account = stack.enter_context(Account(providers.values()))
        yield Stand(started, providers, account, {name: key["key"] for name, key in made.items()})
