"""Callers in number against a limit of tokens a minute, on gateways that share it through Redis.

Every round has a key of its own, and so a limit that nobody has touched. What was let through is what the answers
say they used. No more than the limit may be, but for one request: the one that was let in when there was still
something left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support import configuration
from support.protect.findings import Findings, shown
from support.protect.stand import MODEL, Stand, alias, stand
from support.prompts import directive
from support.raw import Response, chat, complete
from support.redis import Redis

TOKENS_A_MINUTE = 100
WORKERS = 20


@dataclass(frozen=True)
class Size:
    rounds: int = 100
    callers: int = 20
    # What an answer is long.
    tokens: int = 10


@dataclass(frozen=True)
class Round:
    """What a round let through."""

    used: list[int]
    refused: list[Response]
    failed: list[Response]
    seconds: float

    def most_allowed(self, deciders: int) -> float:
        """What the limit holds, what has flowed in meanwhile, and one request for each who decides."""
        return TOKENS_A_MINUTE * (1 + self.seconds / 60) + deciders * max(self.used, default=0)


def run(folder: Path, size: Size = Size()) -> Findings:
    """As many rounds with Redis; then some while it is away, when each gateway decides alone about its part."""
    findings = Findings("limits")
    away = max(1, size.rounds // 10)
    keys = {
        f"round-{number}": {"tenant": f"tenant-{number}", "tokens_per_minute": TOKENS_A_MINUTE}
        for number in range(size.rounds + away)
    }
    with Redis(folder / "redis") as redis:
        parts = [configuration.table("cache.redis", url=redis.url), alias("any", f"first/{MODEL}")]
        with stand(folder, *parts, gateways=2, keys=keys) as there:
            findings.add(several(there, size, range(size.rounds), "shared", 1))
            redis.freeze()
            try:
                findings.add(several(there, size, range(size.rounds, size.rounds + away), "Redis away", 2))
            finally:
                redis.thaw()
    return findings


def several(there: Stand, size: Size, numbers: range, name: str, deciders: int) -> Findings:
    """Rounds in which so many decide, each about its part of the limit."""
    findings = Findings(name)
    over, totals, refused = [], [], 0
    for number in numbers:
        round_ = ask_round(there, size, number)
        totals.append(sum(round_.used))
        refused += len(round_.refused)
        if totals[-1] > round_.most_allowed(deciders):
            over.append(f"round {number}: {totals[-1]} tokens let through in {round_.seconds:.1f} s: {round_.used}")
        findings.expect(round_.used, f"round {number}: nobody was let through")
        findings.expect(round_.refused, f"round {number}: nobody was refused")
        findings.wrong += [f"round {number}: status {each.status}" for each in round_.failed]
        findings.wrong += filter(None, (complaint(each, deciders) for each in round_.refused))
    findings.wrong = shown(list(Counter(findings.wrong)))
    findings.wrong += shown(over)
    findings.tell(
        f"{len(numbers)} rounds of {size.callers} callers: {min(totals)} to {max(totals)} tokens let through of "
        f"{TOKENS_A_MINUTE} a minute, {refused} requests refused, {len(over)} rounds over"
    )
    return findings


def ask_round(there: Stand, size: Size, number: int) -> Round:
    """All callers at once, half of them at each gateway. With every other round they do not say how much they will
    take at most, so that more is reserved than is used."""
    key, pace = there.keys[f"round-{number}"], directive(tokens=size.tokens)
    bounds = {"max_tokens": size.tokens} if number % 2 == 0 else {}

    def one(caller: int) -> Response:
        gateway = there.gateways[caller % len(there.gateways)]
        body = chat("any", f"tell me {pace}", **bounds)
        return complete(gateway.port, body, authorization=f"Bearer {key}")

    begun = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as callers:
        responses = list(callers.map(one, range(size.callers)))
    seconds = time.monotonic() - begun
    of: Callable[[int], list[Response]] = lambda status: [r for r in responses if r.status == status]  # noqa: E731
    return Round(
        used=[response.json()["usage"]["total_tokens"] for response in of(200)],
        refused=of(429),
        failed=[response for response in responses if response.status not in (200, 429)],
        seconds=seconds,
    )


def complaint(refusal: Response, deciders: int) -> str | None:
    """What is wrong with a refusal, if anything. What is a part of the limit fills so much more slowly."""
    refusal.error()
    after = int(refusal.header("retry-after") or 0)
    if not 1 <= after <= 60 * deciders:
        return f"429 with Retry-After {refusal.header('retry-after')}"
    if refusal.header("x-ratelimit-limit-tokens") != str(TOKENS_A_MINUTE):
        return f"429 with x-ratelimit-limit-tokens {refusal.header('x-ratelimit-limit-tokens')}"
    return None
