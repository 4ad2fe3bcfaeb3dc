"""Conversion of the input of a response to the messages of a chat."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.v1 import message_pb2, response_pb2
from penstock_server.convert import extra, message
from penstock_server.convert.errors import invalid, unsupported

JsonObject = dict[str, Any]

NEEDS_NATIVE = "is supported only through the upstream's own Responses API"
ROLES: Mapping[message_pb2.Role.ValueType, str] = {
    role: message.ROLES[role]
    for role in (
        message_pb2.ROLE_SYSTEM,
        message_pb2.ROLE_DEVELOPER,
        message_pb2.ROLE_USER,
        message_pb2.ROLE_ASSISTANT,
    )
}
UNFINISHED = (response_pb2.RESPONSE_STATUS_IN_PROGRESS, response_pb2.RESPONSE_STATUS_INCOMPLETE)

_MESSAGE_KEYS = frozenset(
    {
        "role",
        "content",
        "tool_calls",
        "tool_call_id",
        "reasoning",
        "reasoning_content",
        "refusal",
        "type",
        "id",
        "status",
    }
)
_CALL_KEYS = frozenset({"id", "type", "function", "index", "call_id", "name", "arguments"})


def messages(request: response_pb2.CreateResponseRequest) -> list[JsonObject]:
    """Returns the conversation of a request.

    Consecutive items of the model become one message with reasoning, text and calls.

    Raises:
        InvalidRequest: an item is faulty.
        UnsupportedRequest: an item cannot be represented in a chat.
    """
    conversation = _Conversation()
    if request.instructions:
        conversation.add({"role": "system", "content": request.instructions})
    if request.input_text:
        conversation.add({"role": "user", "content": request.input_text})
    for index, item in enumerate(request.input):
        _add_item(conversation, item, f"input[{index}]")
    return conversation.messages


def continues(request: response_pb2.CreateResponseRequest) -> bool:
    """Returns whether the input ends with an unfinished message of the model, to be continued."""
    if not request.input or request.input[-1].WhichOneof("item") != "message":
        return False
    last = request.input[-1]
    return last.message.role == message_pb2.ROLE_ASSISTANT and last.status in UNFINISHED


def role(item: response_pb2.MessageItem, path: str) -> str:
    """Returns the name of a message's role.

    Raises:
        InvalidRequest: a message of a response cannot have the role.
    """
    if item.role not in ROLES:
        raise invalid(f"{path}.role", "must be system, developer, user or assistant")
    return ROLES[item.role]


def require(value: str, path: str) -> str:
    """Returns a text unchanged.

    Raises:
        InvalidRequest: the text is empty.
    """
    if not value:
        raise invalid(path, "must not be empty")
    return value


class _Conversation:
    """Messages; the last one may be a message of the model that is still being built."""

    def __init__(self) -> None:
        self.messages: list[JsonObject] = []
        self._unfinished: JsonObject | None = None

    def add(self, body: JsonObject) -> None:
        """Adds a complete message."""
        self.messages.append(body)
        self._unfinished = None

    def add_reasoning(self, text: str) -> JsonObject:
        """Adds reasoning, which precedes the model's next text or call; returns the message."""
        if self._has_text_only():
            self._unfinished = None
        body = self._open()
        body["reasoning"] = "\n".join(filter(None, (body.get("reasoning"), text)))
        return body

    def add_text(self, content: Any) -> JsonObject:
        """Adds text of the model; returns the message."""
        if self._has_text_only():
            self._unfinished = None
        body = self._open()
        before = body["content"]
        body["content"] = content if before is None else [*_parts(before), *_parts(content)]
        return body

    def add_call(self, call: JsonObject) -> None:
        """Adds a call by the model."""
        self._open().setdefault("tool_calls", []).append(call)

    def _has_text_only(self) -> bool:
        """Returns whether the open message has text and no call.

        The result of a call must follow its message directly.
        """
        body = self._unfinished
        return body is not None and body["content"] is not None and "tool_calls" not in body

    def _open(self) -> JsonObject:
        if self._unfinished is None:
            self._unfinished = {"role": "assistant", "content": None}
            self.messages.append(self._unfinished)
        return self._unfinished


def _parts(content: Any) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _add_item(conversation: _Conversation, item: response_pb2.ResponseItem, path: str) -> None:
    match item.WhichOneof("item"):
        case "message":
            _add_message(conversation, item, path)
        case "function_call":
            call = _call(item.function_call, f"{path}.function_call")
            extra.add(item, call, path, _CALL_KEYS, inner="function")
            conversation.add_call(call)
        case "function_call_output":
            result = _call_output(item.function_call_output, f"{path}.function_call_output")
            extra.add(item, result, path, _MESSAGE_KEYS)
            conversation.add(result)
        case "reasoning":
            text = _reasoning(item.reasoning, f"{path}.reasoning")
            extra.add(item, conversation.add_reasoning(text), path, _MESSAGE_KEYS)
        case "other":
            raise unsupported(f"{path}.other", NEEDS_NATIVE)
        case None:
            raise invalid(path, "the item is empty")


def _add_message(conversation: _Conversation, item: response_pb2.ResponseItem, path: str) -> None:
    inner = f"{path}.message"
    name = role(item.message, inner)
    if item.message.phase:
        raise unsupported(f"{inner}.phase", NEEDS_NATIVE)
    if not item.message.content:
        raise invalid(f"{inner}.content", "must contain at least one part")
    content = _content(item.message.content, f"{inner}.content")
    if item.message.role == message_pb2.ROLE_ASSISTANT:
        body = conversation.add_text(content)
    else:
        body = {"role": name, "content": content}
        conversation.add(body)
    extra.add(item, body, path, _MESSAGE_KEYS)


def _call(item: response_pb2.FunctionCallItem, path: str) -> JsonObject:
    name = require(item.name, f"{path}.name")
    function = {"name": name, "arguments": item.arguments}
    return {
        "id": require(item.call_id, f"{path}.call_id"),
        "type": "function",
        "function": function,
    }


def _call_output(item: response_pb2.FunctionCallOutputItem, path: str) -> JsonObject:
    content = _content(item.output, f"{path}.output") if item.output else ""
    call_id = require(item.call_id, f"{path}.call_id")
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _reasoning(item: response_pb2.ReasoningItem, path: str) -> str:
    if item.encrypted_content:
        raise unsupported(f"{path}.encrypted_content", NEEDS_NATIVE)
    if item.content and item.summary:
        raise unsupported(f"{path}.summary", f"together with content, it {NEEDS_NATIVE}")
    return "\n".join(item.content or item.summary)


def _content(parts: Sequence[response_pb2.ResponseContentPart], path: str) -> Any:
    converted = list(_chat_parts(parts, path))
    if len(converted) == 1 and converted[0].keys() == {"type", "text"}:
        return converted[0]["text"]
    return converted


def _chat_parts(
    parts: Iterable[response_pb2.ResponseContentPart], path: str
) -> Iterable[JsonObject]:
    for index, part in enumerate(parts):
        place = f"{path}[{index}]"
        body = message.content_part(_chat_part(part, place), place)
        extra.add(part, body, place, frozenset({*body, "annotations", "logprobs"}))
        yield body


def _chat_part(part: response_pb2.ResponseContentPart, path: str) -> message_pb2.ContentPart:
    if part.annotations:
        raise unsupported(f"{path}.annotations", NEEDS_NATIVE)
    match part.WhichOneof("part"):
        case "text":
            return message_pb2.ContentPart(text=part.text)
        case "image":
            return message_pb2.ContentPart(image=part.image)
        case "audio":
            return message_pb2.ContentPart(audio=part.audio)
        case "video":
            return message_pb2.ContentPart(video=part.video)
        case "refusal":
            return message_pb2.ContentPart(refusal=part.refusal)
        case "reasoning":
            raise invalid(f"{path}.reasoning", "must be a separate item, not a part")
        case "other":
            raise unsupported(f"{path}.other", NEEDS_NATIVE)
    raise invalid(path, "the part is empty")
