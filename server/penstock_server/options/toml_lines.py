"""Finds the lines of values in a valid TOML document."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

Key: TypeAlias = str | int
"""A name in a table, or a position in a list."""

# The order matters: strings can contain "#", and comments can contain quotes.
_TOKEN = re.compile(
    r"""(?P<skipped>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*)"""
    r"|(?P<opened>[\[{])|(?P<closed>[\]}])|(?P<end>\n)",
    re.DOTALL,
)
_KEY = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"((?:\\.|[^"\\])*)"|'([^']*)')\s*(\.?)""")


class _Statement(NamedTuple):
    """A header of a table, or a key with its value.

    Attributes:
        line: the line in which it begins, from 1.
        path: the keys from the root to what it adds.
        has_value: whether it adds all that is below the path.
    """

    line: int
    path: tuple[Key, ...]
    has_value: bool


def line_of(text: str, keys: Sequence[Key]) -> int:
    """Returns the line of the statement that adds a value, or else of the nearest one above it.

    Args:
        text: a valid TOML document.
        keys: the keys from the root to the value; of a value that is missing, the last ones may
            not exist.
    """
    statements = list(_statements(text))
    for length in range(len(keys), 0, -1):
        wanted = tuple(keys[:length])
        for statement in statements:
            path = statement.path
            if path[:length] == wanted or (statement.has_value and wanted[: len(path)] == path):
                return statement.line
    return 1


def _statements(text: str) -> Iterator[_Statement]:
    table: tuple[Key, ...] = ()
    tables: dict[tuple[Key, ...], int] = {}
    for line, written in _written(text):
        if not written.startswith("["):
            yield _Statement(line, (*table, *_keys(written)), has_value=True)
            continue
        many = written.startswith("[[")
        table = _header(_keys(written.lstrip("[")), tables, many=many)
        yield _Statement(line, table, has_value=False)


def _header(
    names: Sequence[str], tables: dict[tuple[Key, ...], int], *, many: bool
) -> tuple[Key, ...]:
    """Returns the path of a table, and counts it if it is one of many with its name."""
    path: tuple[Key, ...] = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if many and position == len(names) - 1:
            tables[path] = tables.get(path, 0) + 1
        if path in tables:
            path = (*path, tables[path] - 1)
    return path


def _written(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line and the text of every statement; values may extend over several lines."""
    depth = begin = 0
    line = counted = 1
    for token in _TOKEN.finditer(text + "\n"):
        counted += token[0].count("\n")
        if token["opened"]:
            depth += 1
        elif token["closed"]:
            depth -= 1
        elif token["end"] and not depth:
            written = text[begin : token.start()].strip()
            if written and not written.startswith("#"):
                yield line, written
            begin, line = token.end(), counted


def _keys(written: str) -> list[str]:
    """Returns the dotted key that a text begins with."""
    keys: list[str] = []
    position, more = 0, "."
    while more and (found := _KEY.match(written, position)):
        bare, quoted, literal, more = found.groups()
        if quoted and "\\" in quoted:
            quoted = tomllib.loads(f'_ = "{quoted}"')["_"]
        keys.append(next(name for name in (bare, quoted, literal) if name is not None))
        position = found.end()
    return keys
