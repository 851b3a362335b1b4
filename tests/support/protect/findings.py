"""What a scenario found: its figures, what was wrong, and what was only too slow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from support.steady import percentile

# Nobody could look up one by one what would go wrong with all.
SHOWN_MAX = 20


@dataclass
class Findings:
    """`wrong` is judged wherever a scenario runs; `slow`, which says as much of the machine, by the script alone."""

    name: str
    figures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def tell(self, figure: str) -> None:
        self.figures.append(figure)

    def expect(self, is_so: object, otherwise: str) -> None:
        """Notes what is wrong, unless it is as it should be."""
        if not is_so:
            self.wrong.append(otherwise)

    def expect_within(self, seconds: float, bar_seconds: float, what: str) -> None:
        """Notes what took too long. Nothing measured is not within anything."""
        if not seconds <= bar_seconds:
            self.slow.append(f"{what}: {told(seconds)}, and the bar is {told(bar_seconds)}")

    def add(self, other: Findings) -> None:
        """Takes over what a part of this found, under its name."""
        self.figures += [f"{other.name}: {figure}" for figure in other.figures]
        self.wrong += [f"{other.name}: {wrong}" for wrong in other.wrong]
        self.slow += [f"{other.name}: {slow}" for slow in other.slow]


def told(seconds: float) -> str:
    """A time as people read it."""
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def spread(seconds: Iterable[float]) -> str:
    """The times of many, in one line."""
    values = list(seconds)
    if not values:
        return "none"
    p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
    return f"p50 {told(p50)}, p99 {told(p99)}, longest {told(max(values))}"


def shown(complaints: list[str]) -> list[str]:
    """As many as somebody will read."""
    rest = len(complaints) - SHOWN_MAX
    return complaints if rest <= 0 else [*complaints[:SHOWN_MAX], f"… and {rest} more"]
