"""JSON of any kind: values, texts that are nearly JSON, and documents with one change."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]

HUGE = (2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, 1e300, -1e-320)
NUMBERS = st.one_of(
    st.integers(-2, 3), st.sampled_from(HUGE), st.integers(), st.floats(), st.just(float("nan"))
)
# Surrogates included: JSON can contain a lone one, although it is not valid text.
TEXTS = st.one_of(
    st.sampled_from(["", "\ud83d", "\udc00x", "\x00", "stop", "null", "[DONE]", "👋" * 99]),
    st.text(st.characters(), max_size=12),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def _nested(depth: int, in_objects: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if in_objects else [value]
    return value


DEEP = st.builds(_nested, st.sampled_from([20, 33, 34, 60, 100, 255, 400]), st.booleans())
"""Generates values nested too deeply for some parsers, but not for Python's serializer."""

ODD_TEXTS = (
    "",
    " ",
    "{",
    "nul",
    "NaN",
    "-",
    "1e999",
    "[1,]",
    '{"a":1,"a":2}',
    '"\\ud83d"',
    '"\\u0000"',
    "\ufeff{}",
    "[" * 2000,
    '{"a":' * 2000,
    "[" * 1000 + "]" * 1000,
    '{"a":' * 1000 + "1" + "}" * 1000,
    "9" * 400,
    "9" * 5000,
)
JSON_TEXTS = st.one_of(st.sampled_from(ODD_TEXTS), VALUES.map(json.dumps), DEEP.map(json.dumps))


def paths(value: Any) -> list[Path]:
    """Returns the places inside a document."""
    found: list[Path] = []

    def walk(inner: Any, at: Path) -> None:
        keys = inner.keys() if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            found.append((*at, key))
            if isinstance(inner[key], dict | list):
                walk(inner[key], (*at, key))

    walk(value, ())
    return found


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Generates a copy of a document with one value replaced, removed, doubled or added."""
    document = copy.deepcopy(document)
    places = paths(document)
    if not places:
        return draw(VALUES)
    *to, last = draw(st.sampled_from(places))
    holder = document
    for key in to:
        holder = holder[key]
    how = draw(st.integers(0, 9))
    if how == 0:
        del holder[last]
    elif how == 1 and isinstance(holder, list):
        holder.insert(last, holder[last])
    elif how == 2 and isinstance(holder, dict):
        holder[draw(TEXTS)] = draw(st.one_of(VALUES, DEEP))
    elif how == 3:
        holder[last] = draw(DEEP)
    else:
        holder[last] = draw(VALUES)
    return document
