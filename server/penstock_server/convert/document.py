"""Free JSON: `JsonDocument`, both ways."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import orjson
from google.protobuf.struct_pb2 import Struct, Value

from penstock.v1 import common_pb2
from penstock_server.convert.errors import MalformedAnswer, invalid

_EXACT = 2.0**53
# orjson writes at most 254 levels, including those of the request around the document.
_DEEPEST = 200
_NOT_FINITE = "must be a finite number"


def from_document(document: common_pb2.JsonDocument, path: str) -> Any:
    """Returns the JSON of a document, ready to be serialized.

    The `json` form is sent unchanged, byte for byte.

    Raises:
        InvalidRequest: the document is empty or not valid JSON.
    """
    return _as_given(document, read(document, path))


def from_object(document: common_pb2.JsonDocument, path: str) -> Any:
    """Returns the JSON object of a document, ready to be serialized; see `from_document`.

    Raises:
        InvalidRequest: the document is empty, not valid JSON, or not an object.
    """
    return _as_given(document, members(document, path))


def members(document: common_pb2.JsonDocument, path: str) -> dict[str, Any]:
    """Parses a document that must hold a JSON object.

    Raises:
        InvalidRequest: the document is empty, not valid JSON, not an object, or nested too
            deeply.
    """
    value = read(document, path)
    if not isinstance(value, dict):
        raise invalid(path, "must be a JSON object")
    if _is_deeper(value, _DEEPEST):
        raise invalid(path, f"must not be nested more than {_DEEPEST} levels deep")
    return value


def read(document: common_pb2.JsonDocument, path: str) -> Any:
    """Parses the value that a document holds.

    Raises:
        InvalidRequest: the document is empty or not valid JSON.
    """
    form = document.WhichOneof("document")
    if form == "object":
        return _from_object(document.object, f"{path}.object")
    if form is None:
        raise invalid(path, "set json or object")
    try:
        return orjson.loads(document.json)
    except orjson.JSONDecodeError as error:
        raise invalid(f"{path}.json", f"is not valid JSON: {error}") from None


def to_document(value: Any) -> common_pb2.JsonDocument:
    """Returns a document with the `json` form of a value.

    Raises:
        MalformedAnswer: the value is nested too deeply to be serialized.
    """
    return common_pb2.JsonDocument(json=_written(value))


def add(target: common_pb2.JsonDocument, values: Mapping[str, Any]) -> None:
    """Adds members to the object in a document; an unset document counts as an empty object.

    Raises:
        MalformedAnswer: a value is nested too deeply to be serialized.
    """
    held = orjson.loads(target.json) if target.json else {}
    target.json = _written({**held, **values})


def add_under(name: str, target: common_pb2.JsonDocument, values: Mapping[str, Any]) -> None:
    """Adds members to the object that is a member of the object in a document.

    Raises:
        MalformedAnswer: a value is nested too deeply to be serialized.
    """
    held = orjson.loads(target.json) if target.json else {}
    target.json = _written({**held, name: {**held.get(name, {}), **values}})


def finite(number: float, path: str) -> float:
    """Returns the number unchanged.

    Raises:
        InvalidRequest: it is NaN or infinite, which cannot be represented in JSON.
    """
    if not isfinite(number):
        raise invalid(path, _NOT_FINITE)
    return number


def _as_given(document: common_pb2.JsonDocument, value: Any) -> Any:
    """Returns the value, or the text that it was parsed from if there is one."""
    return orjson.Fragment(document.json) if document.WhichOneof("document") == "json" else value


def _is_deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    nested = (inner for inner in inside if isinstance(inner, dict | list))
    return not levels or any(_is_deeper(inner, levels - 1) for inner in nested)


def _written(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise MalformedAnswer(f"a value cannot be serialized: {error}") from None


def _from_object(struct: Struct, path: str) -> dict[str, Any]:
    """Returns a struct as a JSON object; integral numbers below 2^53 become integers."""
    try:
        return _from_fields(struct)
    except _Faulty as fault:
        raise invalid(path + "".join(reversed(fault.place)), fault.description) from None


class _Faulty(Exception):
    """A value that cannot be sent.

    Its path is collected while the exception propagates, innermost step first: building a path
    for each value of a long list would be wasted work.
    """

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description
        self.place: list[str] = []


def _from_fields(struct: Struct) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in struct.fields.items():
        try:
            made[key] = _from_value(value)
        except _Faulty as fault:
            fault.place.append(f".{key}")
            raise
    return made


def _from_list(values: Iterable[Value]) -> list[Any]:
    made: list[Any] = []
    for value in values:
        try:
            made.append(_from_value(value))
        except _Faulty as fault:
            fault.place.append(f"[{len(made)}]")
            raise
    return made


def _from_value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "null_value":
            return None
        case "number_value":
            if not isfinite(value.number_value):
                raise _Faulty(_NOT_FINITE)
            return _number(value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _from_fields(value.struct_value)
        case "list_value":
            return _from_list(value.list_value.values)
    raise _Faulty("has no value")


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < _EXACT else number
