"""Providers that fail, callers in number, and whether a gateway protects the ones from the others.

Each scenario is a module with a `run` that starts what it needs, and tells in `Findings` what it saw and what was
not as it should be: `scripts/protect` runs them at their size, `tests/e2e/test_protect_*.py` in short rounds.
"""
