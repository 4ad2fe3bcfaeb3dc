"""A configuration file: its values and their lines."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from penstock_server.options.toml_lines import Key, line_of


class SettingsError(Exception):
    """The value of an option, or the content of a file, cannot be used.

    Attributes:
        retry: whether another attempt may succeed without a change of the file.
    """

    def __init__(self, message: str, *, retry: bool = False) -> None:
        """Creates the error.

        Args:
            message: the fault and its location.
            retry: see the attribute.
        """
        super().__init__(message)
        self.retry = retry


class ConfigFile:
    """A configuration file that was read.

    Attributes:
        content: its keys and values.
    """

    def __init__(self, path: str) -> None:
        """Reads the file.

        Raises:
            SettingsError: the file cannot be read, or is not valid TOML.
        """
        self._path = path
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}", retry=True) from error
        try:
            self._text = data.decode()
            self.content: dict[str, Any] = tomllib.loads(self._text)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SettingsError(f"{path}:{line}: not valid TOML: not UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            named = re.search(r"at line (\d+)", str(error))
            line = int(named[1]) if named else self._text.rstrip().count("\n") + 1
            raise SettingsError(f"{path}:{line}: not valid TOML: {error}") from error
        except RecursionError as error:
            lines = self._text.split("\n")
            line = max(range(len(lines)), key=lambda at: len(re.findall(r"[\[{]", lines[at]))) + 1
            raise SettingsError(f"{path}:{line}: values are nested too deeply") from error

    def at(self, *keys: Key) -> str:
        """Returns the start of a value as `FILE:LINE`.

        Args:
            keys: the keys from the root to the value; the last ones may not exist.
        """
        return f"{self._path}:{line_of(self._text, keys)}"


def is_read_once(path: str) -> bool:
    """Returns whether a path leads to a file that can be read only once, such as a pipe."""
    return not os.path.exists(os.path.realpath(path))
