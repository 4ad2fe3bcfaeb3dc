"""Builders for messages and their parts.

    >>> conversation = [system("You are a helpful assistant."), user("Say hello.")]
    >>> client.chat.create(conversation).text
    'Hello! How can I help you today?'

They return messages of `penstock.v1`, which the generated stubs accept as well. Wherever a client
accepts a conversation, it also accepts messages in OpenAI's JSON form:

    >>> client.chat.create([{"role": "user", "content": "Say hello."}]).text
    'Hello! How can I help you today?'
"""

import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from penstock._base.openai import message_from, parts_from
from penstock._base.options import message as fields_of
from penstock.tools import ToolCall
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

Part: TypeAlias = str | ContentPart | Mapping[str, Any]
"""A text, a part that `image`, `audio` or `video` returns, or a part in OpenAI's JSON form."""

MediaSource: TypeAlias = str | bytes | os.PathLike[str]
MessageLike: TypeAlias = str | ChatMessage | Mapping[str, Any]
"""A text of the user, a message that a builder returns, or a message in OpenAI's JSON form."""

Messages: TypeAlias = MessageLike | Iterable[MessageLike]
"""A conversation, or a single message."""

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
    """Returns a system message: instructions that precede the conversation.

    >>> client.chat.create([system("You are a helpful assistant."), "Say hello."]).text
    'Hello! How can I help you today?'
    """
    return _message(ROLE_SYSTEM, parts)


def developer(*parts: Part) -> ChatMessage:
    """Returns a developer message, for models that distinguish it from system messages.

    >>> client.chat.create([developer("Be brief."), "Say hello."]).finish_reason
    'stop'
    """
    return _message(ROLE_DEVELOPER, parts)


def user(*parts: Part) -> ChatMessage:
    """Returns a message of the user: texts, images, audio, video.

    >>> user("What is this?", image("https://example.com/cat.png")).content[1].image.url
    'https://example.com/cat.png'
    """
    return _message(ROLE_USER, parts)


def assistant(*parts: Part, tool_calls: Sequence[ToolCall | ToolCallProto] = ()) -> ChatMessage:
    """Returns a message of the model. `ChatCompletion.message` already is such a message.

    >>> conversation = [user("Say hello."), assistant("Hello!"), user("Once more.")]
    >>> client.chat.create(conversation).text
    'You said: Once more.'
    """
    message = _message(ROLE_ASSISTANT, parts)
    message.tool_calls.extend(
        call if isinstance(call, ToolCallProto) else call.proto for call in tool_calls
    )
    return message


def tool_result(call: ToolCall | str, content: Part) -> ChatMessage:
    """Returns the result of a tool call.

        >>> def get_weather(city: str) -> str:
        ...     return "sunny, 21C"
        >>> question = user("What is the weather in Paris?")
        >>> answer = client.chat.create([question], tools=[get_weather])
        >>> results = [tool_result(call, "sunny, 21C") for call in answer.tool_calls]
        >>> client.chat.create([question, answer.message, *results], tools=[get_weather]).text
        'It is sunny in Paris, 21 degrees.'

    Args:
        call: the tool call, or its id.
        content: the result.
    """
    message = _message(ROLE_TOOL, (content,))
    message.tool_call_id = call if isinstance(call, str) else call.id
    return message


def image(source: MediaSource, *, mime_type: str = "", detail: str = "") -> ContentPart:
    """Returns an image as a part of a message.

        >>> client.chat.create(user("What is this?", image("cat.png"))).text
        'You said: What is this? I see 1 image (image/png, 28 bytes).'

    Args:
        source: the content as bytes, a URL (http, https, data, file) that the upstream reads, or
            the path of a file to send.
        mime_type: media type, such as "image/png"; detected from content or file name if not given.
        detail: "auto", "low", "high" or "original".

    Raises:
        OSError: the file cannot be read.
        ValueError: the media type cannot be detected, or `detail` is not valid.
    """
    made = _media(source, mime_type)
    if detail:
        made.MergeFrom(fields_of(Media, {"detail": detail}))
    return ContentPart(image=made)


def audio(source: MediaSource, *, mime_type: str = "") -> ContentPart:
    """Returns audio as a part of a message; see `image`.

    >>> "32044 bytes" in client.chat.create(user("What is said?", audio("speech.wav"))).text
    True
    """
    made = _media(source, mime_type)
    if not mime_type:
        # The video containers MP4 and WebM may contain audio alone.
        made.mime_type = made.mime_type.replace("video/", "audio/")
    return ContentPart(audio=made)


def video(source: MediaSource, *, mime_type: str = "") -> ContentPart:
    """Returns a video as a part of a message; see `image`.

    >>> client.chat.create(user("What happens?", video("https://example.com/a.mp4"))).text
    'You said: What happens? I see 1 video (https://example.com/a.mp4).'
    """
    return ContentPart(video=_media(source, mime_type))


def conversation(messages: Messages) -> list[ChatMessage]:
    """Returns a conversation as a list of messages.

    Raises:
        TypeError: an item is not a valid message.
        ValueError: a message in OpenAI's JSON form has a misspelt key or lacks its role, or a part
            of it lacks a key.
    """
    if not isinstance(messages, Iterable) or isinstance(messages, str | Mapping):
        messages = (messages,)
    return [message_of(one) for one in messages]


def message_of(given: MessageLike) -> ChatMessage:
    """Returns one message of a conversation; raises the errors of `conversation`."""
    if isinstance(given, ChatMessage):
        return given
    if isinstance(given, str):
        return user(given)
    if isinstance(given, Mapping):
        return message_from(given)
    raise TypeError(
        f"{given!r} is not a valid message; use a text, a message, or a mapping with a role"
    )


def text_of(message: ChatMessage) -> str:
    """Returns the text of a message, with its parts joined."""
    return "".join(part.text for part in message.content)


def _message(role: Role.ValueType, parts: Iterable[Part]) -> ChatMessage:
    return ChatMessage(role=role, content=parts_from(parts))


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
    raise ValueError("cannot detect the media type of the content; set mime_type")
