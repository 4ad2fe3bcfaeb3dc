"""Generates JSON Schema from Python types and functions.

Supports scalars, `list`, `dict`, `Any`, `Literal` and optional types. All other types require
pydantic, the package's extra `pydantic`: its models, dataclasses, TypedDicts, enums, unions,
constraints in `Annotated`, dates, UUIDs.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, get_origin

from penstock._base.functions import parameters
from penstock._base.json_types import Schema, plain, simple_type, with_pydantic

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def json_schema(kind: Any) -> Schema:
    """Returns the JSON Schema of a type.

    >>> json_schema(list[int | None])
    {'type': 'array', 'items': {'anyOf': [{'type': 'integer'}, {'type': 'null'}]}}

    Raises:
        TypeError: the type cannot be represented in JSON, or requires pydantic.
    """
    if isinstance(kind, Mapping):
        return dict(kind)
    simple = simple_type(kind)
    schema = simple.schema if simple else with_pydantic(kind, lambda one: one.json_schema())
    return schema | _description(kind)


def parameters_schema(function: Callable[..., Any], described: Mapping[str, str]) -> Schema:
    """Returns the schema of a function's arguments as one object.

    Args:
        function: the function; parameters without a default are required properties.
        described: descriptions by parameter name, for those that `Annotated` does not describe.

    Raises:
        TypeError: a parameter cannot be passed by name, its type cannot be represented in JSON, or
            its type requires pydantic.
    """
    found = parameters(function)
    properties, definitions = _schemas({name: one.annotation for name, one in found.items()})
    for name, parameter in found.items():
        properties[name] |= _description(parameter.annotation)
        if name in described:
            properties[name].setdefault("description", described[name])
        with suppress(TypeError, ValueError):
            properties[name] |= _default(parameter.default)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, one in found.items() if one.default is one.empty],
        "additionalProperties": False,
    } | definitions


def _schemas(kinds: Mapping[str, Any]) -> tuple[dict[str, Schema], Schema]:
    """Returns the schemas of parameters by name, and the definitions that they reference."""
    schemas: dict[str, Schema] = {}
    adapters: dict[str, TypeAdapter[Any]] = {}
    for name, kind in kinds.items():
        simple = simple_type(kind)
        schemas[name] = dict(simple.schema) if simple else {}
        if not simple:
            adapters[name] = _adapter(name, kind)
    if not adapters:
        return schemas, {}
    made, definitions = next(iter(adapters.values())).json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters.items()]
    )
    return schemas | {name: schema for (name, _), schema in made.items()}, definitions


def _adapter(name: str, kind: Any) -> "TypeAdapter[Any]":
    """Returns pydantic's adapter of a parameter's type.

    Raises:
        TypeError: the type cannot be represented in JSON, or requires pydantic.
    """
    try:
        # Only the schema of one type alone reports which parameter has none.
        adapter, _ = with_pydantic(kind, lambda one: (one, one.json_schema()))
    except TypeError as error:
        raise TypeError(f"parameter {name!r}: {error}") from error
    return adapter


def _description(kind: Any) -> Schema:
    """Returns the text in `Annotated` as a part of the schema, if there is one."""
    notes = kind.__metadata__ if get_origin(kind) is Annotated else ()
    texts = [note for note in notes if isinstance(note, str)]
    return {"description": texts[0]} if texts else {}


def _default(value: Any) -> Schema:
    """Returns the default of a parameter as a part of its schema.

    Raises:
        TypeError: a key cannot be represented in JSON.
        ValueError: another part of the value cannot be represented in JSON.
    """
    return {"default": json.loads(json.dumps(value, allow_nan=False, default=plain))}
