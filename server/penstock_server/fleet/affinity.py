"""Affinity: related calls go to the same replica, whose prefix cache then serves them.

Rendezvous hashing: every replica has a rank for every key, by a hash of both. A key goes to the
first replica that is not overloaded; if a replica is added or removed, only its own keys move.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol, TypeVar

import orjson

from penstock_server.base64_text import LongBase64
from penstock_server.fleet.balancing import Loaded
from penstock_server.fleet.policy import Affinity
from penstock_server.upstream import Call

_MOST_LOAD = 1.25
"""Maximum load of a replica due to affinity, as a multiple of its fair share."""

_PREFIX_CHARACTERS = 1024
"""Number of leading characters of each part in which prompts with the same beginning agree."""

_HASHES = 2.0**64


class Identified(Loaded, Protocol):
    """A replica that keys belong to."""

    @property
    def identity(self) -> bytes:
        """Identifies the replica, also after a restart."""


P = TypeVar("P", bound=Identified)


def key(affinity: Affinity, call: Call, body: Mapping[str, Any] | None) -> bytes:
    """Returns the key that related calls have in common; empty for none.

    A key that the caller chose takes precedence over the beginning of the prompt.

    Args:
        affinity: the property that related calls share.
        call: the call, with the keys that its caller chose.
        body: the request, if it is a JSON object.
    """
    if affinity is Affinity.NONE:
        return b""
    chosen = call.prompt_cache_key or call.session_id
    if chosen or affinity is Affinity.SESSION or not body:
        return _shortened(chosen.encode("utf-8", "surrogatepass"))
    return _beginning(body).encode("utf-8", "surrogatepass")


def _shortened(key: bytes) -> bytes:
    """Returns a key that is read once for each replica: a long one as its digest."""
    return key if len(key) <= _PREFIX_CHARACTERS else blake2b(key).digest()


def preferred(replicas: Sequence[P], key: bytes, now: float) -> P:
    """Returns the replica that a key belongs to, or the next one that is not overloaded."""
    ranked = sorted(replicas, key=lambda replica: _rank(replica, key), reverse=True)
    weights = [replica.load.weight(now) for replica in ranked]
    calls = sum(replica.load.outstanding for replica in ranked) + 1
    each = _MOST_LOAD * calls / sum(weights)
    for replica, weight in zip(ranked, weights, strict=True):
        if replica.load.outstanding < math.ceil(each * weight):
            return replica
    return ranked[0]


def _rank(replica: Identified, key: bytes) -> float:
    """Returns a number; how often it is the largest of all is in proportion to the weight."""
    digest = blake2b(key, digest_size=8, key=replica.identity).digest()
    drawn = (int.from_bytes(digest) + 0.5) / _HASHES
    return -replica.load.full_weight / math.log(drawn)


def _beginning(body: Mapping[str, Any]) -> str:
    """Returns the beginning of each part of a prompt that does not change while it grows."""
    return "\0\0".join(map(_beginning_of, _stable_parts(body)))


def _stable_parts(body: Mapping[str, Any]) -> Iterator[Any]:
    """Yields instructions, tools, and a prompt of any kind.

    Of a conversation, it yields the first message of the user, and the messages before it.
    """
    yield from (body[name] for name in ("instructions", "tools") if body.get(name))
    prompt = next((body[name] for name in ("messages", "prompt", "input") if name in body), "")
    first = _first_of_user(prompt) if isinstance(prompt, list) else -1
    if first < 0:
        yield prompt
    else:
        yield from (prompt[:first], prompt[first])


def _first_of_user(messages: list[Any]) -> int:
    """Returns the position of the first message of the user; -1 if there is none."""
    for position, message in enumerate(messages):
        if not isinstance(message, Mapping):
            break
        if message.get("role") == "user":
            return position
    return -1


def _beginning_of(part: Any) -> str:
    beginning = ""
    for text in islice(_texts(part), _PREFIX_CHARACTERS):
        beginning += f"{text[:_PREFIX_CHARACTERS]}\0"
        if len(beginning) >= _PREFIX_CHARACTERS:
            break
    return beginning[:_PREFIX_CHARACTERS]


def _texts(value: Any) -> Iterator[str]:
    """Yields all texts and numbers of a JSON value in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, LongBase64):
        yield value.beginning(_PREFIX_CHARACTERS)
    elif isinstance(value, orjson.Fragment):
        yield orjson.dumps(value)[:_PREFIX_CHARACTERS].decode("utf-8", "replace")
    elif value is not None:
        yield str(value)
