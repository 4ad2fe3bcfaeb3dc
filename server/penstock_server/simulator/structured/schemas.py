"""Small instances of JSON schemas, for answers that must match one."""

from typing import Any

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.structured.patterns import GrammarError, example, require_moderate

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_FORMATS = {
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


_MOST_VALUES = 2000
"""More values than any context can hold; a larger schema refers to itself or repeats itself."""
_UNREADABLE = (TypeError, AttributeError, LookupError, ArithmeticError, ValueError)


def check_schema(schema: Json) -> None:
    """Raises GrammarError if a schema contains an unknown type."""
    if isinstance(schema, dict):
        for name in _type_names(schema):
            if name not in _TYPES:
                raise GrammarError(f"Invalid type: {name}")
    for part in _subschemas(schema):
        check_schema(part)


def instance(schema: Json) -> Json:
    """Returns the smallest value that a schema allows; best effort for rare keywords.

    Raises:
        GrammarError: the schema is not valid, or requires a value that is too large or infinite.
    """
    try:
        check_schema(schema)
        return _Instance(schema).value(schema)
    except GrammarError:
        raise
    except RecursionError:
        raise GrammarError("the schema refers to itself endlessly") from None
    except _UNREADABLE as error:
        raise GrammarError(f"the schema cannot be read: {error}") from None


class _Instance:
    """Builds one value of bounded size.

    Attributes:
        root: the whole schema, to which references refer.
    """

    def __init__(self, root: Json) -> None:
        self.root = root
        self._left = _MOST_VALUES

    def value(self, schema: Json) -> Json:
        """Returns the smallest value that a part of the schema allows."""
        self._left -= 1
        if self._left < 0:
            raise GrammarError(f"the schema requires more than {_MOST_VALUES} values")
        if not isinstance(schema, dict):
            return {}
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if "$ref" in schema:
            return self.value(_resolved(schema["$ref"], self.root))
        for combination in ("anyOf", "oneOf"):
            if schema.get(combination):
                return self.value({**schema, **_chosen(schema[combination][0]), combination: None})
        if schema.get("allOf"):
            return self.value(_merged(schema))
        return self._of_type(_type(schema), schema)

    def _of_type(self, kind: str, schema: dict[str, Json]) -> Json:
        match kind:
            case "object":
                properties = schema.get("properties") or {}
                required = schema.get("required") or []
                return {name: self.value(properties.get(name, {})) for name in required}
            case "array":
                items, size = schema.get("items") or {}, int(schema.get("minItems") or 0)
                return [self.value(items) for _ in range(size)]
            case "string":
                return _string(schema)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
        return None


def _chosen(schema: Json) -> dict[str, Json]:
    """Returns an alternative; `true` allows everything."""
    return schema if isinstance(schema, dict) else {}


def _string(schema: dict[str, Json]) -> str:
    if "pattern" in schema:
        return example(schema["pattern"])
    text = _FORMATS.get(schema.get("format", ""), "text")
    least = int(schema.get("minLength", 0))
    require_moderate(least)
    return text.ljust(least, "x")[: schema.get("maxLength")]


def _number(schema: dict[str, Json]) -> Json:
    step = schema.get("multipleOf") or 1
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    if low is not None:
        number = -(-low // step) * step
        return number + step if number == schema.get("exclusiveMinimum") else number
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if high is not None and high <= 1:
        number = high // step * step
        return number - step if number == schema.get("exclusiveMaximum") else number
    return step


def _type_names(schema: dict[str, Json]) -> list[Any]:
    kind = schema.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _type(schema: dict[str, Json]) -> str:
    if names := _type_names(schema):
        return str(names[0])
    hints = {"items": "array", "pattern": "string", "minLength": "string", "minimum": "number"}
    return next((hints[key] for key in schema if key in hints), "object")


def _subschemas(schema: Json) -> list[Json]:
    if not isinstance(schema, dict):
        return []
    named = [schema.get(key) for key in ("properties", "$defs", "definitions")]
    found = [part for group in named if isinstance(group, dict) for part in group.values()]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        found += schema.get(key) or []
    return [*found, schema.get("items"), schema.get("additionalProperties")]


def _merged(schema: dict[str, Json]) -> dict[str, Json]:
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        properties = {**whole.get("properties", {}), **part.get("properties", {})}
        required = [*whole.get("required", []), *part.get("required", [])]
        whole |= {**part, "properties": properties, "required": required}
    return whole


def _resolved(reference: str, root: Json) -> Json:
    found = root
    for key in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(key.replace("~1", "/").replace("~0", "~")) if key else found
        if found is None:
            raise GrammarError(f"Pointer {reference} does not exist")
    return found
