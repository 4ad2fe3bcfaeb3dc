"""The settings of a response: those of a request as they are told back, and an upstream's own."""

from collections.abc import Mapping
from typing import Any

from penstock.v1 import common_pb2, message_pb2, response_pb2
from penstock_server.convert import document, extra
from penstock_server.convert.response.chat_request import wants_logprobs

# Told back as they were given, or by their default.
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
    "truncation",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
)
_OPTIONAL = (
    *_NUMBERS,
    "max_output_tokens",
    "top_logprobs",
    "parallel_tool_calls",
    "max_tool_calls",
    "store",
    "background",
)
KEYS = frozenset(
    {*_TEXTS, *_OPTIONAL, "instructions", "tools", "tool_choice", "text", "reasoning", "metadata"}
)
"""The keys of a response that tell its settings."""


def of_request(request: response_pb2.CreateResponseRequest) -> response_pb2.ResponseSettings:
    """Returns the settings of a request that is asked for as a chat."""
    told = response_pb2.ResponseSettings(
        tools=request.tools,
        text_format=request.text_format if request.HasField("text_format") else None,
        reasoning=request.reasoning if request.HasField("reasoning") else None,
        parallel_tool_calls=request.parallel_tool_calls
        or not request.HasField("parallel_tool_calls"),
        truncation=request.truncation or "disabled",
        service_tier=request.service_tier or "auto",
        store=False,
        background=False,
        metadata=request.metadata,
    )
    for name in _SAME:
        setattr(told, name, getattr(request, name))
    for name in _NUMBERS:
        if request.sampling.HasField(name):  # type: ignore[arg-type]
            setattr(told, name, getattr(request.sampling, name))
    if request.sampling.HasField("max_tokens"):
        told.max_output_tokens = request.sampling.max_tokens
    if wants_logprobs(request):
        told.top_logprobs = request.logprobs.top_logprobs
    _fill_choice(told.tool_choice, request)
    return told


def _fill_choice(
    target: message_pb2.ToolChoice, request: response_pb2.CreateResponseRequest
) -> None:
    if not request.tools:
        target.mode = message_pb2.ToolChoice.MODE_NONE
    elif request.HasField("tool_choice"):
        target.CopyFrom(request.tool_choice)
    else:
        target.mode = message_pb2.ToolChoice.MODE_AUTO


def of_answer(data: Mapping[str, Any]) -> response_pb2.ResponseSettings:
    """Returns the settings that a response of the Responses API tells."""
    told = response_pb2.ResponseSettings(metadata=data.get("metadata") or {})
    if isinstance(instructions := data.get("instructions"), str):
        told.instructions = instructions
    for name in _TEXTS:
        setattr(told, name, data.get(name) or "")
    for name in _OPTIONAL:
        if (value := data.get(name)) is not None:
            setattr(told, name, value)
    told.tools.extend(tool(one) for one in data.get("tools") or ())
    if (choice := data.get("tool_choice")) is not None:
        told.tool_choice.CopyFrom(_tool_choice(choice))
    if text := data.get("text"):
        told.text_verbosity = text.get("verbosity") or ""
        if (form := text.get("format")) is not None:
            told.text_format.CopyFrom(_text_format(form))
    if (reasoning := data.get("reasoning")) is not None:
        told.reasoning.effort = reasoning.get("effort") or ""
        told.reasoning.summary = reasoning.get("summary") or ""
        extra.keep(told.reasoning, reasoning, frozenset({"effort", "summary"}))
    return told


def tool(data: Mapping[str, Any]) -> message_pb2.Tool:
    """Returns a tool as the Responses API writes it: a function is not nested."""
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
            return message_pb2.ResponseFormat(json_object=message_pb2.JsonObjectFormat())
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
