"""Every option of the service: one list, three ways to set each.

An option is a field of `Settings`. Its name is the key in the configuration file; the flag and
the environment variable follow from it. A flag wins over the environment, the environment over
the file, the file over the default.
"""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock_server.telemetry.log import FORMATS, LEVELS

ENV_PREFIX = "PENSTOCK_"


class SettingsError(Exception):
    """An option has an unusable value, or a file an unusable content."""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option's field carries beside its default.

    Attributes:
        help: one sentence.
        parse: from text (or a TOML value) to the option's value; raises ValueError.
        metavar: stands for the value in the help.
        flag: the flag, where it does not follow from the name.
        secret: the value is never shown.
        many: the flag may be given more than once; the environment separates by commas.
    """

    help: str
    parse: Callable[[Any], Any]
    metavar: str
    flag: str = ""
    secret: bool = False
    many: bool = False


def _url(value: Any) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("is no http or https URL, such as http://localhost:8000")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials; give an API key instead")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path")
    return text.removesuffix("/v1")


def _address(value: Any) -> str:
    text = _text(value)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("is no HOST:PORT, such as 127.0.0.1:50051")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < 1e9 or isinstance(value, bool):
        raise ValueError("must be a number of seconds")
    return seconds


def _positive(value: Any) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) < 1 or isinstance(value, float):
        raise ValueError("must be a whole number above 0")
    return int(text)


def _switch(value: Any) -> bool:
    known = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    if str(value).lower() not in known:
        raise ValueError("must be true or false")
    return known[str(value).lower()]


def _one_of(*names: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return parse


def _option(default: Any, *args: Any, **kwargs: Any) -> Any:
    return field(default=default, metadata={"option": Option(*args, **kwargs)})


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration of the service."""

    upstream: tuple[str, ...] = _option(
        ("http://localhost:8000",),
        "Base URL of a vLLM, without /v1; may be given more than once.",
        _url,
        "URL",
        many=True,
    )
    upstream_api_key: str = _option(
        "", "Bearer key for the upstreams.", _text, "KEY", flag="--api-key", secret=True
    )
    listen: str = _option(
        "127.0.0.1:50051",
        "Address to serve gRPC on; port 0 takes a free one.",
        _address,
        "HOST:PORT",
    )
    connect_timeout: float = _option(
        5.0, "Longest wait for a connection to an upstream.", _seconds, "SECONDS"
    )
    first_byte_timeout: float = _option(
        600.0,
        "Longest wait for a unary answer, or for the first event of a stream.",
        _seconds,
        "SECONDS",
    )
    idle_timeout: float = _option(
        60.0, "Longest wait between two events of a stream.", _seconds, "SECONDS"
    )
    max_connections: int = _option(1000, "Most connections to one upstream.", _positive, "NUMBER")
    max_message_bytes: int = _option(
        32 * 1024 * 1024, "Largest gRPC message, both ways.", _positive, "BYTES"
    )
    probe_interval: float = _option(
        2.0, "Time between two health probes of an upstream.", _seconds, "SECONDS"
    )
    drain_delay: float = _option(
        0.0,
        "After the stop signal, how long to say NOT_SERVING while still accepting calls.",
        _seconds,
        "SECONDS",
    )
    drain_timeout: float = _option(
        30.0, "How long running calls may take to finish after that.", _seconds, "SECONDS"
    )
    reflection: bool = _option(
        True, "Serve reflection, for grpcurl and the like.", _switch, "true|false"
    )
    log_level: str = _option("info", "Least severity that is logged.", _one_of(*LEVELS), "LEVEL")
    log_format: str = _option(
        "auto", "json, text, or auto: text on a terminal.", _one_of(*FORMATS), "FORMAT"
    )

    def shown(self) -> dict[str, Any]:
        """Returns the options as they may be logged: secrets hidden."""
        return {
            name: "(hidden)" if option.secret and getattr(self, name) else getattr(self, name)
            for name, option in options().items()
        }


def options() -> dict[str, Option]:
    """Returns the options by name, in the order of the help."""
    return {f.name: f.metadata["option"] for f in dataclasses.fields(Settings)}


def flag(name: str, option: Option) -> str:
    """Returns an option's flag."""
    return option.flag or "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Returns an option's environment variable."""
    return ENV_PREFIX + name.upper()


def load(flags: Mapping[str, Any], environment: Mapping[str, str], config: str | None) -> Settings:
    """Puts the settings together.

    Args:
        flags: values by option name, as texts; a list for options that may be repeated.
        environment: the process's environment.
        config: path of a configuration file.

    Raises:
        SettingsError: a value or the file is unusable; the text names the option and its source.
    """
    values: dict[str, Any] = {}
    for name, raw in (_read_file(config) if config else {}).items():
        values[name] = _parse(name, raw, f"{name} in {config}")
    for name, option in options().items():
        if raw := environment.get(variable(name)):
            split = [part.strip() for part in raw.split(",")] if option.many else raw
            values[name] = _parse(name, split, variable(name))
    for name, raw in flags.items():
        values[name] = _parse(name, raw, flag(name, options()[name]))
    return Settings(**values)


def _read_file(path: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error
    if unknown := sorted(content.keys() - options().keys()):
        raise SettingsError(f"{path} has unknown keys: {', '.join(unknown)}")
    return content


def _parse(name: str, raw: Any, source: str) -> Any:
    option = options()[name]
    try:
        if not option.many:
            return option.parse(raw)
        return tuple(option.parse(item) for item in ([raw] if isinstance(raw, str) else raw))
    except (TypeError, ValueError) as error:
        shown = "" if option.secret else f" {raw!r}"
        raise SettingsError(f"{source}:{shown} {error}") from error
