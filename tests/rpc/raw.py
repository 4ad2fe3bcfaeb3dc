"""A connection on which a test writes HTTP/2 frames that no gRPC library would send."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import IntEnum


class Frame(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    CONTINUATION = 9


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ACK = END_STREAM = 1
_END_HEADERS = 4
_LARGEST_FRAME = 16384
_CANCEL = 8
EMPTY_MESSAGE = b"\0\0\0\0\0"


def frame(kind: Frame, payload: bytes = b"", *, stream: int = 0, flags: int = 0) -> bytes:
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def request(path: str | bytes, metadata: Iterable[tuple[str, str]] = ()) -> bytes:
    """Returns the header block of a call."""
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"))
    fixed = (("te", "trailers"), ("content-type", "application/grpc"))
    return b"".join(_literal(*pair) for pair in (*pseudo, *fixed, *metadata))


def begin(stream: int, block: bytes) -> bytes:
    """Returns the frames that begin a call."""
    parts = [block[at : at + _LARGEST_FRAME] for at in range(0, len(block), _LARGEST_FRAME)]
    kinds = (Frame.HEADERS, *[Frame.CONTINUATION] * (len(parts) - 1))
    flags = [0] * (len(parts) - 1) + [_END_HEADERS]
    frames = zip(kinds, parts, flags, strict=True)
    return b"".join(frame(kind, part, stream=stream, flags=flag) for kind, part, flag in frames)


def message(stream: int, data: bytes = EMPTY_MESSAGE) -> bytes:
    """Returns the frame of a call's only message."""
    return frame(Frame.DATA, data, stream=stream, flags=END_STREAM)


def reset(stream: int) -> bytes:
    """Returns the frame by which a caller cancels a call."""
    return frame(Frame.RST_STREAM, struct.pack(">I", _CANCEL), stream=stream)


def _literal(name: str, value: str | bytes) -> bytes:
    """Returns a header in HPACK without tables or Huffman codes."""
    texts = (name.encode(), value.encode() if isinstance(value, str) else value)
    return b"\0" + b"".join(_length(len(text)) + text for text in texts)


def _length(number: int) -> bytes:
    if number < 127:
        return bytes((number,))
    number -= 127
    out = [127]
    while number >= 128:
        out.append(number % 128 | 128)
        number //= 128
    return bytes((*out, number))


class Raw:
    """A connection.

    Attributes:
        received: number of frames received, by type.
        refusal: message in the server's GOAWAY.
        heard: headers that the server sent, as far as they are not Huffman-coded.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = Counter[Frame]()
        self.refusal = b""
        self.heard = b""

    async def send(self, *frames: bytes) -> None:
        self._writer.writelines(frames)
        await self._writer.drain()

    async def next(self) -> tuple[Frame, int]:
        """Returns the next frame's type and stream; raises IncompleteReadError at the end."""
        head = await self._reader.readexactly(9)
        payload = await self._reader.readexactly(int.from_bytes(head[:3]))
        kind, stream = Frame(head[3]) if head[3] in list(Frame) else Frame.DATA, head[5:]
        self.received[kind] += 1
        if kind is Frame.GOAWAY:
            self.refusal = payload[8:]
        if kind is Frame.HEADERS:
            self.heard += payload
        return kind, int.from_bytes(stream)

    async def until(self, kind: Frame) -> int:
        """Returns the stream of the next frame of a type."""
        while True:
            came, stream = await self.next()
            if came is kind:
                return stream

    async def rest(self) -> None:
        """Reads on until the server closes the connection."""
        try:
            while True:
                await self.next()
        except (asyncio.IncompleteReadError, ConnectionError):
            return


@asynccontextmanager
async def connected(port: int, *, acknowledge: bool = True) -> AsyncIterator[Raw]:
    """Opens a connection; without acknowledgement, the server's settings do not apply to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_PREFACE + frame(Frame.SETTINGS))
    if acknowledge:
        writer.write(frame(Frame.SETTINGS, flags=_ACK))
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
