"""The settings of a response, from the request or from the upstream's answer."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from penstock.v1 import common_pb2, message_pb2, response_pb2
from penstock_server.convert import document, extra
from penstock_server.convert.response import words
from penstock_server.convert.response.chat_request import wants_logprobs
from penstock_server.json_numbers import integer, number

# Returned as in the request, or with their default.
_SAME = (
    "instructions",
    "previous_response_id",
    "text_verbosity",
    "user",
    "safety_identifier",
    "prompt_cache_key",
)
_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_MODES = {
    "auto": message_pb2.ToolChoice.MODE_AUTO,
    "none": message_pb2.ToolChoice.MODE_NONE,
    "required": message_pb2.ToolChoice.MODE_REQUIRED,
}
_FUNCTION_KEYS = frozenset({"type", "name", "description", "parameters", "strict", "defer_loading"})
_TEXTS = (
    "previous_response_id",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
)
_TRUNCATIONS = {name: number for number, name in words.TRUNCATIONS.items()}
_VERBOSITIES = {name: number for number, name in words.VERBOSITIES.items()}
_SUMMARIES: Mapping[Any, response_pb2.ReasoningSummary.ValueType] = {
    name: number for number, name in words.SUMMARIES.items()
}
_COUNTS = ("max_output_tokens", "top_logprobs", "max_tool_calls")
_SWITCHES = ("parallel_tool_calls", "store", "background")


def of_request(request: response_pb2.CreateResponseRequest) -> response_pb2.ResponseSettings:
    """Returns the settings of a request that is converted to a chat."""
    settings = response_pb2.ResponseSettings(
        tools=request.tools,
        text_format=request.text_format if request.HasField("text_format") else None,
        reasoning=request.reasoning if request.HasField("reasoning") else None,
        parallel_tool_calls=request.parallel_tool_calls
        or not request.HasField("parallel_tool_calls"),
        truncation=request.truncation or response_pb2.TRUNCATION_DISABLED,
        service_tier=request.service_tier or "auto",
        store=False,
        background=False,
        metadata=request.metadata,
    )
    for name in _SAME:
        setattr(settings, name, getattr(request, name))
    for name in _NUMBERS:
        if request.sampling.HasField(name):  # type: ignore[arg-type]
            setattr(settings, name, getattr(request.sampling, name))
    if request.sampling.HasField("max_tokens"):
        settings.max_output_tokens = request.sampling.max_tokens
    if wants_logprobs(request):
        settings.top_logprobs = request.logprobs.top_logprobs
    _fill_choice(settings.tool_choice, request)
    return settings


def _fill_choice(
    target: message_pb2.ToolChoice, request: response_pb2.CreateResponseRequest
) -> None:
    if not request.tools:
        target.mode = message_pb2.ToolChoice.MODE_NONE
    elif request.HasField("tool_choice"):
        target.CopyFrom(request.tool_choice)
    else:
        target.mode = message_pb2.ToolChoice.MODE_AUTO


def fill(target: response_pb2.ModelResponse, data: Mapping[str, Any]) -> None:
    """Writes the settings from a response of the Responses API."""
    target.settings.SetInParent()
    for key, write in _WRITERS.items():
        extra.fill_with(target, key, data, partial(write, target.settings))


def _set_metadata(target: response_pb2.ResponseSettings, value: Mapping[str, str]) -> None:
    target.metadata.update(value)


def _set_tools(target: response_pb2.ResponseSettings, value: Iterable[Any]) -> None:
    target.tools.extend([tool(one) for one in value])


def _set_tool_choice(target: response_pb2.ResponseSettings, value: Any) -> None:
    target.tool_choice.CopyFrom(_tool_choice(value))


def _set_text(target: response_pb2.ResponseSettings, value: Mapping[str, Any]) -> None:
    form = value.get("format")
    text_format = None if form is None else _text_format(form)
    if verbosity := value.get("verbosity"):
        target.text_verbosity = _VERBOSITIES[verbosity]
    if text_format is not None:
        target.text_format.CopyFrom(text_format)


def _set_reasoning(target: response_pb2.ResponseSettings, value: Mapping[str, Any]) -> None:
    target.reasoning.effort = value.get("effort") or ""
    summary = _SUMMARIES.get(value.get("summary"))
    if summary is not None:
        target.reasoning.summary = summary
    extra.keep(target.reasoning, value, frozenset({"effort", "summary"} if summary else {"effort"}))


def _set_truncation(target: response_pb2.ResponseSettings, value: str) -> None:
    target.truncation = _TRUNCATIONS[value]


def _set_cache_options(target: response_pb2.ResponseSettings, value: Any) -> None:
    target.prompt_cache_options.CopyFrom(document.to_document(value))


def _setter(
    name: str, read: Callable[[Any], Any]
) -> Callable[[response_pb2.ResponseSettings, Any], None]:
    return lambda target, value: setattr(target, name, read(value))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not a boolean")
    return value


_WRITERS: Mapping[str, Callable[[response_pb2.ResponseSettings, Any], None]] = {
    **{name: _setter(name, extra.text) for name in ("instructions", *_TEXTS)},
    **{name: _setter(name, number) for name in _NUMBERS},
    **{name: _setter(name, integer) for name in _COUNTS},
    **{name: _setter(name, _boolean) for name in _SWITCHES},
    "truncation": _set_truncation,
    "prompt_cache_options": _set_cache_options,
    "metadata": _set_metadata,
    "tools": _set_tools,
    "tool_choice": _set_tool_choice,
    "text": _set_text,
    "reasoning": _set_reasoning,
}
"""Functions that write a setting, by its key."""
KEYS = frozenset(_WRITERS)
"""Keys of a response that hold its settings."""


def tool(data: Mapping[str, Any]) -> message_pb2.Tool:
    """Converts a tool from the form of the Responses API, in which functions are not nested."""
    if data.get("type") != "function":
        return message_pb2.Tool(other=document.to_document(data))
    function = message_pb2.FunctionDefinition(
        name=data["name"], description=data.get("description") or ""
    )
    if (parameters := data.get("parameters")) is not None:
        function.parameters.CopyFrom(document.to_document(parameters))
    if (strict := data.get("strict")) is not None:
        function.strict = strict
    if (deferred := data.get("defer_loading")) is not None:
        function.defer_loading = deferred
    extra.keep(function, data, _FUNCTION_KEYS)
    return message_pb2.Tool(function=function)


def _tool_choice(data: Any) -> message_pb2.ToolChoice:
    if isinstance(data, str) and data in _MODES:
        return message_pb2.ToolChoice(mode=_MODES[data])
    if isinstance(data, Mapping) and data.keys() == {"type", "name"} and data["type"] == "function":
        return message_pb2.ToolChoice(function_name=data["name"])
    return message_pb2.ToolChoice(other=document.to_document(data))


def _text_format(data: Mapping[str, Any]) -> message_pb2.ResponseFormat:
    match data["type"]:
        case "text":
            return message_pb2.ResponseFormat(text=message_pb2.TextFormat())
        case "json_object":
            return message_pb2.ResponseFormat(json_object=common_pb2.JsonObjectFormat())
        case "json_schema":
            schema = message_pb2.JsonSchemaFormat(
                name=data["name"],
                description=data.get("description") or "",
                schema=_document(data, "schema"),
                strict=data.get("strict"),
            )
            return message_pb2.ResponseFormat(json_schema=schema)
    raise ValueError(f"unknown format {data['type']}")


def _document(data: Mapping[str, Any], key: str) -> common_pb2.JsonDocument | None:
    return None if data.get(key) is None else document.to_document(data[key])
