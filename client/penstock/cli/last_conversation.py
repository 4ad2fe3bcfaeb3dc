"""The last conversation, kept in a file for `penstock chat --continue`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from google.protobuf import json_format

from penstock.cli import state_folder
from penstock.cli.command import report
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest

LARGEST_BYTES = 64 * 1024 * 1024
"""Twice the largest request that a service accepts by default: base64 adds a third to media."""


class LastConversation:
    """A file that contains the messages, model and tools of a conversation, as a request in JSON.

    Args:
        path: the file; None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> CreateChatCompletionRequest | None:
        """Returns the conversation; None, after a report, if there is none that can be read."""
        if not (self._path and self._path.exists()):
            report("there is no conversation to continue; this is a new one")
            return None
        try:
            return _read(self._path)
        except (OSError, ValueError, json_format.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            report(f"cannot continue the conversation in {self._path}: {reason}; this is a new one")
            return None

    def save(self, conversation: CreateChatCompletionRequest) -> None:
        """Replaces the conversation; reports the first failure and then gives up."""
        if not self._path:
            return
        try:
            _write(self._path, _json(conversation))
        except (OSError, ValueError, json_format.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            report(f"the conversation is not kept in {self._path}: {reason}")
            self._path = None


def last_conversation() -> LastConversation:
    """Returns the file of the user; none if the user wants nothing to be kept."""
    if state_folder.keeps_nothing():
        return LastConversation(None)
    return LastConversation(state_folder.state_folder() / "conversation.json")


def _read(path: Path) -> CreateChatCompletionRequest:
    with path.open("rb") as file:
        text = file.read(LARGEST_BYTES + 1)
    if len(text) > LARGEST_BYTES:
        raise ValueError("too large")
    read = CreateChatCompletionRequest()
    json_format.Parse(text, read, ignore_unknown_fields=True)
    if not read.messages:
        raise ValueError("no messages")
    return read


def _json(conversation: CreateChatCompletionRequest) -> bytes:
    text = json_format.MessageToJson(conversation, preserving_proto_field_name=True).encode()
    if len(text) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
    return text


def _write(path: Path, content: bytes) -> None:
    state_folder.create(path.parent)
    with _replacement(path) as descriptor, open(descriptor, "wb") as file:
        file.write(content)


@contextmanager
def _replacement(path: Path) -> Iterator[int]:
    """Opens a new file that only its user can read; it replaces the file once it is complete."""
    descriptor, name = mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        yield descriptor
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
