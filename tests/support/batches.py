"""Batches as a caller sees them: an input of many lines, and what must come of each.

A plan says of each line what it is and what becomes of it; the judge reads the output and the error file, and finds
every line in one of them once, with its own answer.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support import upstream
from support.prompts import user
from support.upstream import Request, Serving
from support.waiting import wait_until

if TYPE_CHECKING:
    import openai

ENDPOINT = "/v1/chat/completions"
OVER = {"completed", "failed", "expired", "cancelled"}

GOOD = "good"
# No JSON: the line goes to the error file, and nobody is asked.
MALFORMED = "malformed"
# The provider says 400, and that stands.
REFUSED = "refused"
# The provider fails once, and answers then.
FALTERS = "falters"


def line(custom_id: str, model: str = "mock/instant", content: str | None = None, **members: object) -> str:
    """A line of an input."""
    body = {"model": model, "messages": user(content or custom_id), **members}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body})


@dataclass
class Plan:
    """An input: so many lines, of which so many hundredths are malformed, refused, or falter."""

    lines: int
    malformed: int = 1
    refused: int = 4
    falters: int = 1
    # Bytes of each prompt, about.
    bytes: int = 0
    # Tells its lines from those of other plans.
    name: str = ""

    def kind(self, number: int) -> str:
        at = number % 100
        if at < self.malformed:
            return MALFORMED
        if at < self.malformed + self.refused:
            return REFUSED
        return FALTERS if at < self.malformed + self.refused + self.falters else GOOD

    def id(self, number: int) -> str:
        return f"{self.kind(number)}-{self.name}{number}"

    def text(self, model: str) -> Iterator[str]:
        """The input, line by line."""
        padding = " lorem" * (self.bytes // 6)
        for number in range(self.lines):
            text = line(self.id(number), model, self.id(number) + padding)
            yield (text[:-7] if self.kind(number) == MALFORMED else text) + "\n"

    def write(self, path: Path, model: str) -> Path:
        """The input, as a file."""
        with path.open("w") as file:
            file.writelines(self.text(model))
        return path

    def count(self, *kinds: str) -> int:
        return sum(self.kind(number) in kinds for number in range(self.lines))


class Provider(Serving):
    """Answers by what a line is; keeps how often each was asked."""

    def __init__(self, seconds: float = 0.0):
        super().__init__()
        self.asked: Counter[str] = Counter()
        self._seconds = seconds

    def _answer(self, connection, request: Request) -> None:
        id = request.json()["messages"][0]["content"].split(" ", 1)[0]
        self.asked[id] += 1
        self._upstream.requests.clear()
        if self._seconds:
            time.sleep(self._seconds)
        if id.startswith(REFUSED):
            body = json.dumps({"error": {"message": f"no to {id}", "type": "invalid_request_error"}}).encode()
            connection.sendall(upstream.reply("400 Bad Request", body))
        elif id.startswith(FALTERS) and self.asked[id] == 1:
            body = b'{"error":{"message":"not now","type":"server_error"}}'
            connection.sendall(upstream.reply("503 Service Unavailable", body))
        else:
            connection.sendall(upstream.reply("200 OK", upstream.completion(f"answer to {id}")))


def bring(client: openai.OpenAI, path: Path):
    """The file as the gateway knows it."""
    with path.open("rb") as file:
        return client.files.create(file=file, purpose="batch")


def create(client: openai.OpenAI, file: str, window: str = "24h", **options: object):
    return client.batches.create(input_file_id=file, endpoint=ENDPOINT, completion_window=window, **options)


def over(client: openai.OpenAI, id: str, seconds: float = 60.0):
    """The batch, once nothing more happens to it."""

    def there():
        batch = client.batches.retrieve(id)
        return batch if batch.status in OVER else None

    return wait_until(f"{id} is over", there, seconds)


def lines(client: openai.OpenAI, file: str | None) -> list[dict]:
    """The lines of an output or error file; none where there is no file."""
    return [json.loads(text) for text in client.files.content(file).text.splitlines()] if file else []


def complaints(plan: Plan, batch, output: list[dict], errors: list[dict]) -> list[str]:
    """What is not as it should be with a batch that was completed."""
    wrong = []
    counts = batch.request_counts
    bad = plan.count(MALFORMED, REFUSED)
    if (counts.total, counts.completed, counts.failed) != (plan.lines, plan.lines - bad, bad):
        wrong.append(f"the counts are {counts}, and {bad} of {plan.lines} are bad")
    wrong += names(output, {plan.id(n) for n in range(plan.lines) if plan.kind(n) in (GOOD, FALTERS)}, "output")
    named = [each for each in errors if each["custom_id"] is not None]
    wrong += names(named, {plan.id(n) for n in range(plan.lines) if plan.kind(n) == REFUSED}, "error file")
    malformed = [each for each in errors if each["custom_id"] is None]
    if len(malformed) != plan.count(MALFORMED) or any(
        each["error"]["code"] != "invalid_json_line" for each in malformed
    ):
        wrong.append(f"{len(malformed)} malformed lines are in the error file")
    ids = Counter(each["id"] for each in output + errors)
    wrong += [f"{id} is there {count} times" for id, count in ids.items() if count > 1]
    for each in output:
        said = each["response"]["body"]["choices"][0]["message"]["content"]
        if said != f"answer to {each['custom_id']}" or each["response"]["status_code"] != 200:
            wrong.append(f"{each['custom_id']} has the answer {said!r}")
    wrong += [f"{each} is no refusal" for each in named if each["response"]["status_code"] != 400]
    return wrong


def names(found: list[dict], expected: set[str], where: str) -> list[str]:
    """What is missing, strange or doubled among lines."""
    counts = Counter(each["custom_id"] for each in found)
    wrong = [f"{id} is {count} times in the {where}" for id, count in counts.items() if count > 1]
    wrong += [f"{id} is not in the {where}" for id in sorted(expected - set(counts))]
    return wrong + [f"{id} should not be in the {where}" for id in sorted(set(counts) - expected)]
