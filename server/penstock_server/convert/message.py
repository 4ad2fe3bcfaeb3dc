"""Conversations: messages, content parts, tools and response formats, both ways."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from penstock.v1 import common_pb2, message_pb2
from penstock_server.base64_text import LongBase64, base64_text
from penstock_server.convert import document, extra, tool_calls
from penstock_server.convert.errors import invalid
from penstock_server.convert.option_messages import known, scalars

JsonObject = dict[str, Any]

ROLES: Mapping[message_pb2.Role.ValueType, str] = {
    message_pb2.ROLE_SYSTEM: "system",
    message_pb2.ROLE_DEVELOPER: "developer",
    message_pb2.ROLE_USER: "user",
    message_pb2.ROLE_ASSISTANT: "assistant",
    message_pb2.ROLE_TOOL: "tool",
}
# As long as it is kept, every list of fields has this same object.
_CONTENT = message_pb2.ChatMessage.DESCRIPTOR.fields_by_name["content"]
_ROLES_BY_NAME = {name: role for role, name in ROLES.items()}
_TOOL_MODES = {
    message_pb2.ToolChoice.MODE_AUTO: "auto",
    message_pb2.ToolChoice.MODE_NONE: "none",
    message_pb2.ToolChoice.MODE_REQUIRED: "required",
}
GENERATED_KEYS = frozenset(
    {"role", "content", "reasoning", "reasoning_content", "refusal", "tool_calls"}
)
"""Keys of messages that models generate."""
_SENT_KEYS = GENERATED_KEYS | {"annotations", "audio", "function_call"}
_LABELS = ("name", "tool_call_id", "task")
_LABEL_KEYS = frozenset(_LABELS)
_MESSAGE_KEYS = GENERATED_KEYS | _LABEL_KEYS | {"tools"}
_FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict", "defer_loading"})
_TYPED_PARTS = frozenset(
    {
        "text",
        "image_url",
        "input_audio",
        "audio_url",
        "video_url",
        "refusal",
        "thinking",
    }
)
_DETAILS = {
    message_pb2.IMAGE_DETAIL_AUTO: "auto",
    message_pb2.IMAGE_DETAIL_LOW: "low",
    message_pb2.IMAGE_DETAIL_HIGH: "high",
    message_pb2.IMAGE_DETAIL_ORIGINAL: "original",
}
# Names of the API's audio formats, by the subtype of the media type.
_AUDIO_FORMATS = {
    **dict.fromkeys(("mp3", "mpeg", "mpeg3", "x-mp3", "x-mpeg", "x-mpeg-3"), "mp3"),
    **dict.fromkeys(("wav", "wave", "x-wav", "x-pn-wav", "vnd.wave"), "wav"),
}
_STRUCTURAL_TAG = "structural_tag"
_URL_SCHEMES = ("http", "https", "data", "file")
# Long enough for scheme and host. `urlsplit` caches its arguments, and a data URI may be huge.
_URL_HEAD = 2048


def messages(items: Iterable[message_pb2.ChatMessage], path: str = "messages") -> list[JsonObject]:
    """Returns the JSON of the messages of a conversation.

    Raises:
        InvalidRequest: there is no message, or one is faulty.
    """
    converted = [
        _plain(item) or message(item, f"{path}[{number}]") for number, item in enumerate(items)
    ]
    if not converted:
        raise invalid(path, "must contain at least one message")
    return converted


def _plain(item: message_pb2.ChatMessage) -> JsonObject | None:
    """Returns the JSON of a message with a role and one text, as nearly all are; else None."""
    fields = item.ListFields()
    if len(fields) != 2:
        return None
    # In the order of their numbers: only the role comes before the content.
    (_, role), (second, content) = fields
    if second is not _CONTENT or role not in ROLES or len(content) != 1:
        return None
    part = content[0]
    text = part.text
    return {"role": ROLES[role], "content": text} if text and not part.uuid else None


def message(item: message_pb2.ChatMessage, path: str) -> JsonObject:
    """Returns the JSON of one message.

    Raises:
        InvalidRequest: the role is missing or unknown, or a part is faulty.
    """
    content = _content(item.content, path)
    body: JsonObject = {"role": ROLES.get(item.role), "content": content}
    if not body["role"] or len(item.ListFields()) > (1 if content is None else 2):
        _add_rest(body, item, path)
    return body


def _add_rest(body: JsonObject, item: message_pb2.ChatMessage, path: str) -> None:
    """Adds the fields that few messages have."""
    body["role"] = _role(item, path)
    for name in _LABELS:
        if value := getattr(item, name):
            body[name] = value
    if item.HasField("reasoning"):
        body["reasoning"] = item.reasoning
    if item.HasField("refusal"):
        body["refusal"] = item.refusal
    if item.tool_calls:
        calls = enumerate(item.tool_calls)
        body["tool_calls"] = [_tool_call(call, f"{path}.tool_calls[{i}]") for i, call in calls]
    if item.tools:
        body["tools"] = tools(item.tools, f"{path}.tools")
    extra.add(item, body, path, _MESSAGE_KEYS)


def content_part(part: message_pb2.ContentPart, path: str) -> JsonObject:
    """Returns the JSON of one content part.

    Raises:
        InvalidRequest: it is empty or faulty.
    """
    body = _part_body(part, path)
    if part.uuid:
        body["uuid"] = part.uuid
    return body


def tools(items: Iterable[message_pb2.Tool], path: str = "tools") -> list[JsonObject]:
    """Returns the JSON of tool definitions.

    Raises:
        InvalidRequest: a tool is empty or a function has no name.
    """
    return [_tool(tool, f"{path}[{i}]") for i, tool in enumerate(items)]


def tool_choice(choice: message_pb2.ToolChoice, path: str = "tool_choice") -> Any:
    """Returns the JSON of a tool choice.

    Raises:
        InvalidRequest: the choice is empty, or the mode is unknown.
    """
    match choice.WhichOneof("choice"):
        case "mode" if choice.mode in _TOOL_MODES:
            return _TOOL_MODES[choice.mode]
        case "mode":
            raise invalid(f"{path}.mode", "is not a known value")
        case "function_name":
            return {"type": "function", "function": {"name": choice.function_name}}
        case "other":
            return document.from_document(choice.other, f"{path}.other")
    raise invalid(path, "set mode, function_name or other")


def response_format(form: message_pb2.ResponseFormat, path: str = "response_format") -> Any:
    """Returns the JSON of a response format.

    Raises:
        InvalidRequest: there is no format, or its schema is faulty.
    """
    match form.WhichOneof("format"):
        case "text":
            return {"type": "text"}
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return {
                "type": "json_schema",
                "json_schema": _json_schema(form.json_schema, f"{path}.json_schema"),
            }
        case "structural_tag":
            return _structural_tag(form.structural_tag, f"{path}.structural_tag")
    raise invalid(path, "set text, json_object, json_schema or structural_tag")


def fill_message(target: message_pb2.ChatMessage, data: Mapping[str, Any]) -> None:
    """Writes a message of an answer."""
    target.role, custom_role = role_of(data.get("role") or "assistant")
    if custom_role:
        target.custom_role = custom_role
    if content := data.get("content"):
        target.content.add(text=content if type(content) is str else text_of(content))
    if (reasoning := reasoning_of(data)) is not None:
        target.reasoning = reasoning
        if other := other_reasoning(data, reasoning):
            document.add(target.extra, other)
    if (refusal := data.get("refusal")) is not None:
        target.refusal = refusal
    for call in data.get("tool_calls") or ():
        if call is not None:
            _fill_tool_call(target.tool_calls.add(), call)
    if not GENERATED_KEYS.issuperset(data) and not _has_only_nulls(data):
        _fill_rest(target, extra.unknown(data, GENERATED_KEYS))


def _has_only_nulls(data: Mapping[str, Any]) -> bool:
    """Returns whether the other keys are those that vLLM sends with every message, without values.

    That is faster than to look at every key.
    """
    if not _SENT_KEYS.issuperset(data):
        return False
    return data.get("annotations") is data.get("audio") is data.get("function_call") is None


def _fill_rest(target: message_pb2.ChatMessage, data: Mapping[str, Any]) -> None:
    """Writes the fields that models do not produce."""
    if data:
        for name in _LABELS:
            extra.fill(target, name, data, extra.text)
        extra.keep(target, data, _LABEL_KEYS)


def role_of(name: str) -> tuple[message_pb2.Role.ValueType, str]:
    """Returns the role with a name; for a custom role, also the name."""
    role = _ROLES_BY_NAME.get(name)
    return (message_pb2.ROLE_CUSTOM, name) if role is None else (role, "")


def reasoning_of(data: Mapping[str, Any]) -> str | None:
    """Returns the reasoning, which older vLLMs send as `reasoning_content` and some send twice."""
    reasoning: str | None = data.get("reasoning")
    if reasoning:
        return reasoning
    other: str | None = data.get("reasoning_content")
    return reasoning if other is None else other


def other_reasoning(data: Mapping[str, Any], reasoning: str) -> dict[str, Any]:
    """Returns the second reasoning text, with its key, if it differs from the first."""
    other = data.get("reasoning_content")
    return {"reasoning_content": other} if other and other != reasoning else {}


def text_of(content: Any) -> Any:
    """Returns the content of an answer as one text; some servers send it as text parts.

    Raises:
        TypeError: a part is not a text.
    """
    if not isinstance(content, list):
        return content
    parts = [part for part in content if part is not None]
    if any(part.get("type") != "text" for part in parts):
        raise TypeError("a part is not a text")
    return "".join(part["text"] for part in parts)


def _role(item: message_pb2.ChatMessage, path: str) -> str:
    if item.role == message_pb2.ROLE_CUSTOM:
        if not item.custom_role:
            raise invalid(f"{path}.custom_role", "must be set with ROLE_CUSTOM")
        return item.custom_role
    if item.custom_role:
        raise invalid(f"{path}.custom_role", "must be set with ROLE_CUSTOM only")
    if item.role not in ROLES:
        raise invalid(f"{path}.role", "is not a known value" if item.role else "must be set")
    return ROLES[item.role]


def _content(content: Sequence[message_pb2.ContentPart], path: str) -> Any:
    if not content:
        return None
    if len(content) == 1:
        part = content[0]
        text = part.text
        if not part.uuid and (text or part.WhichOneof("part") == "text"):
            return text
    return [content_part(part, f"{path}.content[{i}]") for i, part in enumerate(content)]


def _part_body(part: message_pb2.ContentPart, path: str) -> JsonObject:
    match part.WhichOneof("part"):
        case "text":
            return {"type": "text", "text": part.text}
        case "refusal":
            return {"type": "refusal", "refusal": part.refusal}
        case "thinking":
            body = scalars(part.thinking, f"{path}.thinking")
            return {"type": "thinking", "thinking": body.pop("text", ""), **body}
        case "image":
            return _by_url("image_url", part.image, f"{path}.image", part.uuid)
        case "video":
            _require_no_detail(part.video, f"{path}.video")
            return _by_url("video_url", part.video, f"{path}.video", part.uuid)
        case "audio":
            _require_no_detail(part.audio, f"{path}.audio")
            return _audio(part.audio, f"{path}.audio", part.uuid)
        case "other":
            return _other_part(document.members(part.other, f"{path}.other"), path)
    raise invalid(path, "the part is empty")


def _other_part(body: JsonObject, path: str) -> JsonObject:
    kind = body.get("type")
    if not isinstance(kind, str) or not kind:
        raise invalid(f"{path}.other.type", "must name the type of the part")
    if kind in _TYPED_PARTS:
        raise invalid(f"{path}.other.type", f"{kind} has its own field; use that")
    return body


def _by_url(kind: str, media: message_pb2.Media, path: str, uuid: str) -> JsonObject:
    url = media_url(media, path, uuid)
    if url is None:
        return {"type": kind, kind: None}
    if not media.detail:
        return {"type": kind, kind: {"url": url}}
    detail = known(_DETAILS.get(media.detail), f"{path}.detail")
    return {"type": kind, kind: {"url": url, "detail": detail}}


def _require_no_detail(media: message_pb2.Media, path: str) -> None:
    if media.detail:
        raise invalid(f"{path}.detail", "applies to images only")


def _audio(media: message_pb2.Media, path: str, uuid: str) -> JsonObject:
    if media.WhichOneof("source") != "data":
        return _by_url("audio_url", media, path, uuid)
    data = _data(media, path)
    kind, _, form = _mime_type(media, path).partition("/")
    if kind != "audio" or not form:
        raise invalid(f"{path}.mime_type", 'must be an audio type, such as "audio/wav"')
    if form not in _AUDIO_FORMATS:
        return _by_url("audio_url", media, path, uuid)
    audio = {"data": base64_text(data), "format": _AUDIO_FORMATS[form]}
    return {"type": "input_audio", "input_audio": audio}


def media_url(media: message_pb2.Media, path: str, uuid: str) -> str | LongBase64 | None:
    """Returns the URL of media, which contains the data if there is no other URL.

    None stands for media that only `uuid` names.

    Raises:
        InvalidRequest: the source is missing or faulty.
    """
    match media.WhichOneof("source"):
        case "url":
            return _checked_url(media.url, f"{path}.url")
        case "data":
            data = _data(media, path)
            return base64_text(data, f"data:{_mime_type(media, path)};base64,")
    if uuid:
        return None
    raise invalid(path, "set url or data")


def _data(media: message_pb2.Media, path: str) -> bytes:
    # Each access copies it.
    data = media.data
    if not data:
        raise invalid(f"{path}.data", "must not be empty")
    return data


def _mime_type(media: message_pb2.Media, path: str) -> str:
    if "/" not in media.mime_type:
        raise invalid(f"{path}.mime_type", 'must be a media type, such as "image/png"')
    # Upstreams do not understand parameters in a data URI.
    return media.mime_type.partition(";")[0].strip().lower()


def _checked_url(url: str, path: str) -> str:
    try:
        parts = urlsplit(url[:_URL_HEAD])
    except ValueError:
        raise invalid(path, "is not a valid URL") from None
    if parts.scheme not in _URL_SCHEMES:
        raise invalid(path, "must be an http, https, data or file URL")
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise invalid(path, "must have a host")
    return url


def _tool(tool: message_pb2.Tool, path: str) -> Any:
    match tool.WhichOneof("tool"):
        case "function":
            return {"type": "function", "function": _function(tool.function, f"{path}.function")}
        case "other":
            return document.from_document(tool.other, f"{path}.other")
    raise invalid(path, "the tool is empty")


def _function(function: message_pb2.FunctionDefinition, path: str) -> JsonObject:
    if not function.name:
        raise invalid(f"{path}.name", "must not be empty")
    body = scalars(function, path, skip=("extra", "parameters"))
    if function.HasField("parameters"):
        body["parameters"] = document.from_document(function.parameters, f"{path}.parameters")
    extra.add(function, body, path, _FUNCTION_KEYS)
    return body


def _json_schema(form: message_pb2.JsonSchemaFormat, path: str) -> JsonObject:
    if not form.name:
        raise invalid(f"{path}.name", "must not be empty")
    schema = document.from_document(form.schema, f"{path}.schema")
    return scalars(form, path, skip=("schema",)) | {"schema": schema}


def _structural_tag(tag: common_pb2.JsonDocument, path: str) -> Any:
    body = document.members(tag, path)
    if body.get("type", _STRUCTURAL_TAG) != _STRUCTURAL_TAG:
        raise invalid(f"{path}.type", f"must be {_STRUCTURAL_TAG}")
    if tag.WhichOneof("document") == "object":
        return {"type": _STRUCTURAL_TAG, **body}
    text = tag.json
    if "type" not in body:
        # Inserted at the beginning; the rest stays as the caller wrote it.
        rest = text.lstrip()[1:]
        text = f'{{"type":"{_STRUCTURAL_TAG}"{"," if body else ""}{rest}'
    return orjson.Fragment(text)


def _tool_call(call: message_pb2.ToolCall, path: str) -> Any:
    match call.WhichOneof("call"):
        case "function":
            function = {"name": call.function.name, "arguments": call.function.arguments}
            body = {"id": call.id, "type": "function", "function": function}
            extra.add(call, body, path, tool_calls.KEYS, inner="function")
            return body
        case "other":
            return document.from_document(call.other, f"{path}.other")
    raise invalid(path, "the call is empty")


def _fill_tool_call(target: message_pb2.ToolCall, call: Mapping[str, Any]) -> None:
    target.id = extra.text(call.get("id") or "")
    function = call.get("function")
    if function is None:
        target.other.CopyFrom(document.to_document(call))
        return
    target.function.name = extra.text(function.get("name") or "")
    target.function.arguments = tool_calls.arguments_text(function.get("arguments"))
    tool_calls.keep_unknown(target, call)
