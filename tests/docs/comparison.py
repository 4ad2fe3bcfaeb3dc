"""Comparison of a command's output with that on a page.

A page may omit parts: a line `...` matches any lines or messages, the text "..." at the end of a
JSON list matches the rest of it, and `...` inside a string matches any text. Values that differ
from run to run (ids, times) are compared by type only, addresses of this machine not at all. The
layout of JSON does not count, but the order of the fields in the details of an error does.
"""

import json
import math
import re
from typing import Any

_DETAIL = re.compile(r"^  \d+\)\t", re.MULTILINE)
_VOLATILE = ("createTime", "completeTime", "configurationTime", "requestId")
_ADDRESS = re.compile(r"(localhost|127\.0\.0\.1):\d+ *")
_ID = re.compile(
    r"(chatcmpl|cmpl|generate-tokens|resp|msg|embd|score|classify|pooling|transcribe)[-_].*"
)


def same_output(shown: str, printed: str) -> bool:
    """Returns whether the output on a page matches the actual output."""
    shown, _, shown_error = shown.partition("ERROR:\n")
    printed, _, error = printed.partition("ERROR:\n")
    return _error(shown_error) == _error(error) and _same_messages(shown, printed)


def _error(text: str) -> list[str]:
    """Returns the status of an error, then its details, each on one line."""
    status, *details = _DETAIL.split(text)
    return [status, *(json.dumps(json.loads(detail)) for detail in details)]


def _same_messages(shown: str, printed: str) -> bool:
    parts = re.split(r"^ *\.\.\.\n", shown, flags=re.MULTILINE)
    try:
        wanted, got = [_documents(part) for part in parts], _documents(printed)
    except ValueError:
        wanted, got = [_lines(part) for part in parts], _lines(printed)
    if len(wanted) == 1:
        return _same(wanted[0], got)
    return _in_order(wanted, got)


def _lines(text: str) -> list[Any]:
    """Returns the lines of a text, with normalized widths of columns."""
    return [re.sub(" {2,}", " ", line) for line in text.splitlines()]


def _in_order(parts: list[list[Any]], got: list[Any]) -> bool:
    first, *between, last = parts
    if len(got) < len(first) + len(last) or not _same(first, got[: len(first)]):
        return False
    if last and not _same(last, got[-len(last) :]):
        return False
    rest = got[len(first) : len(got) - len(last)]
    for part in between:
        starts = range(len(rest) - len(part) + 1)
        at = next((i for i in starts if _same(part, rest[i : i + len(part)])), None)
        if at is None:
            return False
        rest = rest[at + len(part) :]
    return True


def _documents(text: str) -> list[Any]:
    """Returns the JSON documents of an output.

    Raises:
        ValueError: it is not JSON.
    """
    documents, decoder, rest = [], json.JSONDecoder(), text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].lstrip()
    return documents


def _same(shown: Any, got: Any) -> bool:
    if isinstance(shown, dict):
        return isinstance(got, dict) and _same_keys(shown, got)
    if isinstance(shown, list):
        return isinstance(got, list) and _same_items(shown, got)
    if isinstance(shown, str):
        return isinstance(got, str) and _same_text(shown, got)
    if isinstance(shown, float):
        return isinstance(got, int | float) and math.isclose(shown, got, rel_tol=1e-5)
    return bool(shown == got)


def _same_keys(shown: dict[str, Any], got: dict[str, Any]) -> bool:
    return shown.keys() == got.keys() and all(
        key in _VOLATILE or _same(value, got[key]) for key, value in shown.items()
    )


def _same_items(shown: list[Any], got: list[Any]) -> bool:
    if shown and shown[-1] == "...":
        shown, got = shown[:-1], got[: len(shown) - 1]
    return len(shown) == len(got) and all(map(_same, shown, got))


def _same_text(shown: str, got: str) -> bool:
    if (wanted := _ID.fullmatch(shown)) and (found := _ID.fullmatch(got)):
        return wanted[1] == found[1]
    shown, got = (_ADDRESS.sub("", text) for text in (shown, got))
    pattern = ".*".join(re.escape(piece) for piece in shown.split("..."))
    return re.fullmatch(pattern, got, re.DOTALL) is not None
