"""Converts JSON to values of Python types; supports the types of `penstock.schema`."""

import json
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from penstock._base import kinds
from penstock.schema import ARRAYS, OBJECTS, plain

T = TypeVar("T")


def from_json(kind: type[T], text: str) -> T:
    """Returns the value of a type that a JSON text represents.

    >>> from_json(list[int], "[1, 2]")
    [1, 2]

    Raises:
        ValueError: the text is not valid JSON, or not a valid value of the type.
        TypeError: the type cannot be represented in JSON.
    """
    try:
        built: T = _build(kind, json.loads(text))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return built


def arguments_from(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Converts JSON values to the arguments of a function, in the types of its parameters.

    Raises:
        ValueError: an argument is missing, unknown, or not a valid value of its type.
        TypeError: a parameter cannot be passed by name, or its type cannot be represented in JSON.
    """
    parameters = kinds.parameters(function).values()
    fields = {one.name: (one.annotation, one.default is one.empty) for one in parameters}
    return _build_fields(getattr(function, "__name__", "call"), fields, given)


def _build(kind: Any, value: Any) -> Any:
    kind = kinds.without_names(kind)
    if kinds.is_pydantics(kind):
        return _by_pydantic(kind, value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kinds.is_object(kind):
        _checked(isinstance(value, dict), value, kind)
        return kind(**_build_fields(kind.__name__, kinds.fields(kind), value))
    return _build_generic(kind, value)


def _build_generic(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return _build(arguments[0], value)
    if origin is Literal:
        return _build_literal(arguments, value)
    if origin in (Union, types.UnionType):
        return _build_union(arguments, value)
    if origin in ARRAYS:
        return _build_array(origin, arguments, value)
    if origin in OBJECTS and (not arguments or arguments[0] is str):
        _checked(isinstance(value, dict), value, dict)
        inner = arguments[1] if arguments else Any
        return {key: _build(inner, one) for key, one in value.items()}
    return _build_scalar(kind, value)


def _build_scalar(kind: Any, value: Any) -> Any:
    if kind is Any or kind is object:
        return value
    if kind is None or kind is type(None):
        return _checked(value is None, value, kind)
    if kind is float and type(value) is int:
        return float(value)
    if kind in (str, int, float, bool):
        return _checked(type(value) is kind, value, kind)
    return _by_pydantic(kind, value)


def _by_pydantic(kind: Any, value: Any) -> Any:
    # Validate as JSON: strict models accept a string as a date only in JSON.
    text = json.dumps(value)
    return kinds.with_pydantic(kind, lambda adapter: adapter.validate_json(text))


def _build_fields(
    what: str, fields: Mapping[str, tuple[Any, bool]], given: Mapping[str, Any]
) -> dict[str, Any]:
    unknown = [name for name in given if name not in fields]
    missing = [name for name, (_, needed) in fields.items() if needed and name not in given]
    if unknown or missing:
        problem = f"{missing[0]!r} is missing" if missing else f"unknown name {unknown[0]!r}"
        raise ValueError(f"{what}: {problem}")
    return {name: _build(fields[name][0], one) for name, one in given.items()}


def _build_array(origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    _checked(isinstance(value, list), value, origin)
    if origin is tuple and arguments and arguments[-1] is not ...:
        _checked(len(value) == len(arguments), value, origin)
        return tuple(map(_build, arguments, value))
    inner = arguments[0] if arguments else Any
    return ARRAYS[origin](_build(inner, one) for one in value)


def _build_literal(known: tuple[Any, ...], value: Any) -> Any:
    for one in known:
        if type(plain(one)) is type(value) and plain(one) == value:
            return one
    raise ValueError(f"{value!r} is not one of {', '.join(map(repr, map(plain, known)))}")


def _build_union(members: tuple[Any, ...], value: Any) -> Any:
    for kind in members:
        try:
            return _build(kind, value)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{value!r} does not match any of {', '.join(map(str, members))}")


def _checked(fits: bool, value: Any, kind: Any) -> Any:
    if not fits:
        raise ValueError(f"{value!r} is not a valid {getattr(kind, '__name__', kind)}")
    return value
