"""Conversations as items of the Responses form."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from penstock.messages import user
from penstock.v1.message_pb2 import ROLE_ASSISTANT, ROLE_TOOL, ChatMessage, ContentPart
from penstock.v1.response_pb2 import (
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
    ReasoningItem,
    ResponseContentPart,
    ResponseItem,
)

Input: TypeAlias = str | ChatMessage | Iterable[str | ChatMessage | ResponseItem]
"""A text that the user says, messages of the builders, or items, such as those of an answer."""


def as_items(given: Input) -> list[ResponseItem]:
    """Returns the items of a conversation.

    Raises:
        ValueError: a message has a part that items do not have.
    """
    parts = (given,) if isinstance(given, str | ChatMessage) else given
    return [item for part in parts for item in _items(part)]


def _items(given: str | ChatMessage | ResponseItem) -> Iterator[ResponseItem]:
    if isinstance(given, ResponseItem):
        yield given
    elif isinstance(given, str):
        yield from _items(user(given))
    elif given.role == ROLE_TOOL:
        output = FunctionCallOutputItem(call_id=given.tool_call_id, output=_parts(given))
        yield ResponseItem(function_call_output=output)
    else:
        yield from _message_items(given)


def _message_items(message: ChatMessage) -> Iterator[ResponseItem]:
    if message.role == ROLE_ASSISTANT and message.reasoning:
        yield ResponseItem(reasoning=ReasoningItem(content=[message.reasoning]))
    if message.content:
        yield ResponseItem(message=MessageItem(role=message.role, content=_parts(message)))
    for call in message.tool_calls:
        function = call.function
        yield ResponseItem(
            function_call=FunctionCallItem(
                call_id=call.id, name=function.name, arguments=function.arguments
            )
        )


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
            raise ValueError(f"a part of the kind {kind} cannot be in the input of a response")
