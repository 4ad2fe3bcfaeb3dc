"""Options of calls that generate text, in their convenient Python forms."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock._base.json_documents import document
from penstock._base.options import message
from penstock.schema import json_schema
from penstock.v1.common_pb2 import LogprobOptions
from penstock.v1.message_pb2 import JsonSchemaFormat, ResponseFormat

FormatLike: TypeAlias = ResponseFormat | str | type | Mapping[str, Any]
"""A message, "text", "json_object", a type, a JSON Schema, or a format in OpenAI's JSON form."""

_NAMED = ("text", "json_object")
_AS_OPENAI = (*_NAMED, "json_schema", "structural_tag")

LogprobsLike: TypeAlias = LogprobOptions | bool | int
"""A message, True to request log probabilities, or the number of alternatives."""


def generation_fields(
    options: Mapping[str, Any], response_format: str = "response_format"
) -> dict[str, Any]:
    """Returns the request fields of options whose Python form differs from the field."""
    fields = {
        response_format: as_format(options.get(response_format)),
        "logprobs": as_logprobs(options.get("logprobs")),
    }
    return {name: value for name, value in fields.items() if name in options}


def as_format(given: Any) -> ResponseFormat | None:
    """Returns a response format.

    Raises:
        TypeError: the type cannot be represented in JSON.
        ValueError: the name is not a valid response format.
    """
    if given is None or isinstance(given, ResponseFormat):
        return given
    if isinstance(given, str):
        if given not in _NAMED:
            raise ValueError(
                f"{given!r} is not a valid response format; valid are {' and '.join(_NAMED)}"
            )
        return message(ResponseFormat, {given: {}})
    if isinstance(given, Mapping) and (kind := given.get("type")) in _AS_OPENAI:
        # The Responses API and vLLM's structural tags put a format's details next to its type.
        beside = {name: value for name, value in given.items() if name != "type"}
        return message(ResponseFormat, {kind: given.get(kind, beside)})
    schema = json_schema(given)
    name = str(schema.get("title") or getattr(given, "__name__", "answer"))
    return ResponseFormat(json_schema=JsonSchemaFormat(name=name, schema=document(schema)))


def as_logprobs(given: Any) -> LogprobOptions | None:
    """Returns the options for log probabilities; None if they are not requested."""
    if given is None or given is False or isinstance(given, LogprobOptions):
        return given or None
    return LogprobOptions(top_logprobs=None if given is True else given)
