"""The answer of a handler as data, which faults may change before it is written."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = Any
"""A JSON value."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value: the body of a unary answer, or one event of a stream."""

    data: Json


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes to send unchanged, in one HTTP chunk."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of some seconds; None means forever."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Hangup:
    """The end of the connection, within the bytes of a piece if one is given."""

    within: Document | Raw | None = None
    reset: bool = False


Piece: TypeAlias = Document | Raw | Pause | Hangup
Pieces: TypeAlias = AsyncIterator[Piece]
Filter: TypeAlias = Callable[[Pieces], Pieces]

DONE = Raw(b"data: [DONE]\n\n")
"""The last event of a complete stream."""

EVENT_STREAM = "text/event-stream; charset=utf-8"
"""Content type of a stream."""


@dataclass(slots=True)
class Answer:
    """Status, headers and body of one answer.

    The pieces of the body pass through `filters`, are encoded, and then pass through `coders`,
    which see bytes only.
    """

    pieces: Pieces
    status: int = 200
    content_type: str | None = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)
    streamed: bool = False
    header_delay: float | None = 0.0
    generates: bool = False
    websocket: bool = False
    """Whether the pieces are the messages of a websocket that the request opens."""
    length_error: int | None = None
    """If not None, the body has a Content-Length that is wrong by this number of bytes."""
    filters: list[Filter] = field(default_factory=list)
    coders: list[Filter] = field(default_factory=list)

    @classmethod
    def of_json(cls, data: Json, status: int = 200, **fields: Any) -> "Answer":
        """Creates a unary answer with a JSON body."""
        return cls(_pieces(Document(data)), status, **fields)

    @classmethod
    def of_bytes(cls, data: bytes, content_type: str | None, status: int = 200) -> "Answer":
        """Creates a unary answer with a body of bytes."""
        return cls(_pieces(Raw(data)), status, content_type)

    @classmethod
    def of_events(cls, events: Pieces) -> "Answer":
        """Creates a stream of events."""
        return cls(events, content_type=EVENT_STREAM, streamed=True)

    @classmethod
    def of_messages(cls, messages: Pieces) -> "Answer":
        """Creates the simulator's side of a websocket."""
        return cls(messages, 101, content_type=None, streamed=True, websocket=True)

    def replace(self, other: "Answer") -> None:
        """Replaces the answer, but keeps its coders."""
        self.pieces, self.status, self.content_type = other.pieces, other.status, other.content_type
        self.headers, self.streamed = other.headers, other.streamed
        self.websocket = other.websocket
        self.filters = []

    def edit(self, change: Callable[[Json], Json]) -> None:
        """Applies a function to every JSON document."""
        self.filters.append(lambda pieces: _edited(pieces, change))

    def code(self, change: Callable[[bytes], Iterable[bytes]]) -> None:
        """Applies a function to all bytes, which may split them."""
        self.coders.append(lambda pieces: _coded(pieces, change))

    def encoded(self) -> Pieces:
        """Yields the body, filtered and encoded, without documents."""
        pieces = self.pieces
        for change in self.filters:
            pieces = change(pieces)
        pieces = _encode(pieces, self.streamed and not self.websocket)
        for change in self.coders:
            pieces = change(pieces)
        return pieces


def sse(data: bytes, name: str = "") -> bytes:
    """Frames the bytes of one JSON value as an event, with its name if it has one."""
    line = f"event: {name}\n".encode() if name else b""
    return line + b"data: " + data + b"\n\n"


async def _pieces(*pieces: Piece) -> Pieces:
    for piece in pieces:
        yield piece


async def _edited(pieces: Pieces, change: Callable[[Json], Json]) -> Pieces:
    async for piece in pieces:
        yield Document(change(piece.data)) if isinstance(piece, Document) else piece


async def _coded(pieces: Pieces, change: Callable[[bytes], Iterable[bytes]]) -> Pieces:
    async for piece in pieces:
        if isinstance(piece, Raw):
            for part in change(piece.data):
                yield Raw(part)
        else:
            yield piece


async def _encode(pieces: Pieces, framed: bool) -> Pieces:
    async for piece in pieces:
        if isinstance(piece, Document):
            yield _encoded(piece, framed)
        elif isinstance(piece, Hangup) and isinstance(piece.within, Document):
            yield Hangup(_encoded(piece.within, framed), piece.reset)
        else:
            yield piece


def _encoded(document: Document, framed: bool) -> Raw:
    data = orjson.dumps(document.data)
    if not framed:
        return Raw(data)
    # Only events of the Responses API have a type, which is also their name.
    return Raw(sse(data, document.data.get("type", "")))
