#!/usr/bin/env python3
"""Checks the dependency tree against deny.toml: licences, banned crates, sources.

It reads the same file as cargo-deny, so that there is one policy, and needs only Python and Cargo.
It is not a replacement: advisories, which need a database, are cargo-deny's alone.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# How a registry is written in `cargo metadata`; anything else is a git repository.
REGISTRY_SCHEMES = ("registry+", "sparse+")


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences alone."""
    # `MIT/Apache-2.0` is how an `OR` was written before crates had to use SPDX.
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def alternatives() -> bool:
        nonlocal position
        result = conjunction()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            # Both sides are always read: the position must move past them.
            result = conjunction() or result
        return result

    def conjunction() -> bool:
        nonlocal position
        result = licence()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            result = licence() and result
        return result

    def licence() -> bool:
        nonlocal position
        if tokens[position] == "(":
            position += 1
            result = alternatives()
            position += 1  # the closing bracket
            return result
        name = tokens[position]
        position += 1
        if position < len(tokens) and tokens[position] == "WITH":
            name = f"{name} WITH {tokens[position + 1]}"
            position += 2
        return name in allowed

    return alternatives() and position == len(tokens)


def faults(metadata: dict, policy: dict) -> list[str]:
    """One line for every package that breaks the policy."""
    allowed = set(policy["licenses"]["allow"])
    banned = {row["crate"]: row["reason"] for row in policy["bans"]["deny"]}
    found = []
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        if licence is None or not satisfied(licence, allowed):
            found.append(f"{name}: licence {licence!r} is not in deny.toml's list")
        if package["name"] in banned:
            found.append(f"{name} is banned: {banned[package['name']]}")
        source = package["source"]
        if source is not None and not source.startswith(REGISTRY_SCHEMES):
            found.append(f"{name} comes from {source}, not from a registry")
    registries = {package["source"] for package in metadata["packages"]} - {None}
    if len(registries) > 1:
        found.append(f"more than one registry: {', '.join(sorted(registries))}")
    return found


def main() -> int:
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    metadata = json.loads(output)
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    found = faults(metadata, policy)
    print("\n".join(found) if found else f"{len(metadata['packages'])} packages, all within deny.toml")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
