"""The configuration files of the suites, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from support.secrets import PROVIDER_KEY

# For one gateway that meets one fault after another, each by itself: no breaker learns of them, and each is
# asked for once.
UNGUARDED = "[guard]\nenabled = false\n"

MOCK_MODELS = ("instant", "fast", "slow", "flaky", "embed")


def provider(name: str, port: int, *lines: str) -> str:
    """A provider over HTTP on a loopback port; `lines` are further TOML lines of its table."""
    return "\n".join(
        [
            f"[providers.{name}]",
            'preset = "openai-compatible"',
            f'base_url = "http://127.0.0.1:{port}/v1"',
            f'api_key = "{PROVIDER_KEY}"',
            *lines,
            "",
        ]
    )


def mock_provider(port: int) -> str:
    """The simulated provider, once patient and once with time-outs short enough to wait for."""
    return provider("mock", port, f"models = {json.dumps(MOCK_MODELS)}") + provider(
        "hasty",
        port,
        'timeouts = { connect = "500ms", first_token = "400ms", between_tokens = "400ms", total = "1500ms" }',
    )


def alias(name: str, *targets: tuple[str, int], cache: str = "", affinity: bool = True) -> str:
    """An alias with weighted targets; `cache` is what it says of its answers, as members of a TOML table."""
    rows = ", ".join(f'{{ model = "{model}", weight = {weight} }}' for model, weight in targets)
    remembers = f"cache = {{ {cache} }}\n" if cache else ""
    wanders = "" if affinity else "affinity = false\n"
    return f"[models.{name}]\ntargets = [ {rows} ]\n{remembers}{wanders}"


def key_row(key: dict, models: Iterable[str] = (), tenant: str | None = None, **members: object) -> str:
    """A `[[keys]]` row for what `tidegate keys create --json` printed; `members` are further ones of its own."""
    rows = ["[[keys]]", f'id = "{key["id"]}"', f'hash = "{key["hash"]}"']
    if tenant:
        rows.append(f'tenant = "{tenant}"')
    if models:
        rows.append(f"models = {json.dumps(list(models))}")
    rows += [f"{name} = {inline(value)}" for name, value in members.items()]
    return "\n".join([*rows, ""])


def table(name: str, **members: object) -> str:
    """A TOML table with one member a line."""
    return "\n".join([f"[{name}]", *(f"{key} = {inline(value)}" for key, value in members.items()), ""])


def inline(value: object) -> str:
    """A value as TOML writes it within a line. Its strings, numbers and truths are written as in JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {inline(member)}" for name, member in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def gateway(data: Path, *parts: str, server: Iterable[str] = (), port: int = 0) -> str:
    """A whole file: both listeners on free loopback ports unless one is given, then the parts."""
    return "\n".join(
        [
            f'data = "{data}"',
            "[server]",
            f'listen = "127.0.0.1:{port}"',
            *server,
            "[admin]",
            'listen = "127.0.0.1:0"',
            "",
            *parts,
        ]
    )
