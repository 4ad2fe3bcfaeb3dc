"""Keeps arguments of calls that arrived as objects in the upstream's own text, without rounding."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

_OBJECT = re.compile(rb'(?<!\\)"arguments"\s*:\s*(?=[{\[])')


def keep_written(parsed: Any, body: bytes) -> None:
    """Replaces arguments that are objects or lists by their original text."""
    places = [match.end() for match in _OBJECT.finditer(body)]
    if not places:
        return
    # Both are in the order of the document.
    characters = body.decode("latin-1")  # one for each byte
    for (holder, is_call), start in zip(_holders(parsed, ""), places, strict=False):
        if is_call and (text := _written(characters, start, holder["arguments"])):
            holder["arguments"] = text


def _holders(value: Any, key: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields each object with such arguments, and whether it is a call."""
    if isinstance(value, list):
        for inner in value:
            yield from _holders(inner, key)
    elif isinstance(value, dict):
        for name, inner in list(value.items()):
            if name == "arguments" and isinstance(inner, dict | list):
                yield value, key == "function" or value.get("type") == "function_call"
            yield from _holders(inner, name)


def _written(characters: str, start: int, value: Any) -> str:
    """Returns the text of a value that begins there; empty if it cannot be determined."""
    try:
        _, end = json.JSONDecoder().raw_decode(characters, start)
    except (ValueError, RecursionError):
        return ""
    text = characters[start:end].encode("latin-1")
    return text.decode() if orjson.loads(text) == value else ""
