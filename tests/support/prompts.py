"""Prompts, and the directives that a prompt may carry for the simulated provider."""

from __future__ import annotations


def user(content: str) -> list[dict]:
    """A conversation of one message."""
    return [{"role": "user", "content": content}]


def directive(**settings: object) -> str:
    """What the simulated provider is told to do with this request: `[[sim: status=503]]`.

    A setting that is True is written as a bare word.
    """
    words = [name if value is True else f"{name}={value}" for name, value in settings.items()]
    return f"[[sim: {' '.join(words)}]]"


def scripted(content: str = "tell me", **settings: object) -> list[dict]:
    """A conversation of one message that carries a directive."""
    return user(f"{content} {directive(**settings)}")


def named(request_id: str) -> dict:
    """Options that give a request an id by which the provider's log knows it."""
    return {"extra_headers": {"x-request-id": request_id}}
