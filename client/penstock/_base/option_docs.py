"""Docstrings of the classes of options, with the options that they inherit."""

import inspect
from typing import Any, TypeVar

K = TypeVar("K")

_SECTION = "Attributes:"
_INDENT = "    "
_complete: list[Any] = []


def documented(kind: K) -> K:
    """Adds the inherited options to the docstring of a class of options, for `help()`.

    A TypedDict does not know its bases; they are the classes all of whose options it has.
    """
    options: Any = kind
    head, _, own = (inspect.getdoc(options) or "").partition(_SECTION)
    names = options.__annotations__.keys()
    described = _entries(own)
    for base in _complete:
        if base.__annotations__.keys() <= names:
            described = described | {
                name: text
                for name, text in _entries(base.__doc__.partition(_SECTION)[2]).items()
                if name not in described
            }
    entries = (f"\n{_INDENT}{name}: {text}" for name, text in described.items())
    options.__doc__ = f"{head.rstrip()}\n\n{_SECTION}{''.join(entries)}\n"
    _complete.append(options)
    return kind


def _entries(section: str) -> dict[str, str]:
    """Returns the entries of a section, with line breaks and indentation of further lines."""
    entries: dict[str, str] = {}
    name = ""
    for line in filter(str.strip, section.splitlines()):
        if line.startswith(_INDENT * 2):
            entries[name] += f"\n{line.rstrip()}"
        else:
            name, _, text = line.strip().partition(": ")
            entries[name] = text
    return entries
