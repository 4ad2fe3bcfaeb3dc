"""The table of faults, and how requests select them."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from penstock_server.simulator.http.answers import Answer
from penstock_server.simulator.http.requests import Request

_DIRECTIVE = re.compile(r"\s*\[\[simulate:(.*?)\]\]", re.DOTALL)
_FLAGS = {"1": True, "true": True, "": True, "0": False, "false": False}


class FaultError(ValueError):
    """The fault or its parameter does not exist."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: a function that changes an answer."""

    name: str
    description: str
    parameters: dict[str, Any]
    """Names and defaults."""
    bend: Callable[..., None]
    harmless: bool = False
    """Whether the meaning of the answer is unchanged."""

    @property
    def usage(self) -> str:
        """The name with its parameters and defaults, in the form of a request."""
        given = (f"{name}={_written(default)}" for name, default in self.parameters.items())
        return " ".join((self.name, *given))


FAULTS: dict[str, Fault] = {}
"""All faults by name."""


def fault(bend: Callable[..., None]) -> Callable[..., None]:
    """Adds a function to the table.

    The function's name, docstring and keyword defaults are the fault's name, description and
    parameters.
    """
    return _add(bend, harmless=False)


def harmless(bend: Callable[..., None]) -> Callable[..., None]:
    """Adds a function that changes the form of an answer but not its meaning."""
    return _add(bend, harmless=True)


def _add(bend: Callable[..., None], *, harmless: bool) -> Callable[..., None]:
    name = bend.__name__.replace("_", "-")
    _, *parameters = inspect.signature(bend).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    FAULTS[name] = Fault(name, inspect.getdoc(bend) or "", defaults, bend, harmless)
    return bend


def requested_faults(
    request: Request, prompt: Callable[[Request], str] | None, everywhere: str
) -> str:
    """Returns the faults of a request, from its header, its prompt, or the settings."""
    by_header = request.headers.get("x-simulate")
    if by_header is not None:
        return by_header
    named = ", ".join(_DIRECTIVE.findall(prompt(request))) if prompt else ""
    return named or everywhere


def without_directives(text: str) -> str:
    """Returns the text of a prompt without fault directives."""
    return _DIRECTIVE.sub("", text)


def apply_faults(answer: Answer, faults: str) -> None:
    """Applies faults to an answer.

    Raises:
        FaultError: a fault or a parameter does not exist.
    """
    for asked in filter(None, (part.strip() for part in faults.split(","))):
        name, *parameters = re.split(r"[;\s]+", asked)
        found = FAULTS.get(name)
        if found is None:
            raise FaultError(f"unknown fault {name!r}; valid faults: {', '.join(sorted(FAULTS))}")
        found.bend(answer, **dict(_parameter(found, text) for text in parameters if text))


def _parameter(found: Fault, text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    name = key.replace("-", "_")
    if name not in found.parameters:
        names = ", ".join(found.parameters) or "none"
        raise FaultError(f"fault {found.name!r} has no parameter {key!r}; parameters: {names}")
    try:
        return name, _converted(value, found.parameters[name])
    except (KeyError, ValueError):
        raise FaultError(f"fault {found.name!r}: {key}={value} is not a valid value") from None


def _written(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _converted(value: str, default: Any) -> Any:
    if isinstance(default, bool):
        return _FLAGS[value.lower()]
    return type(default)(unquote(value))
