"""Callers' keys that are kept in the store, and what was used with them, as operators see it."""

from __future__ import annotations

import json
from collections import Counter

from support.processes import Daemon
from support.raw import Response, ask, chat, complete


def create(gateway: Daemon, **settings: object) -> dict:
    """A key made over the admin plane: `key` is the whole of it."""
    response = admin(gateway, "POST", "/admin/keys", settings)
    assert response.status == 201, response.body
    return response.json()


def revoke(gateway: Daemon, id: str) -> None:
    response = admin(gateway, "DELETE", f"/admin/keys/{id}")
    assert (response.status, response.json()["state"]) == (200, "revoked"), response.body


def change(gateway: Daemon, id: str, **settings: object) -> Response:
    return admin(gateway, "PATCH", f"/admin/keys/{id}", settings)


def states(gateway: Daemon) -> dict[str, str]:
    """Each key's id and how it stands."""
    said = admin(gateway, "GET", "/admin/keys").json()
    return {key["id"]: key["state"] for key in said["keys"]}


def admin(gateway: Daemon, method: str, path: str, body: dict | None = None) -> Response:
    data = None if body is None else json.dumps(body).encode()
    return ask(gateway.admin_port, method, path, data, content_type="application/json")


def use(gateway: Daemon, key: str | None, model: str = "sim/instant", **options: object) -> Response:
    """One chat with this key."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return complete(gateway.port, chat(model, **options), **headers)


def status(gateway: Daemon, key: str | None) -> int:
    return use(gateway, key).status


def usage(gateway: Daemon, query: str = "") -> list[dict]:
    """The rows of what was used."""
    response = admin(gateway, "GET", f"/admin/usage?{query}")
    assert response.status == 200, response.body
    return response.json()["usage"]


def requests(gateway: Daemon, query: str = "") -> Counter[str]:
    """How many requests each key made, over all days and models."""
    found: Counter[str] = Counter()
    for row in usage(gateway, query):
        found[row["key"]] += row["requests"]
    return found
