"""Checks of a JSON body with pydantic's messages, which vLLM returns to its callers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.http.requests import Request

_SHOWN = 10
_TRUE = {"true", "t", "yes", "y", "on", "1"}
_FALSE = {"false", "f", "no", "n", "off", "0"}


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem of a body."""

    kind: str
    location: str
    message: str
    value: Json
    context: dict[str, Any] | None = None

    def __str__(self) -> str:
        shown: dict[str, Any] = {
            "type": self.kind,
            "loc": self.location,
            "msg": self.message,
            "input": _described(self.value),
        }
        return repr(shown | ({"ctx": self.context} if self.context else {}))


class Mistyped(Exception):
    """A value does not have the type that its field requires."""

    def __init__(
        self, kind: str, message: str, context: dict[str, Any] | None = None, inside: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.context = context
        self.inside = inside


Kind = Callable[[Json], Json]
"""Function that converts a value to the type of its field, or raises Mistyped."""


def refusal(issues: list[Issue]) -> ApiError:
    """Returns the error that lists the issues."""
    count = len(issues)
    lines = [f"{count} validation error{'s' if count > 1 else ''}:"]
    lines += [f"  {issue}" for issue in issues[:_SHOWN]]
    if count > _SHOWN:
        lines.append(f"  ...and {count - _SHOWN} more errors")
    return ApiError("\n".join(lines), issues[0].location, kind="Bad Request")


def json_object(request: Request) -> dict[str, Json]:
    """Returns the body of a request, which must be a JSON object with a JSON content type."""
    if request.content_type != "application/json":
        unsupported = "Unsupported Media Type: Only 'application/json' is allowed"
        raise ApiError(f"1 validation error:\n  {unsupported}", kind="Bad Request")
    if not request.body:
        raise refusal([Issue("missing", "body", "Field required", None)])
    try:
        body = request.json
    except json.JSONDecodeError as error:
        raise refusal([_undecodable(error)]) from None
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise refusal([Issue("model_attributes_type", "body", message, body)])
    return body


def checked(
    body: dict[str, Json],
    kinds: dict[str, Kind],
    place: str = "body",
    first: Sequence[Issue] = (),
) -> dict[str, Json]:
    """Returns an object without its null fields and with its values converted.

    Args:
        body: the object.
        kinds: converters of its fields.
        place: the location of the object.
        first: issues that precede those of the fields.
    """
    issues: list[Issue] = []
    values: dict[str, Json] = {}
    for name, value in body.items():
        if value is None:
            continue
        try:
            values[name] = kinds[name](value) if name in kinds else value
        except Mistyped as error:
            location = f"{place}.{name}{error.inside}"
            issues.append(Issue(error.kind, location, error.message, value, error.context))
    if issues:
        raise refusal([*first, *issues])
    return values


def number(value: Json) -> float:
    """Converts a float, or a string that contains one."""
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        raise Mistyped("float_type", "Input should be a valid number")
    try:
        return float(value)
    except ValueError:
        message = "Input should be a valid number, unable to parse string as a number"
        raise Mistyped("float_parsing", message) from None


def integer(value: Json) -> int:
    """Converts an integer, a float without a fraction, or a string that contains an integer."""
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _integral(value)
    if not isinstance(value, str):
        raise Mistyped("int_type", "Input should be a valid integer")
    try:
        return int(value)
    except ValueError:
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise Mistyped("int_parsing", message) from None


def int64(value: Json) -> int:
    """Converts an integer of 64 bits."""
    whole = integer(value)
    most, least = 2**63 - 1, -(2**63)
    if whole > most:
        message = f"Input should be less than or equal to {most}"
        raise Mistyped("less_than_equal", message, {"le": most})
    if whole < least:
        message = f"Input should be greater than or equal to {least}"
        raise Mistyped("greater_than_equal", message, {"ge": least})
    return whole


def boolean(value: Json) -> bool:
    """Converts a boolean, or a value that pydantic accepts as one."""
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, int | str) else None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if word is None:
        raise Mistyped("bool_type", "Input should be a valid boolean")
    message = "Input should be a valid boolean, unable to interpret input"
    raise Mistyped("bool_parsing", message)


def string(value: Json) -> str:
    """Checks a string."""
    if not isinstance(value, str):
        raise Mistyped("string_type", "Input should be a valid string")
    return value


def array(value: Json) -> list[Json]:
    """Checks a list of any values."""
    if not isinstance(value, list):
        raise Mistyped("list_type", "Input should be a valid list")
    return value


def mapping(value: Json) -> dict[str, Json]:
    """Checks an object with any keys."""
    if not isinstance(value, dict):
        raise Mistyped("dict_type", "Input should be a valid dictionary")
    return value


def one_of(*words: str, inside: str = "") -> Kind:
    """Checks for one of some strings; `inside` is the position within the field."""
    quoted = [repr(word) for word in words]
    expected = f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    def check(value: Json) -> Json:
        if value not in words:
            message = f"Input should be {expected}"
            raise Mistyped("literal_error", message, {"expected": expected}, inside)
        return value

    return check


def _integral(value: float) -> int:
    if not value.is_integer():
        message = "Input should be a valid integer, got a number with a fractional part"
        raise Mistyped("int_from_float", message)
    return int(value)


def _undecodable(error: json.JSONDecodeError) -> Issue:
    context = {"error": error.msg}
    return Issue("json_invalid", f"body.{error.pos}", "JSON decode error", {}, context)


def _described(value: Json) -> str:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    return str(value)[:200]
