"""Builders of messages and their parts.

    >>> conversation = [system("You are a helpful assistant."), user("Say hello.")]
    >>> client.chat.create(conversation).text
    'Hello! How can I help you today?'

They return the messages of `penstock.v1`, which the generated stubs take as well.
"""

import mimetypes
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from penstock.v1.message_pb2 import (
    ROLE_ASSISTANT,
    ROLE_DEVELOPER,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    ChatMessage,
    ContentPart,
    Media,
    Role,
)
from penstock.v1.message_pb2 import ToolCall as ToolCallProto

if TYPE_CHECKING:
    from penstock.tools import ToolCall

Part: TypeAlias = str | ContentPart
MediaSource: TypeAlias = str | bytes | os.PathLike[str]
Messages: TypeAlias = str | ChatMessage | Iterable[str | ChatMessage]
"""A conversation; a plain text is what the user says."""

_URLS = ("http://", "https://", "data:", "file:")
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ID3", 0, "audio/mpeg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
)


def system(*parts: Part) -> ChatMessage:
    """Returns instructions that come before the conversation."""
    return _message(ROLE_SYSTEM, parts)


def developer(*parts: Part) -> ChatMessage:
    """Returns instructions of the application, for models that tell them from the system's."""
    return _message(ROLE_DEVELOPER, parts)


def user(*parts: Part) -> ChatMessage:
    """Returns what the user says: texts, images, sounds, videos.

    >>> user("What is this?", image("https://example.com/cat.png")).content[1].image.url
    'https://example.com/cat.png'
    """
    return _message(ROLE_USER, parts)


def assistant(*parts: Part, tool_calls: Sequence["ToolCall | ToolCallProto"] = ()) -> ChatMessage:
    """Returns what the model said. `ChatCompletion.message` is one already."""
    message = _message(ROLE_ASSISTANT, parts)
    message.tool_calls.extend(
        call if isinstance(call, ToolCallProto) else call.proto for call in tool_calls
    )
    return message


def tool_result(call: "ToolCall | str", content: Part) -> ChatMessage:
    """Returns the result of a tool call.

    Args:
        call: the call, or its id.
        content: the result.
    """
    message = _message(ROLE_TOOL, (content,))
    message.tool_call_id = call if isinstance(call, str) else call.id
    return message


def image(source: MediaSource, *, mime_type: str = "", detail: str = "") -> ContentPart:
    """Returns an image as part of a message.

    Args:
        source: the content, a URL (http, https, data, file) that the upstream reads, or the path
            of a file that is sent.
        mime_type: media type, as "image/png"; found out from content or name if not given.
        detail: "auto", "low" or "high".

    Raises:
        OSError: the file cannot be read.
        ValueError: the media type cannot be found out.
    """
    made = _media(source, mime_type)
    made.detail = detail
    return ContentPart(image=made)


def audio(source: MediaSource, *, mime_type: str = "") -> ContentPart:
    """Returns a sound as part of a message; see `image`."""
    return ContentPart(audio=_media(source, mime_type))


def video(source: MediaSource, *, mime_type: str = "") -> ContentPart:
    """Returns a video as part of a message; see `image`."""
    return ContentPart(video=_media(source, mime_type))


def conversation(messages: Messages) -> list[ChatMessage]:
    """Returns a conversation as a list of messages."""
    if isinstance(messages, str | ChatMessage):
        messages = (messages,)
    return [user(one) if isinstance(one, str) else one for one in messages]


def text_of(message: ChatMessage) -> str:
    """Returns the text of a message, its parts joined."""
    return "".join(part.text for part in message.content)


def _message(role: Role.ValueType, parts: Iterable[Part]) -> ChatMessage:
    content = (ContentPart(text=part) if isinstance(part, str) else part for part in parts)
    return ChatMessage(role=role, content=content)


def _media(source: MediaSource, mime_type: str) -> Media:
    if isinstance(source, str) and source.startswith(_URLS):
        return Media(url=source)
    if isinstance(source, bytes):
        data, guessed = source, None
    else:
        data, guessed = Path(source).read_bytes(), mimetypes.guess_type(source)[0]
    return Media(data=data, mime_type=mime_type or guessed or _sniffed(data))


def _sniffed(data: bytes) -> str:
    for magic, offset, mime_type in _MAGIC:
        if data.startswith(magic, offset):
            return mime_type
    raise ValueError("the media type of the content is not known; give mime_type")
