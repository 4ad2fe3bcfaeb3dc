"""Conversion of vLLM's JSON to our request; tests check the way back."""

import json
from collections.abc import Mapping
from typing import Any

from documents import document
from google.protobuf.json_format import ParseDict

from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.message_pb2 import ChatMessage, ResponseFormat, Tool, ToolCall, ToolChoice
from penstock_server.convert.fields import HOMES
from penstock_server.convert.message import ROLES

_ROLES: Mapping[str, Any] = {name: role for role, name in ROLES.items()}
_MODES = {"auto": 1, "none": 2, "required": 3}
_TYPED = ("messages", "tools", "tool_choice", "response_format", "structured_outputs")


def from_json(body: Mapping[str, Any]) -> CreateChatCompletionRequest:
    """Returns the request that is equivalent to a body; nulls count as unset."""
    request = CreateChatCompletionRequest()
    given = {key: value for key, value in body.items() if value is not None}
    given.pop("stream", None)
    if not given.pop("logprobs", True):
        given.pop("top_logprobs", None)
    elif body.get("logprobs"):
        request.logprobs.SetInParent()
    if "max_completion_tokens" in given:
        given.pop("max_tokens", None)
    request.messages.extend(_message(message) for message in given["messages"])
    request.tools.extend(_tool(tool) for tool in given.get("tools", ()))
    if choice := given.get("tool_choice"):
        request.tool_choice.CopyFrom(_tool_choice(choice))
    if form := given.get("response_format"):
        request.response_format.CopyFrom(_response_format(form))
    if outputs := given.get("structured_outputs"):
        _fill_structured(request, outputs)
    for key, value in given.items():
        if key not in _TYPED:
            _place(request, key, value)
    return request


def _place(request: CreateChatCompletionRequest, key: str, value: Any) -> None:
    home = HOMES["/v1/chat/completions"].get(key)
    if home is None:
        request.extra_body.CopyFrom(document({key: value}))
    elif key == "stream_options":
        value = {name: on for name, on in value.items() if name != "include_usage"}
        ParseDict(value, request.stream_options)
    else:
        value = [value] if key == "stop" and isinstance(value, str) else value
        nested: Any = value
        if home.endswith(("_kwargs", "_xargs", "_params")):
            nested = {"json": json.dumps(value)}
        for part in reversed(home.split(".")):
            nested = {part: nested}
        ParseDict(nested, request)


def _message(data: Mapping[str, Any]) -> ChatMessage:
    role = data["role"]
    message = ChatMessage(role=_ROLES.get(role, 6), custom_role="" if role in _ROLES else role)
    content = data.get("content")
    parts = content if isinstance(content, list) else [{"text": content}] if content else []
    for part in parts:
        message.content.add(text=part["text"])
    message.tool_call_id = data.get("tool_call_id", "")
    for call in data.get("tool_calls", ()):
        message.tool_calls.append(ToolCall(id=call["id"], function=call["function"]))
    return message


def _tool(data: Mapping[str, Any]) -> Tool:
    definition: Any = dict(data["function"])
    parameters = definition.pop("parameters", None)
    tool = Tool(function=definition)
    if parameters is not None:
        tool.function.parameters.json = json.dumps(parameters)
    return tool


def _tool_choice(choice: Any) -> ToolChoice:
    if isinstance(choice, str):
        return ToolChoice(mode=_MODES[choice])  # type: ignore[arg-type]
    return ToolChoice(function_name=choice["function"]["name"])


def _response_format(data: Mapping[str, Any]) -> ResponseFormat:
    kind = data["type"]
    if kind != "json_schema":
        return ParseDict({kind: {}}, ResponseFormat())
    rest = dict(data["json_schema"])
    schema = rest.pop("schema")
    form = ParseDict({"json_schema": rest}, ResponseFormat())
    form.json_schema.schema.json = json.dumps(schema)
    return form


def _fill_structured(request: CreateChatCompletionRequest, data: Mapping[str, Any]) -> None:
    given = dict(data)
    target = request.structured_outputs
    if (schema := given.pop("json", None)) is not None:
        target.json_schema.json = json.dumps(schema)
    if given.pop("json_object", None):
        target.json_object.SetInParent()
    if choices := given.pop("choice", None):
        given["choice"] = {"choices": choices}
    ParseDict(given, target)
