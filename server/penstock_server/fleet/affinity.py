"""Affinity: related calls go to the same replica, whose prefix cache then serves them.

Rendezvous hashing: every replica has a rank for every key, by a hash of both. A key goes to the
first replica that is not overloaded; if a replica is added or removed, only its own keys move.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol, TypeVar

from penstock_server.base64_text import LongBase64
from penstock_server.fleet.balancing import Loaded
from penstock_server.fleet.policy import Affinity

_MOST_LOAD = 1.25
"""Maximum load of a replica due to affinity, as a multiple of its fair share."""

_PREFIX_CHARACTERS = 1024
"""Number of leading characters in which prompts with the same prefix agree."""

_HASHES = 2.0**64


class Identified(Loaded, Protocol):
    """A replica that keys belong to."""

    @property
    def identity(self) -> bytes:
        """Identifies the replica, also after a restart."""


P = TypeVar("P", bound=Identified)


def key(affinity: Affinity, session_id: str, body: Mapping[str, Any] | None) -> bytes:
    """Returns the key that related calls have in common; empty for none.

    Args:
        affinity: the property that related calls share.
        session_id: the call's session.
        body: the request, if it is a JSON object.
    """
    if affinity is Affinity.SESSION:
        return session_id.encode()
    if affinity is Affinity.PREFIX and body:
        return _prefix(body).encode("utf-8", "surrogatepass")
    return b""


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


def _prefix(body: Mapping[str, Any]) -> str:
    """Returns the beginning of the prompt, of any kind."""
    prompt = next((body[name] for name in ("messages", "prompt", "input") if name in body), "")
    beginning = ""
    for text in islice(_texts(prompt), _PREFIX_CHARACTERS):
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
    elif value is not None:
        yield str(value)
