"""Fuzz targets for HTTP: answers on one connection, compressed bodies, forms."""

import asyncio
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import httpx
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from rpc.every_rpc import EVERY_RPC

from penstock.v1.transcription_pb2 import TranscriptionConfig
from penstock_server.convert import transcription
from penstock_server.convert.errors import InvalidRequest, UnsupportedRequest
from penstock_server.simulator.http.form import Form as ReadForm
from penstock_server.simulator.http.form import read_form
from penstock_server.simulator.http.requests import Request
from penstock_server.upstream.http.content_coding import Inflated
from penstock_server.upstream.http.response_parser import ResponseParser, UnparsableAnswer
from penstock_server.upstream.multipart import File, Form

from .answers import ordinary
from .harmless import FRAMINGS, written
from .whole_streams import whole_streams

_OK = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Answered:
    """The result of a parser: status, headers and body, and whether another answer may follow."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool
    reusable: bool
    broken: bool


def _parsed(parser: ResponseParser, *blocks: bytes) -> Answered:
    """Parses an answer in blocks, as a connection does."""
    parser.expect()
    broken, body = False, b""
    try:
        for block in filter(None, blocks):
            parser.feed(memoryview(block))
            body += parser.take()
    except UnparsableAnswer:
        broken = True
        body += parser.take()
    headers = tuple(parser.headers)
    return Answered(parser.status, headers, body, parser.complete, parser.reusable, broken)


def answers_in_turn(data: bytes) -> None:
    """Reads two answers on one connection; two bytes each determine a split and a cut."""
    at, cut, wire = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big"), data[4:]
    first, second = wire[:at], wire[at:]
    parser = ResponseParser()
    found = _parsed(parser, first)
    if not found.broken:
        assert found == _parsed(ResponseParser(), first[:cut], first[cut:])
    if found.complete and not found.broken:
        _compare_with_h11(first, found)
    if found.reusable and not found.broken:
        # The first answer leaves nothing behind.
        assert _parsed(parser, second) == _parsed(ResponseParser(), second)


def _compare_with_h11(wire: bytes, found: Answered) -> None:
    with suppress(h11.RemoteProtocolError):
        status, body, rest = _read_by_h11(wire)
        assert (found.status, found.body) == (status, body)
        assert not (rest and found.reusable), "what follows would be the next answer"


def _read_by_h11(wire: bytes) -> tuple[int, bytes, bytes]:
    """Returns status, body and remaining bytes of a complete answer.

    Raises:
        h11.RemoteProtocolError: the answer is not complete or not valid.
    """
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(wire)
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return status, body, connection.trailing_data[0]
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("it is not complete")


def compressed(data: bytes) -> None:
    """Decompresses a body in blocks whose size the first byte determines."""
    size, packed = data[0] + 1, data[1:]
    blocks = iter([packed[start : start + size] for start in range(0, len(packed), size)])

    async def read() -> bytes:
        return next(blocks, b"")

    async def inflate() -> bytes:
        body, text = Inflated("gzip", read), b""
        while block := await body.block():
            assert len(block) <= 1 << 16
            text += block
        return text

    try:
        found = asyncio.run(inflate())
    except (httpx.DecodingError, httpx.RemoteProtocolError):
        found = None
    assert found == _inflated_at_once(packed)


def _inflated_at_once(packed: bytes) -> bytes | None:
    """Decompresses every member and skips other bytes; returns None if one is cut or faulty.

    gzip.decompress is more lenient: it ignores a wrong checksum and unknown flags in a header.
    """
    text, packed = b"", packed.lstrip(b"\0")
    while packed:
        member = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            text += member.decompress(packed)
        except zlib.error:
            return None
        if not member.eof:
            return None
        packed = member.unused_data.lstrip(b"\0")
        if not packed.startswith(b"\x1f"):
            break
    return text


def form(data: bytes) -> None:
    """Encodes the form of a transcription; the first byte determines the size of the audio."""
    size, rest = data[0], data[1:]
    audio, serialized = rest[:size], rest[size:]
    try:
        config = TranscriptionConfig.FromString(serialized)
        fields = transcription.form_fields(config, stream=bool(size % 2))
        name, kind = transcription.filename(config), transcription.media_type(config)
    except (DecodeError, InvalidRequest, UnsupportedRequest):
        return
    sent = Form(fields, File(_blocks(audio), name, kind))
    read = _read(sent.content_type, asyncio.run(_encoded(sent)))
    assert read.fields == [(_escaped(key), value) for key, value in fields]
    assert read.files == {"file": audio}


async def _blocks(audio: bytes) -> Any:
    for start in range(0, len(audio), 3):
        yield audio[start : start + 3]


async def _encoded(sent: Form) -> bytes:
    return b"".join([block async for block in sent.encoded(1 << 20)])


def _read(content_type: str, body: bytes) -> ReadForm:
    assert "\r" not in content_type
    for head in body.split(b"\r\n\r\n")[:1]:
        assert head.count(b"Content-Disposition: form-data") == 1
    return read_form(Request("POST", "/", "", {"content-type": content_type}, body))


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


# Initial inputs


def answer_seeds() -> Iterator[bytes]:
    """Returns captured vLLM answers, one after another on a connection."""
    for rpc in EVERY_RPC:
        if rpc.streams and not rpc.uploads:
            body = written(min(whole_streams(rpc), key=lambda one: one.size))
            yield from (_in_turn(_kept(body.wire(framing)), 900) for framing in FRAMINGS)
        elif not rpc.streams:
            yield _in_turn(_kept(ordinary(rpc)[0].wire), 40)
    yield _in_turn(b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"content-length: 2\r\n\r\nok", 9)
    yield _in_turn(b"HTTP/1.1 204 No Content\r\n\r\n", 5)
    yield _in_turn(_OK + b"transfer-encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nx-t: 1\r\n\r\n", 44)


def _kept(wire: bytes) -> bytes:
    return wire.replace(b"connection: close\r\n", b"")


def _in_turn(wire: bytes, cut: int) -> bytes:
    return len(wire).to_bytes(2, "big") + cut.to_bytes(2, "big") + wire + wire


def compressed_seeds() -> Sequence[bytes]:
    """Returns bodies with one member, with several, with padding, and cut ones."""
    one, other = gzip.compress(b"data: {}\n\n", mtime=0), gzip.compress(b"", mtime=0)
    several, filled = b"\0" + one + other + one, one + b"\0\0" + one
    bodies = (one, several, filled, one + b"more\x1f", one[:-3], gzip.compress(bytes(99999)))
    return [bytes([size]) + body for body in bodies for size in (0, 7, 255)]


def form_seeds() -> Iterator[bytes]:
    """Returns forms of several configurations."""
    for text in (
        'model: "m"',
        'model: "m" language_code: "de" prompt: "so\\r\\n--" filename: "a\\"b.wav"',
        'filename: "\\303\\274.mp3" mime_type: "audio/mpeg" timestamp_granularities: 1',
        'extra_body {object {fields {key: "a\\"\\r\\nb" value {string_value: "\\r\\n--x"}}}}',
    ):
        yield (
            b"\x09RIFF\r\n--x" + text_format.Parse(text, TranscriptionConfig()).SerializeToString()
        )
