"""The places in a stream from which on a cut does not matter, by an independent reader."""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .harmless import Body
from .whole_streams import Whole

Json = Any

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")
_GZIP = 31
_TERMINAL = ("response.completed", "response.incomplete")


@dataclass(frozen=True)
class Needed:
    """Numbers of bytes of a stream's text that are needed.

    Attributes:
        said: up to the end of the last needed content.
        ended: up to the blank line after its event; more than there are if it has none.
        passed: up to the end of that line.
    """

    said: int
    ended: int
    passed: int


def needed(whole: Whole, text: bytes) -> Needed:
    """Finds the first event with which a stream has everything that was requested."""
    events: list[Json] = []
    for data, place in _events(text):
        with suppress(ValueError):
            event = json.loads(data)
            events += [event] if isinstance(event, dict) else []
        if _has_all(whole, events):
            return place
    raise AssertionError(f"{whole.name} is not whole")


def text_of(body: Body) -> bytes:
    """Returns the readable text of a body, which may be cut."""
    if not any(field.startswith("content-encoding") for field in body.fields):
        return body.data
    text, packed = b"", body.data
    while packed:
        reader = zlib.decompressobj(wbits=_GZIP)
        text += reader.decompress(packed)
        packed = reader.unused_data
    return text


def _events(text: bytes) -> Iterator[tuple[bytes, Needed]]:
    data: list[bytes] = []
    said, match = 0, None
    for match in _LINE.finditer(text):
        line = match[1].removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
            said = match.end(1)
        elif not line and data:
            yield b"\n".join(data), Needed(said, match.end(1) + 1, match.end())
            data = []
    # If the framing marks the end of the body, an event that lacks only line endings counts.
    rest = text[match.end() :].removeprefix(b"data:") if match else b""
    if data or rest:
        never = len(text) + 1
        yield b"\n".join([*data, rest]), Needed(len(text) if rest else said, never, never)


def _has_all(whole: Whole, events: Sequence[Json]) -> bool:
    if not events:
        return False
    last = events[-1]
    if whole.rpc.settings:
        return last.get("type") in _TERMINAL and last["response"]["usage"] is not None
    if last.get("usage") is None:
        return False
    choices = [choice for event in events for choice in event.get("choices") or ()]
    ends = [choice for choice in choices if choice.get("finish_reason")]
    if "Transcribe" in whole.rpc.name:
        return not last.get("choices") and bool(ends) and ends[-1] is choices[-1]
    return {_index(end) for end in ends} >= set(range(whole.choices))


def _index(choice: Json) -> int:
    return int(float(choice.get("index") or 0))
