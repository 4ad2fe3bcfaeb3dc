"""Converts conversations to items of the Responses API."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from penstock.messages import MessageLike, message_of
from penstock.v1.message_pb2 import ROLE_ASSISTANT, ROLE_TOOL, ChatMessage, ContentPart
from penstock.v1.response_pb2 import (
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
    ReasoningItem,
    ResponseContentPart,
    ResponseItem,
)

Input: TypeAlias = MessageLike | Iterable[MessageLike | ResponseItem]
"""Messages as in a chat, or items such as those of an earlier response."""


def as_items(given: Input) -> list[ResponseItem]:
    """Returns the items of a conversation.

    Raises:
        TypeError: an element is neither a message nor an item.
        ValueError: a message has a part that items do not support, or a message in OpenAI's JSON
            form lacks a key.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        given = (given,)
    return [item for one in given for item in _items(one)]


def _items(given: MessageLike | ResponseItem) -> Iterator[ResponseItem]:
    if isinstance(given, ResponseItem):
        yield given
        return
    message = message_of(given)
    if message.role == ROLE_TOOL:
        output = FunctionCallOutputItem(call_id=message.tool_call_id, output=_parts(message))
        yield ResponseItem(function_call_output=output)
    else:
        yield from _message_items(message)


def _message_items(message: ChatMessage) -> Iterator[ResponseItem]:
    if message.role == ROLE_ASSISTANT and message.reasoning:
        yield ResponseItem(reasoning=ReasoningItem(content=[message.reasoning]))
    if message.content:
        extra = message.extra if message.HasField("extra") else None
        item = MessageItem(role=message.role, content=_parts(message))
        yield ResponseItem(message=item, extra=extra)
    for call in message.tool_calls:
        function = call.function
        made = FunctionCallItem(call_id=call.id, name=function.name, arguments=function.arguments)
        yield ResponseItem(function_call=made, extra=call.extra if call.HasField("extra") else None)


def _parts(message: ChatMessage) -> list[ResponseContentPart]:
    return [_part(part) for part in message.content]


def _part(part: ContentPart) -> ResponseContentPart:
    match part.WhichOneof("part"):
        case "text":
            return ResponseContentPart(text=part.text)
        case "image":
            return ResponseContentPart(image=part.image)
        case "audio":
            return ResponseContentPart(audio=part.audio)
        case "video":
            return ResponseContentPart(video=part.video)
        case "refusal":
            return ResponseContentPart(refusal=part.refusal)
        case kind:
            raise ValueError(f"the input of a response does not support parts of type {kind}")
