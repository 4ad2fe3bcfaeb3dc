"""Converts between Python values and `JsonDocument`, the message for free-form JSON."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict, MessageToJson

from penstock.v1.common_pb2 import JsonDocument


class _OfMessage(Protocol):
    """A view of a message."""

    @property
    def proto(self) -> Any:
        """The message as received."""


class WithExtra:
    """Base of views of a message, which may have `extra`."""

    __slots__ = ()

    def to_dict(self: _OfMessage) -> dict[str, Any]:
        """Returns the message as a dictionary that JSON can represent.

        >>> client.chat.create("Say hello.").to_dict()["usage"]["completion_tokens"]
        10
        """
        return MessageToDict(self.proto, preserving_proto_field_name=True)

    def to_json(self: _OfMessage, *, indent: int | None = None) -> str:
        """Returns the message as JSON; by default on one line.

        The fields have the names of the protos; those that are not set are left out.

            >>> client.classify("Good.").to_json()[:8]
            '{"id": "'

        Args:
            indent: number of spaces by which nested values are indented.
        """
        return MessageToJson(
            self.proto, preserving_proto_field_name=True, indent=indent, ensure_ascii=False
        )

    @property
    def extra(self: _OfMessage) -> dict[str, Any]:
        """Upstream fields that the API has no field for, under their own keys; usually empty."""
        return members(self.proto)


def document(value: Any) -> JsonDocument:
    """Returns a value as a JSON document; preserves the order of keys.

    Raises:
        TypeError: the value cannot be represented in JSON.
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    return JsonDocument(json=text)


def value_of(document: JsonDocument) -> Any:
    """Returns the value that a document contains; None for an empty document.

    Raises:
        ValueError: the text is not valid JSON.
    """
    if document.HasField("object"):
        return MessageToDict(document.object)
    return json.loads(document.json) if document.json else None


def members(message: Any) -> dict[str, Any]:
    """Returns the `extra` of a message as a dictionary; empty if it has none."""
    extra = getattr(message, "extra", None)
    return (value_of(extra) if extra else None) or {}


def merge(target: JsonDocument, source: JsonDocument) -> None:
    """Merges the members of `source` into `target`.

    Of members of the same name, objects are merged and all other values replaced.
    """
    if not target.WhichOneof("document"):
        target.CopyFrom(source)
    else:
        # As the server writes it, so that equal objects are equal messages.
        before, after = value_of(target), value_of(source)
        both = {**before, **after}
        for name in before.keys() & after.keys():
            if isinstance(before[name], dict) and isinstance(after[name], dict):
                both[name] = {**before[name], **after[name]}
        target.json = json.dumps(both, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} cannot be represented in JSON")
