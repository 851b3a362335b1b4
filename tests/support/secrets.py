"""Canary secrets: strings that must never come out of the gateway, and the search for them."""

from __future__ import annotations

# The providers' keys in every configuration of the suites.
PROVIDER_KEY = "canary-provider-secret-5ad1"
ADMIN_KEY = "canary-admin-secret-77aa-0123456789abcdef0123456789"

_canaries = {PROVIDER_KEY, ADMIN_KEY}


def add_canary(secret: str) -> None:
    """From now on this string too must never be seen in an output."""
    _canaries.add(secret)


def assert_no_secret(output: str | bytes, where: str) -> None:
    """Fails where an output holds a canary, whole or as its distinct middle."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    for secret in _canaries:
        assert secret not in text, f"a secret stands in {where}"
        # Keys are often shown shortened; the middle of one must not be shown either.
        assert secret[8:24] not in text, f"a part of a secret stands in {where}"
