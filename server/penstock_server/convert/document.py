"""JSON values: `JsonDocument` and `google.protobuf.Struct`, both ways."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson
from google.protobuf.struct_pb2 import Struct, Value

from penstock.v1 import common_pb2
from penstock_server.convert.errors import MalformedAnswer, invalid

_EXACT = 2.0**53
# Readers of protobuf follow a hundred levels; one of JSON is three, and messages are around it.
_DEEPEST = 28


def from_document(document: common_pb2.JsonDocument, path: str) -> Any:
    """Returns the JSON of a document, ready to be written.

    The `json` form is written as it was given, byte for byte.

    Raises:
        InvalidRequest: the document is empty or no JSON.
    """
    value = read(document, path)
    return orjson.Fragment(document.json) if document.WhichOneof("document") == "json" else value


def read(document: common_pb2.JsonDocument, path: str) -> Any:
    """Returns the value that a document holds, to be looked into.

    Raises:
        InvalidRequest: the document is empty or no JSON.
    """
    form = document.WhichOneof("document")
    if form == "object":
        return from_struct(document.object, f"{path}.object")
    if form is None:
        raise invalid(path, "give json or object")
    try:
        return orjson.loads(document.json)
    except orjson.JSONDecodeError as error:
        raise invalid(f"{path}.json", f"is no JSON: {error}") from None


def to_document(value: Any) -> common_pb2.JsonDocument:
    """Returns a document with the `json` form of a value."""
    return common_pb2.JsonDocument(json=orjson.dumps(value).decode())


def from_struct(struct: Struct, path: str) -> dict[str, Any]:
    """Returns a struct as a JSON object; integral numbers below 2^53 become integers.

    Raises:
        InvalidRequest: a number is NaN or infinite, or a value is empty.
    """
    return {key: _from_value(value, f"{path}.{key}") for key, value in struct.fields.items()}


def to_struct(target: Struct, values: Mapping[str, Any]) -> None:
    """Writes a JSON object into a struct.

    Raises:
        MalformedAnswer: it is nested deeper than a reader of protobuf follows.
    """
    _check_depth(values, _DEEPEST)
    target.update(dict(values))


def finite(number: float, path: str) -> float:
    """Returns the number.

    Raises:
        InvalidRequest: it is NaN or infinite, which JSON cannot say.
    """
    if not isfinite(number):
        raise invalid(path, "must be a finite number")
    return number


def _check_depth(value: Any, levels: int) -> None:
    if not levels:
        raise MalformedAnswer(f"a value is nested more than {_DEEPEST} levels deep")
    for inner in value.values() if isinstance(value, Mapping) else value:
        if isinstance(inner, Mapping | list):
            _check_depth(inner, levels - 1)


def _from_value(value: Value, path: str) -> Any:
    match value.WhichOneof("kind"):
        case "null_value":
            return None
        case "number_value":
            return _number(finite(value.number_value, path))
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return from_struct(value.struct_value, path)
        case "list_value":
            items = enumerate(value.list_value.values)
            return [_from_value(item, f"{path}[{i}]") for i, item in items]
    raise invalid(path, "has no value")


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < _EXACT else number
