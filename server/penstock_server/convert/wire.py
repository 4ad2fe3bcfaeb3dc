"""Answers whose largest fields are written in protobuf's wire form, without messages for them.

A message would be filled with a copy of each vector, and serializing it would copy them again.
"""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_LENGTH_DELIMITED = 2


def with_fields(message: M, fields: Iterable[bytes]) -> M:
    """Returns a message that can only be read without these fields, and serialized with them.

    Args:
        message: the other fields.
        fields: the fields in wire form, which follow the others.
    """
    return cast(M, _Extended(message, tuple(fields)))


class _Extended:
    """A message with more fields; it has the attributes of the message."""

    def __init__(self, message: Message, fields: tuple[bytes, ...]) -> None:
        self._message = message
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def SerializeToString(self) -> bytes:
        return b"".join((self._message.SerializeToString(), *self._fields))


def head(field: int, size: int) -> bytes:
    """Returns the beginning of a field that has a length; the field's number is below 16."""
    return bytes((field << 3 | _LENGTH_DELIMITED,)) + _varint(size)


def integer(field: int, value: int) -> bytes:
    """Returns an integer field, which is empty for 0; the field's number is below 16."""
    return bytes((field << 3,)) + _varint(value) if value else b""


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
