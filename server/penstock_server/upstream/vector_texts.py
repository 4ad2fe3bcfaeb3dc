"""Answers with vectors in base64: everything but these texts is parsed as JSON.

The texts are nearly the whole answer. A JSON parser checks each of their characters and copies them
twice, which costs several times as much as decoding them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from penstock_server.upstream.merging import JsonObject

_VECTOR = "embedding"
_QUOTE = b'"'
# The key with the beginning of its text, without and with a space.
_KEYS = (b'"embedding":"', b'"embedding": "')
# The longest distance of a text from the beginning of the answer, or from the text before it.
_NEAR_BYTES = 1024


class Text(NamedTuple):
    """The place of a text in an answer, without its quotes.

    Attributes:
        start: the offset of its first byte, which represents the text where the rest is parsed.
        end: the offset of the quote that ends it.
    """

    start: int
    end: int


def find(body: bytes) -> Sequence[Text]:
    """Returns the places of the texts in an answer; none if it has another form.

    Without a backslash in the answer, every quote begins or ends a text.
    """
    key = next((key for key in _KEYS if body.find(key, 0, _NEAR_BYTES) >= 0), None)
    if key is None or body.find(b"\\") >= 0:
        return ()
    texts: list[Text] = []
    end = 0
    while (found := body.find(key, end, end + _NEAR_BYTES)) >= 0:
        start = found + len(key)
        end = body.find(_QUOTE, start)
        if end < 0:
            return ()
        texts.append(Text(start, end))
    return texts


def without(body: bytes, texts: Sequence[Text]) -> bytes:
    """Returns the answer with the offset of each text instead of the text."""
    parts: list[bytes] = []
    end = 0
    for text in texts:
        parts += body[end : text.start - 1], b"%d" % text.start
        end = text.end + 1
    return b"".join((*parts, body[end:]))


def restore(answer: JsonObject, body: bytes, texts: Sequence[Text]) -> bool:
    """Puts the texts into the results of an answer; returns False if they are not all of these.

    Args:
        answer: the document parsed from `without`.
        body: the answer as it arrived; the texts are views of it.
        texts: the texts.
    """
    try:
        results = answer["data"]
        found = [result[_VECTOR] for result in results]
    except (LookupError, TypeError):
        return False
    if found != [text.start for text in texts]:
        return False
    view = memoryview(body)
    for result, text in zip(results, texts, strict=True):
        result[_VECTOR] = view[text.start : text.end]
    return True
