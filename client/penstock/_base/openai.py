"""Reads messages of a conversation in OpenAI's JSON form."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock._base.options import message
from penstock._base.spelling import refuse_misspelt
from penstock.tools import as_tools
from penstock.v1.message_pb2 import (
    ChatMessage,
    ContentPart,
    FunctionCall,
    Media,
    Thinking,
    ToolCall,
)

_PLAIN_FIELDS = ("name", "tool_call_id", "reasoning", "refusal", "task")
_FIELDS = ("role", "content", "tool_calls", "tools", "reasoning_content", *_PLAIN_FIELDS)


def message_from(given: Mapping[str, Any]) -> ChatMessage:
    """Returns a message; keys without a field become `extra`.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: the role is not valid, a key is misspelt, or a part or tool call lacks a key.
    """
    refuse_misspelt(given, _FIELDS, "a message")
    left = {key: value for key, value in given.items() if value is not None}
    if "role" not in left:
        raise ValueError(f"a message needs a role: {given!r}")
    values: dict[str, Any] = {
        "role": left.pop("role"),
        "content": parts_from(left.pop("content", ())),
        "tool_calls": [_tool_call(call) for call in left.pop("tool_calls", ())],
        "tools": as_tools(left.pop("tools", ())),
    }
    if "reasoning_content" in left:
        left.setdefault("reasoning", left.pop("reasoning_content"))
    values |= {key: left.pop(key) for key in _PLAIN_FIELDS if key in left}
    return message(ChatMessage, values | {"extra": left or None})


def parts_from(given: Any) -> list[ContentPart]:
    """Returns the parts of a message's content, given as one part or several."""
    alone = not isinstance(given, Iterable) or isinstance(given, str | Mapping)
    return [part_from(part) for part in ((given,) if alone else given)]


def part_from(given: Any) -> ContentPart:
    """Returns a content part, given as a text, a message, or in OpenAI's JSON form.

    Raises:
        TypeError: the part has none of these forms, or a value has the wrong type.
        ValueError: the part lacks its type, or the key that its type requires.
    """
    if isinstance(given, ContentPart):
        return given
    if isinstance(given, str):
        return ContentPart(text=given)
    if not isinstance(given, Mapping):
        raise TypeError(f"{given!r} is not a valid part of a message")
    kind = given.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"a part of a message needs a type: {given!r}")
    if kind not in _PARTS:
        return message(ContentPart, {"other": {**given}})
    if kind not in given:
        raise ValueError(f"a part of type {kind!r} needs the key {kind!r}")
    return message(ContentPart, {**_PARTS[kind](given), "uuid": given.get("uuid")})


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "text": lambda part: {"text": part["text"]},
    "refusal": lambda part: {"refusal": part["refusal"]},
    "thinking": lambda part: {
        "thinking": Thinking(text=part["thinking"], closed=part.get("closed"))
    },
    "image_url": lambda part: {"image": _by_url(part["image_url"])},
    "audio_url": lambda part: {"audio": _by_url(part["audio_url"])},
    "video_url": lambda part: {"video": _by_url(part["video_url"])},
    "input_audio": lambda part: {"audio": _audio(**part["input_audio"])},
}


def _by_url(given: str | Mapping[str, str] | None) -> Media:
    return message(Media, {"url": given} if isinstance(given, str) else given or {})


def _audio(data: str, format: str) -> Media:
    return Media(data=b64decode(data, validate=True), mime_type=f"audio/{format}")


def _tool_call(given: Any) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"{given!r} is not a valid tool call")
    if "function" not in given:
        return message(ToolCall, {"id": given.get("id"), "other": given})
    function = dict(given["function"])
    if isinstance(arguments := function.get("arguments"), Mapping):
        function["arguments"] = json.dumps(arguments, ensure_ascii=False)
    called = message(FunctionCall, function)
    return message(ToolCall, {"id": given.get("id"), "function": called})
