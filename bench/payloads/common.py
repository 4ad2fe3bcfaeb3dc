"""Code that all payloads share: text, framing, JSON."""

import json
import random
import struct
from collections.abc import Sequence
from typing import Any

CREATED = 1_795_381_657

_TEXT = (
    "the turbine turns slowly while water falls through the long steel pipe and the valve above "
    "it opens by a hand's breadth so that pressure stays even from the reservoir to the wheel"
)
_WORDS = _TEXT.split()


def text(words: int, seed: int) -> str:
    """Returns the same English-looking text for the same seed."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(_WORDS) for _ in range(words))


def framed(messages: Sequence[bytes]) -> bytes:
    """Returns messages in gRPC's form, each after a flag and its length."""
    return b"".join(struct.pack(">BI", 0, len(message)) + message for message in messages)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """Returns the usage of an answer."""
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
    }


def expect_usage(usage: Any, prompt: int, completion: int) -> None:
    """Sets the usage that a message must have."""
    usage.prompt_tokens, usage.completion_tokens = prompt, completion
    usage.total_tokens = prompt + completion


def dump(document: Any) -> bytes:
    """Returns compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()
