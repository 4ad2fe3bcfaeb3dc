"""Keys that moved from free JSON to a field and stay in both for one minor release.

Callers that read a key in `extra`, or send it in `extra_body`, can migrate during the release that
adds the field. Later releases use the field alone, without another change here.
"""

from collections.abc import Mapping
from typing import Final

from penstock.version import __version__

_HERE: Final = __version__

IN_REQUESTS: Mapping[str, str] = {}
"""Release that added the field, such as "0.2", by the key of upstream requests."""


def settled(brought: Mapping[str, str], release: str = _HERE) -> frozenset[str]:
    """Returns the keys whose transition is over, so that only the field holds them.

    Extend the set of a message's known keys by it: `_KEYS | settled({"cost": "0.2"})`.

    Args:
        brought: release that added the field, such as "0.2", by key.
        release: release that is running.
    """
    return frozenset(key for key, since in brought.items() if _minor(release) > _minor(since))


def moving(brought: Mapping[str, str], release: str = _HERE) -> frozenset[str]:
    """Returns the keys that are still accepted in their old place."""
    return frozenset(brought) - settled(brought, release)


def _minor(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])
