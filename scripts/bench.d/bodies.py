"""What the callers ask and what the provider answers: exact sizes, valid JSON, the same for every target."""

import json

REPLY_BYTES = 1024
SMALL_BYTES = 1024
LARGE_BYTES = 100 * 1024
# As the gateway spells it: provider, slash, the provider's own name. To a plain proxy it is only text.
MODEL = "mock/bench-model"

_PROSE = (
    "The harbour gate rises with the tide, and whoever keeps it writes down each hour what came in and what "
    'went out: "forty barrels, two letters", he says.\nA clerk copies the page twice. '
)


def request(size, stream=False, temperature=0.2, number=0):
    """A chat completion request of exactly `size` bytes: prose with quotes and line ends, as callers send.
    Requests of different `number`, up to 999, are different questions."""
    system = f"You are a careful assistant, the {number:03}th of many." if number else "You are a careful assistant."
    body = {"model": MODEL, "messages": [{"role": "system", "content": system}]}
    if stream:
        body["stream"] = True
    body["temperature"] = temperature
    body["max_tokens"] = 64
    while size - len(_encode(body)) > 4096:
        body["messages"].append({"role": "user", "content": (_PROSE * 12)[:2000]})
    body["messages"].append({"role": "user", "content": ""})
    return _fill(body, body["messages"][-1], "content", size)


def questions(count):
    """So many different small requests whose answers a gateway may keep."""
    return [request(SMALL_BYTES, temperature=0, number=number) for number in range(1, count + 1)]


def reply():
    """The provider's canned answer, with the usage block that the gateway reads."""
    message = {"role": "assistant", "content": ""}
    body = {
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1700000000, "model": "bench-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 120, "total_tokens": 320},
    }
    return _fill(body, message, "content", REPLY_BYTES)


def _encode(body):
    return json.dumps(body, separators=(",", ":")).encode()


def _fill(body, holder, key, size):
    """Lengthens the empty string `holder[key]` until the whole body has `size` bytes."""
    room = size - len(_encode(body))
    text = (_PROSE * (room // len(_PROSE) + 1))[:room]
    while len(_encode(text)) - 2 > room:  # an escape is one character but two bytes
        text = text[:-1]
    holder[key] = text + "." * (room - (len(_encode(text)) - 2))
    return _encode(body)
