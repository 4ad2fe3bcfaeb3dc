"""Keys that moved from free JSON to a field, which stay in both for one minor release.

Callers who read a key in `extra`, or give it in `extra_body`, have the release that brings its
field to change. Later releases know the key by its field alone, without another change here.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

_HERE: Final = version("penstock")

IN_REQUESTS: Mapping[str, str] = {}
"""By a key of upstream requests: the release that brought its field, as "0.2"."""


def settled(brought: Mapping[str, str], release: str = _HERE) -> frozenset[str]:
    """Returns the keys that a field alone stands for by now.

    The set of known keys of a message is extended by it: `_KEYS | settled({"cost": "0.2"})`.

    Args:
        brought: by key, the release that brought its field, as "0.2".
        release: the release that runs.
    """
    return frozenset(key for key, since in brought.items() if _minor(release) > _minor(since))


def moving(brought: Mapping[str, str], release: str = _HERE) -> frozenset[str]:
    """Returns the keys that are still taken where they were before they had a field."""
    return frozenset(brought) - settled(brought, release)


def _minor(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])
