"""Python types that JSON can represent: simple ones, and those that are left to pydantic."""

import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Schema = dict[str, Any]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SimpleType:
    """A type that needs no pydantic.

    Attributes:
        schema: its JSON Schema.
        read: returns the value of the type for a JSON value, or raises a ValueError.
    """

    schema: Schema
    read: Callable[[Any], Any]


def simple_type(kind: Any) -> SimpleType | None:
    """Returns a scalar, list, dict, `Literal` or optional type; None for any other type."""
    for known, simple in _SCALARS:
        if kind is known:
            return simple
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated and all(isinstance(note, str) for note in kind.__metadata__):
        return simple_type(arguments[0])
    if origin is list:
        item = simple_type(*(arguments or (Any,)))
        return item and _list_of(item)
    if origin is dict and (not arguments or arguments[0] is str):
        item = simple_type(*(arguments[1:] or (Any,)))
        return item and _dict_of(item)
    if origin is Literal and all(type(plain(one)) in _LITERALS for one in arguments):
        return _literal(arguments)
    if origin in (Union, types.UnionType) and _NONE in arguments and len(arguments) == 2:
        item = simple_type(next(one for one in arguments if one is not _NONE))
        return item and _optional(item)
    return None


def plain(value: Any) -> Any:
    """Returns the JSON form of a value: for an enum member, the member's value."""
    return value.value if isinstance(value, Enum) else value


def with_pydantic(kind: Any, use: Callable[["TypeAdapter[Any]"], R]) -> R:
    """Applies a function to pydantic's adapter of a type and returns the result.

    Raises:
        TypeError: pydantic does not support the type, or is not installed.
    """
    try:
        from pydantic import PydanticUserError, TypeAdapter
    except ImportError:
        raise TypeError(
            f"{kind!r} requires pydantic, which is not installed; "
            'run: pip install "penstock[pydantic]"'
        ) from None
    try:
        return use(TypeAdapter(kind))
    except PydanticUserError as error:
        raise TypeError(f"{kind!r} cannot be represented in JSON: {error.message}") from error


def _scalar(name: str, kind: type) -> SimpleType:
    return SimpleType({"type": name}, lambda value: _checked(type(value) is kind, value, kind))


def _as_float(value: Any) -> float:
    try:
        return float(_checked(type(value) in (int, float), value, float))
    except OverflowError as error:
        raise ValueError(f"{value!r} is too large for a float") from error


def _list_of(item: SimpleType) -> SimpleType:
    def read(value: Any) -> list[Any]:
        return [item.read(one) for one in _checked(isinstance(value, list), value, list)]

    return SimpleType({"type": "array", "items": item.schema}, read)


def _dict_of(item: SimpleType) -> SimpleType:
    def read(value: Any) -> dict[str, Any]:
        checked = _checked(isinstance(value, dict), value, dict)
        return {key: item.read(one) for key, one in checked.items()}

    return SimpleType({"type": "object", "additionalProperties": item.schema}, read)


def _optional(item: SimpleType) -> SimpleType:
    return SimpleType(
        {"anyOf": [item.schema, {"type": "null"}]},
        lambda value: None if value is None else item.read(value),
    )


def _literal(members: tuple[Any, ...]) -> SimpleType:
    known = [plain(one) for one in members]

    def read(value: Any) -> Any:
        for one, member in zip(known, members, strict=True):
            if type(one) is type(value) and one == value:
                return member
        raise ValueError(f"{value!r} is not one of {', '.join(map(repr, known))}")

    return SimpleType({"enum": known}, read)


def _checked(valid: bool, value: Any, kind: type) -> Any:
    if not valid:
        raise ValueError(f"{value!r} is not a valid {kind.__name__}")
    return value


_NONE = type(None)
_LITERALS = (str, int, bool, _NONE)
_ANY = SimpleType({}, lambda value: value)
_NULL = _scalar("null", _NONE)
_SCALARS: tuple[tuple[Any, SimpleType], ...] = (
    (str, _scalar("string", str)),
    (int, _scalar("integer", int)),
    (float, SimpleType({"type": "number"}, _as_float)),
    (bool, _scalar("boolean", bool)),
    (None, _NULL),
    (_NONE, _NULL),
    (Any, _ANY),
    (object, _ANY),
)
