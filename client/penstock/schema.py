"""Generates JSON Schema from Python types and functions.

Supports the types of JSON, `list`, `tuple`, `set`, `dict`, `Sequence`, `Mapping`, `Literal`,
unions, enums, `NewType`, `Annotated` with a description, dataclasses and TypedDicts. If pydantic
is installed, it handles the other types that it supports: its models, `Field` in `Annotated`,
dates, UUIDs.
"""

import collections.abc
import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
)

from penstock._base import kinds

Schema = dict[str, Any]

ARRAYS: Mapping[Any, type] = {
    list: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
}
"""Types that a JSON array can represent, and the type to construct for each."""

OBJECTS = (dict, collections.abc.Mapping)
"""Types that a JSON object with arbitrary keys can represent."""

_SCALARS: tuple[tuple[Any, Schema], ...] = (
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, {"type": "null"}),
    (type(None), {"type": "null"}),
    (Any, {}),
    (object, {}),
)
_DEFINITIONS = "#/$defs/"


def json_schema(kind: Any) -> Schema:
    """Returns the JSON Schema of a type.

    >>> json_schema(list[Literal["red", "green"]])
    {'type': 'array', 'items': {'enum': ['red', 'green']}}

    Raises:
        TypeError: the type cannot be represented in JSON.
    """
    if isinstance(kind, Mapping):
        return dict(kind)
    writer = _Writer()
    return writer.whole(writer.schema(kind))


def parameters_schema(function: Callable[..., Any], described: Mapping[str, str]) -> Schema:
    """Returns the schema of a function's arguments as one object.

    Args:
        function: the function; parameters without a default are required properties.
        described: descriptions by parameter name.

    Raises:
        TypeError: a parameter cannot be passed by name, or its type cannot be represented in JSON.
    """
    writer = _Writer()
    properties, required = {}, []
    for name, parameter in kinds.parameters(function).items():
        properties[name] = writer.parameter(name, parameter.annotation)
        if name in described:
            properties[name].setdefault("description", described[name])
        if parameter.default is parameter.empty:
            required.append(name)
            continue
        with suppress(TypeError, ValueError):
            properties[name]["default"] = _as_json(parameter.default)
    return writer.whole(_object(properties, required))


def plain(value: Any) -> Any:
    """Returns the JSON form of a value: for an enum member, the member's value."""
    return value.value if isinstance(value, Enum) else value


class _Writer:
    """Writes the parts of one schema, and collects the definitions that they reference."""

    def __init__(self) -> None:
        self._definitions: Schema = {}
        self._begun: list[Any] = []
        self._names: dict[Any, str] = {}

    def whole(self, schema: Schema) -> Schema:
        """Returns a part as a complete schema, with its definitions."""
        return schema | ({"$defs": self._definitions} if self._definitions else {})

    def parameter(self, name: str, kind: Any) -> Schema:
        """Returns the schema of a parameter's type."""
        try:
            return self.schema(kind)
        except TypeError as error:
            raise TypeError(f"parameter {name!r}: {error}") from error

    def schema(self, kind: Any) -> Schema:
        """Returns the schema of a type; collects the definitions that it references."""
        kind = kinds.without_names(kind)
        for known, schema in _SCALARS:
            if kind is known:
                return dict(schema)
        if kinds.is_pydantics(kind):
            return self._by_pydantic(kind)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"enum": [member.value for member in kind]}
        if kinds.is_object(kind):
            return self._of_object(kind)
        return self._generic(kind)

    def _of_object(self, kind: Any) -> Schema:
        """Returns the schema of a dataclass or TypedDict; a reference if it is recursive."""
        if kind in self._begun or kind in self._names:
            return self._reference(kind)
        self._begun.append(kind)
        fields = kinds.fields(kind)
        made = _object(
            {name: self.schema(hint) for name, (hint, _) in fields.items()},
            [name for name, (_, needed) in fields.items() if needed],
        )
        self._begun.remove(kind)
        if kind not in self._names:
            return made
        self._definitions[self._names[kind]] = made
        return self._reference(kind)

    def _reference(self, kind: Any) -> Schema:
        if kind not in self._names:
            self._names[kind] = self._reserve(kind.__name__)
        return {"$ref": _DEFINITIONS + self._names[kind]}

    def _generic(self, kind: Any) -> Schema:
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin is Annotated:
            return self.schema(arguments[0]) | {"description": kind.__metadata__[0]}
        if origin in (Required, NotRequired):
            return self.schema(arguments[0])
        if origin is Literal:
            return {"enum": [plain(one) for one in arguments]}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.schema(one) for one in arguments]}
        if origin is tuple and arguments and arguments[-1] is not ...:
            return self._tuple(arguments)
        if origin in ARRAYS:
            unique = {"uniqueItems": True} if origin in (set, frozenset) else {}
            return {"type": "array", "items": self.schema(_first(arguments)), **unique}
        if origin in OBJECTS and (not arguments or arguments[0] is str):
            values = self.schema(_first(arguments[1:]))
            return {"type": "object", "additionalProperties": values}
        return self._by_pydantic(kind)

    def _tuple(self, items: tuple[Any, ...]) -> Schema:
        count = len(items)
        prefix = [self.schema(item) for item in items]
        return {"type": "array", "prefixItems": prefix, "minItems": count, "maxItems": count}

    def _by_pydantic(self, kind: Any) -> Schema:
        made = kinds.with_pydantic(kind, lambda adapter: adapter.json_schema())
        return self._at_the_root(made, made.pop("$defs", {}))

    def _at_the_root(self, schema: Schema, own: Schema) -> Schema:
        """Collects the definitions of a schema; renames them if a name is already in use."""
        if any(self._definitions.get(name, one) != one for name, one in own.items()):
            names = {name: self._reserve(name) for name in own}
            schema, own = _renamed((schema, own), names)
            own = {names[name]: one for name, one in own.items()}
        self._definitions |= own
        return schema

    def _reserve(self, name: str) -> str:
        """Returns an unused definition name, and reserves it."""
        free, number = name, 1
        while free in self._definitions:
            number += 1
            free = f"{name}_{number}"
        self._definitions[free] = {}
        return free


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else Any


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Returns a schema whose references use the new names of definitions."""
    if isinstance(value, dict):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    if isinstance(value, str) and value.startswith(_DEFINITIONS):
        name = value.removeprefix(_DEFINITIONS)
        return _DEFINITIONS + names.get(name, name)
    return value


def _as_json(value: Any) -> Any:
    """Returns the JSON form of a value.

    Raises:
        TypeError: the value cannot be represented in JSON.
        ValueError: a number is NaN or infinite.
    """
    return json.loads(json.dumps(value, allow_nan=False, default=_of_member))


def _of_member(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{value!r} cannot be represented in JSON")
