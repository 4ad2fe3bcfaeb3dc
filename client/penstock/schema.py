"""JSON Schema from Python's types, and values of these types from JSON.

Known are the types of JSON, `list`, `tuple`, `set`, `dict`, `Literal`, unions, enums,
`Annotated` with a description, dataclasses, TypedDicts, and pydantic's models, which do it all
themselves.
"""

import dataclasses
import inspect
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
    get_type_hints,
    is_typeddict,
)

T = TypeVar("T")

Schema = dict[str, Any]

_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
    inspect.Parameter.empty: {},
}


def json_schema(kind: Any) -> Schema:
    """Returns the JSON Schema of a type.

    >>> json_schema(list[Literal["red", "green"]])
    {'type': 'array', 'items': {'enum': ['red', 'green']}}

    Raises:
        TypeError: the type has no form in JSON.
    """
    if hasattr(kind, "model_json_schema"):
        return dict(kind.model_json_schema())
    if isinstance(kind, Mapping):
        return dict(kind)
    if _hashable(kind) and kind in _SCALARS:
        return dict(_SCALARS[kind])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return _object_schema(kind)
    return _generic_schema(kind)


def from_json(kind: type[T], text: str) -> T:
    """Returns the value that a JSON text stands for.

    >>> from_json(list[int], "[1, 2]")
    [1, 2]

    Raises:
        ValueError: the text is no JSON, or no value of the type.
    """
    if validate := getattr(kind, "model_validate_json", None):
        made: T = validate(text)
        return made
    built: T = _build(kind, json.loads(text))
    return built


def parameters_schema(function: Callable[..., Any], described: Mapping[str, str]) -> Schema:
    """Returns the schema of a function's arguments, as one object.

    Args:
        function: its parameters are the properties; those without a default are required.
        described: descriptions by the parameters' names.

    Raises:
        TypeError: a parameter cannot be given by name, or its type has no form in JSON.
    """
    hints = get_type_hints(function, include_extras=True)
    properties, required = {}, []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {name!r} cannot be given by name")
        properties[name] = json_schema(hints.get(name, Any))
        if name in described:
            properties[name].setdefault("description", described[name])
        if parameter.default is parameter.empty:
            required.append(name)
        elif _is_json(parameter.default):
            properties[name]["default"] = parameter.default
    return _object(properties, required)


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _object_schema(kind: Any) -> Schema:
    fields = _fields(kind)
    return _object(
        {name: json_schema(hint) for name, (hint, _) in fields.items()},
        [name for name, (_, needed) in fields.items() if needed],
    )


def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Returns the fields of a dataclass or TypedDict: their types, and whether they must be."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return {name: (hint, name in kind.__required_keys__) for name, hint in hints.items()}
    missing = dataclasses.MISSING
    return {
        field.name: (
            hints[field.name],
            field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


def _generic_schema(kind: Any) -> Schema:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        described = next((note for note in kind.__metadata__ if isinstance(note, str)), None)
        inner = json_schema(arguments[0])
        return inner | ({"description": described} if described else {})
    if origin in (Required, NotRequired):
        return json_schema(arguments[0])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [json_schema(one) for one in arguments]}
    if origin in (list, set, frozenset):
        unique = {} if origin is list else {"uniqueItems": True}
        return {"type": "array", "items": json_schema(arguments[0] if arguments else Any), **unique}
    if origin is tuple:
        return _tuple_schema(arguments)
    if origin is dict and (not arguments or arguments[0] is str):
        values = json_schema(arguments[1] if arguments else Any)
        return {"type": "object", "additionalProperties": values}
    raise TypeError(f"{kind!r} has no JSON Schema")


def _tuple_schema(items: tuple[Any, ...]) -> Schema:
    if not items or items[-1] is ...:
        return {"type": "array", "items": json_schema(items[0] if items else Any)}
    count = len(items)
    prefix = [json_schema(item) for item in items]
    return {"type": "array", "prefixItems": prefix, "minItems": count, "maxItems": count}


def _build(kind: Any, value: Any) -> Any:
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return _build_object(kind, value)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return _build(arguments[0], value)
    if origin is Literal:
        return _checked(value in arguments, value, kind)
    if origin in (Union, types.UnionType):
        return _build_union(arguments, value)
    if origin in (list, set, frozenset, tuple):
        return _build_array(origin, arguments, value)
    if origin is dict:
        _checked(isinstance(value, dict), value, kind)
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
    return _checked(type(value) is kind, value, kind)


def _build_object(kind: Any, value: Any) -> Any:
    fields = _fields(kind)
    _checked(isinstance(value, dict), value, kind)
    unknown = [name for name in value if name not in fields]
    missing = [name for name, (_, needed) in fields.items() if needed and name not in value]
    if unknown or missing:
        what = f"lacks {missing[0]!r}" if missing else f"has the unknown {unknown[0]!r}"
        raise ValueError(f"the {kind.__name__} {what}")
    return kind(**{name: _build(fields[name][0], one) for name, one in value.items()})


def _build_array(origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    _checked(isinstance(value, list), value, origin)
    if origin is tuple and arguments and arguments[-1] is not ...:
        _checked(len(value) == len(arguments), value, origin)
        return tuple(map(_build, arguments, value))
    inner = arguments[0] if arguments else Any
    return origin(_build(inner, one) for one in value)


def _build_union(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return _build(kind, value)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{value!r} fits none of {', '.join(map(str, kinds))}")


def _checked(fits: bool, value: Any, kind: Any) -> Any:
    if not fits:
        raise ValueError(f"{value!r} is no {getattr(kind, '__name__', kind)}")
    return value


def _hashable(value: Any) -> bool:
    return getattr(value, "__hash__", None) is not None


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
