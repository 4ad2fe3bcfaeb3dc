"""Converts JSON to values of Python types; supports the types of `penstock.schema`."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from penstock._base.functions import parameters
from penstock._base.json_types import simple_type, with_pydantic

T = TypeVar("T")


def from_json(kind: type[T], text: str) -> T:
    """Returns the value of a type that a JSON text represents.

    >>> from_json(list[int], "[1, 2]")
    [1, 2]

    Raises:
        ValueError: the text is not valid JSON, or not a valid value of the type.
        TypeError: the type cannot be represented in JSON, or requires pydantic.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    read: T = _read(kind, value)
    return read


def arguments_from(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Converts JSON values to the arguments of a function, in the types of its parameters.

    Raises:
        ValueError: an argument is missing, unknown, or not a valid value of its type.
        TypeError: a parameter cannot be passed by name, its type cannot be represented in JSON, or
            its type requires pydantic.
    """
    found = parameters(function)
    name = getattr(function, "__name__", "call")
    for unknown in given.keys() - found.keys():
        raise ValueError(f"{name}: unknown name {unknown!r}")
    for missing in (one.name for one in found.values() if one.default is one.empty):
        if missing not in given:
            raise ValueError(f"{name}: {missing!r} is missing")
    return {key: _argument(key, found[key].annotation, one) for key, one in given.items()}


def _argument(name: str, kind: Any, value: Any) -> Any:
    try:
        return _read(kind, value)
    except (TypeError, ValueError) as error:
        raised = TypeError if isinstance(error, TypeError) else ValueError
        raise raised(f"parameter {name!r}: {error}") from error


def _read(kind: Any, value: Any) -> Any:
    if simple := simple_type(kind):
        return simple.read(value)
    # Strict models accept a string as a date only if they validate JSON.
    text = json.dumps(value)
    return with_pydantic(kind, lambda adapter: adapter.validate_json(text))
