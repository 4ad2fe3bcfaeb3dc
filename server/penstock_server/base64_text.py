"""Base64 of long data in JSON, encoded and sent in pieces.

Each step on the data holds the interpreter's lock, so other calls wait for its end. A picture of
30 MiB as one text would take steps of 50 ms; base64 needs no escaping in JSON, so it can be put
between the pieces of the rest.
"""

from collections.abc import Mapping, Sequence
from random import SystemRandom
from typing import Any

import orjson
from pybase64 import b64encode, b64encode_as_string

# A multiple of 3, so that the base64 of all pieces is that of the whole.
PIECE_BYTES = 3 * 512 * 1024
"""The most data that is encoded in one step."""

# No text of a caller can be equal to it.
_PLACE = f"{SystemRandom().getrandbits(128):032x}"


class LongBase64:
    """The JSON text with the base64 of long data.

    Attributes:
        pieces: its JSON, quotes included, in pieces.
    """

    def __init__(self, prefix: str, data: bytes) -> None:
        """Encodes the data.

        Args:
            prefix: the beginning of the text.
            data: the data.
        """
        self._prefix = prefix
        self.pieces = [orjson.dumps(prefix)[:-1]]
        whole = memoryview(data)
        for start in range(0, len(data), PIECE_BYTES):
            self.pieces.append(b64encode(whole[start : start + PIECE_BYTES]))
        self.pieces.append(b'"')

    def beginning(self, length: int) -> str:
        """Returns a number of characters from the beginning of the text."""
        return self._prefix[:length] + self.pieces[1][: max(0, length - len(self._prefix))].decode()


def base64_text(data: bytes, prefix: str = "") -> str | LongBase64:
    """Returns the base64 of data, after a prefix, for a JSON document."""
    if len(data) <= PIECE_BYTES:
        return prefix + b64encode_as_string(data)
    return LongBase64(prefix, data)


def dumped(document: Mapping[str, Any]) -> Sequence[bytes]:
    """Returns the JSON of a document that may contain `LongBase64`, in pieces."""
    try:
        written = orjson.dumps(document)
    except TypeError:
        return _spliced(document)
    # orjson reserves several times as much memory for a text, as long as the text exists.
    return (bytes(memoryview(written)),)


def _spliced(document: Mapping[str, Any]) -> Sequence[bytes]:
    """Returns the JSON of a document with `LongBase64` in its places.

    Raises:
        TypeError: something else in it cannot be represented in JSON.
    """
    long: list[LongBase64] = []

    def keep(value: Any) -> str:
        if not isinstance(value, LongBase64):
            raise TypeError(f"{type(value).__name__} cannot be represented in JSON")
        long.append(value)
        return _PLACE

    first, *others = orjson.dumps(document, default=keep).split(f'"{_PLACE}"'.encode())
    pieces = [first]
    for value, rest in zip(long, others, strict=True):
        pieces += [*value.pieces, rest]
    return pieces
