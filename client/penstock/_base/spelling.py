"""Suggestions for names that are misspelt."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_ALIKE = 0.75
"""`name` and `nmae` are alike, `reasoning` and `reasoning_details` are not."""


def alike(name: str, known: Iterable[str]) -> str:
    """Returns the known name that a name is probably meant to be; empty if there is none."""
    found = get_close_matches(name, known, n=1, cutoff=_ALIKE)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a suggestion to append to an error message; empty if there is none."""
    meant = alike(name, known)
    return f"; did you mean {meant!r}?" if meant else ""


def refuse_misspelt(given: Mapping[str, object], known: Iterable[str], what: str) -> None:
    """Checks keys of which others than the known ones are allowed.

    Raises:
        ValueError: a key is probably a misspelt one.
    """
    names = tuple(known)
    for key in given:
        if key not in names and (meant := alike(key, names)):
            raise ValueError(f"{what} has the key {key!r}; did you mean {meant!r}?")
