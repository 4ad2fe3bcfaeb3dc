"""The options of a command, each of which can be set in three ways.

The name of a field is the key in the configuration file; the flag and the environment variable
follow from it. Flags take precedence over the environment, the environment over the file, the file
over the default.
"""

import argparse
import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from penstock.cli.command import file_name
from penstock_server.options import (
    ConfigFile,
    SettingsError,
    Unusable,
    is_read_once,
    options,
    read_options,
)

S = TypeVar("S")


class OptionList(Generic[S]):
    """One command's options on the command line, in the environment and in a file."""

    def __init__(self, settings: type[S], prefix: str) -> None:
        """Prepares the options.

        Args:
            settings: the dataclass of the options.
            prefix: the prefix of their environment variables.
        """
        self._settings = settings
        self._prefix = prefix
        self._options = options(settings)
        self._read_once: dict[str, ConfigFile] = {}

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Adds the flags in their groups, each with its three names, default and description."""
        config = f"{self._prefix}CONFIG"
        file = parser.add_argument(
            "--config", metavar="FILE", help=f"configuration file in TOML [environment {config}]"
        )
        file_name(file)
        add = parser.add_argument
        for name, known in self._options.items():
            if known.heading:
                add = parser.add_argument_group(known.heading).add_argument
            flag = add(
                self.flag(name),
                dest=name,
                metavar=known.metavar,
                action="append" if known.many else "store",
                default=argparse.SUPPRESS,
                help=self._help(name),
            )
            if known.metavar == "FILE":
                file_name(flag)

    def config_file(
        self, parsed: argparse.Namespace, environment: Mapping[str, str] = os.environ
    ) -> str:
        """Returns the path of the configuration file; empty if there is none."""
        path: str = parsed.config or environment.get(f"{self._prefix}CONFIG") or ""
        return path

    def load(self, parsed: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> S:
        """Reads the settings from all sources.

        Raises:
            SettingsError: a value or the file cannot be used; the text names the option and its
                source.
        """
        config = self.config_file(parsed, environment)
        values = self._from_file(config) if config else {}
        for name, known in self._options.items():
            if raw := environment.get(self._variable(name)):
                split = [part.strip() for part in raw.split(",")] if known.many else raw
                values[name] = self._read(name, split, self._variable(name))
            if name in parsed:
                values[name] = self._read(name, getattr(parsed, name), self.flag(name))
        return self._settings(**values)

    def flag(self, name: str) -> str:
        """Returns the flag of an option."""
        return self._options[name].flag or "--" + name.replace("_", "-")

    def _variable(self, name: str) -> str:
        return self._prefix + name.upper()

    def default(self, name: str) -> str:
        """Returns the default of an option as text."""
        default = self._settings.__dataclass_fields__[name].default  # type: ignore[attr-defined]
        if self._options[name].many:
            default = ",".join(() if default is dataclasses.MISSING else default)
        return str(default).lower() or "none"

    def _help(self, name: str) -> str:
        names = f"environment {self._variable(name)}, key {name}"
        text = f"{self._options[name].help} [{names}, default {self.default(name)}]"
        return text.replace("%", "%%")

    def _from_file(self, path: str) -> dict[str, Any]:
        file = self._file(path)
        try:
            return read_options(self._options, file.content)
        except Unusable as error:
            name, *rest = error.keys
            reason = Unusable(str(error), tuple(rest)).describe(str(name))
            raise SettingsError(f"{file.at(*error.keys)}: {reason}", retry=error.retry) from error

    def _file(self, path: str) -> ConfigFile:
        """Reads the file; keeps the content of one that can be read only once."""
        if path in self._read_once:
            return self._read_once[path]
        file = ConfigFile(path)
        if is_read_once(path):
            self._read_once[path] = file
        return file

    def _read(self, name: str, raw: Any, source: str) -> Any:
        try:
            return self._options[name].read(raw)
        except Unusable as error:
            raise SettingsError(error.describe(source), retry=error.retry) from error
