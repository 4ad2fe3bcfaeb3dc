"""A configuration file: what it says, and in which line."""

import contextlib
import os
import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Key: TypeAlias = str | int
"""A name in a table, or a position in a list."""


class SettingsError(Exception):
    """An option has an unusable value, or a file an unusable content."""


class ConfigFile:
    """A file that was read.

    Attributes:
        content: its keys and values.
    """

    def __init__(self, path: str) -> None:
        """Reads the file.

        Raises:
            SettingsError: it cannot be read or is no TOML.
        """
        self._path = path
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        try:
            self._text = data.decode()
            self.content: dict[str, Any] = tomllib.loads(self._text)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SettingsError(f"{path}:{line}: is no TOML: it is not UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            named = re.search(r"at line (\d+)", str(error))
            line = int(named[1]) if named else self._text.rstrip().count("\n") + 1
            raise SettingsError(f"{path}:{line}: is no TOML: {error}") from error
        except RecursionError as error:
            lines = self._text.split("\n")
            line = max(range(len(lines)), key=lambda at: len(re.findall(r"[\[{]", lines[at]))) + 1
            raise SettingsError(f"{path}:{line}: values are nested too deeply") from error

    def at(self, *keys: Key) -> str:
        """Returns where a value begins, as `FILE:LINE`; a part of the keys will do."""
        return f"{self._path}:{self._line(keys)}"

    def _line(self, keys: Sequence[Key]) -> int:
        """Finds the line: the file up to it is the first that, read on, has the value.

        A beginning of a file that ends within a value is no TOML; it is read on to its end.
        """
        lines = [f"{line}\n" for line in self._text.split("\n")]
        wanted = _depth(self.content, keys)

        def has_value(count: int) -> bool:
            for end in range(count, len(lines)):
                with contextlib.suppress(tomllib.TOMLDecodeError):
                    return _depth(tomllib.loads("".join(lines[:end])), keys) >= wanted
            return True

        return bisect_left(range(len(lines) + 1), True, lo=1, key=has_value)


def is_read_once(path: str) -> bool:
    """Whether a path leads to what has no name, such as a pipe of a shell: it is then empty."""
    return not os.path.exists(os.path.realpath(path))


def _depth(content: Any, keys: Sequence[Key]) -> int:
    """Returns how many of the keys, one below the other, a content has."""
    for depth, key in enumerate(keys):
        if isinstance(key, str):
            there = isinstance(content, Mapping) and key in content
        else:
            there = isinstance(content, list) and key < len(content)
        if not there:
            return depth
        content = content[key]
    return len(keys)
