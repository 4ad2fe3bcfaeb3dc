"""Faults in the bytes: framing, line endings, encodings."""

import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Sequence
from gzip import compress
from itertools import cycle

from penstock_server.simulator.faults.table import fault, harmless
from penstock_server.simulator.http.answers import Answer, Pieces, Raw

_TEXT = re.compile(rb'("(?:content|text|reasoning)": ?")((?:[^"\\]|\\.)+)(")')
_STRING_OR_COMMA = re.compile(rb'"(?:[^"\\]|\\.)*"|,')
_NUMBER = re.compile(rb'("(?:total_tokens|logprob)": ?)-?[0-9.]+')


@harmless
def split_bytes(answer: Answer, size: int = 1) -> None:
    """Writes each byte of the body in its own HTTP chunk."""
    answer.coders.append(lambda pieces: _resized(pieces, max(size, 1)))


@harmless
def crlf(answer: Answer) -> None:
    """Ends the lines of events with CR LF."""
    _end_lines(answer, b"\r\n")


@harmless
def cr(answer: Answer) -> None:
    """Ends the lines of events with CR alone."""
    _end_lines(answer, b"\r")


@harmless
def mixed_line_ends(answer: Answer) -> None:
    """Ends the lines of events with LF, CR LF and CR in turn."""
    _end_lines(answer, b"\n", b"\r\n", b"\r")


@harmless
def byte_order_mark(answer: Answer) -> None:
    """Begins a stream with a byte order mark."""
    if answer.streamed:
        answer.coders.append(_marked)


@harmless
def multi_line_data(answer: Answer) -> None:
    """Spreads the JSON of each event over several data lines."""
    if answer.streamed:
        answer.code(lambda data: [_STRING_OR_COMMA.sub(_broken_line, data)])


@fault
def lone_surrogate(answer: Answer) -> None:
    r"""Inserts half of a surrogate pair (\ud83d) before each text."""
    answer.code(lambda data: [_TEXT.sub(rb"\1\\ud83d\2\3", data)])


@fault
def invalid_utf8(answer: Answer) -> None:
    """Inserts bytes that are not UTF-8 before each text."""
    answer.code(lambda data: [_TEXT.sub(b"\\1\xff\xfe\\2\\3", data)])


@fault
def nan(answer: Answer) -> None:
    """Writes NaN for the total token count and for logprobs."""
    answer.code(lambda data: [_NUMBER.sub(rb"\1NaN", data)])


@harmless
def gzip(answer: Answer, members: bool = False, coding: str = "gzip") -> None:
    """Compresses the body unasked; optionally in many members or under another name."""
    answer.headers.append(("content-encoding", coding))
    answer.coders.append(_compressed_apart if members else _compressed)


@fault
def wrong_length(answer: Answer, by: int = 10) -> None:
    """Adds to the Content-Length, so that the body is cut; if negative, the body is too long."""
    answer.length_error = by


def _end_lines(answer: Answer, *ends: bytes) -> None:
    if answer.streamed:
        lines = _LineEnds(ends)
        answer.code(lambda data: [lines.written(data)])


class _LineEnds:
    """Writes line endings in several forms in turn."""

    def __init__(self, ends: Sequence[bytes]) -> None:
        self._ends = cycle(ends)
        self._after_cr = False

    def written(self, data: bytes) -> bytes:
        """Returns the next bytes of a stream with other line endings."""
        first, *lines = data.split(b"\n")
        written = [first]
        for line in lines:
            end = next(self._ends)
            if self._after_cr and not written[-1] and end == b"\n":
                end = b"\r\n"  # A lone LF would be the second half of the previous ending.
            written += [end, line]
            self._after_cr = end == b"\r" and not line
        return b"".join(written)


async def _resized(pieces: Pieces, size: int) -> Pieces:
    held = b""
    async for piece in pieces:
        if not isinstance(piece, Raw):
            yield piece
            continue
        whole = held + piece.data
        full = len(whole) // size * size
        for start in range(0, full, size):
            yield Raw(whole[start : start + size])
        held = whole[full:]
    if held:
        yield Raw(held)


async def _marked(pieces: Pieces) -> Pieces:
    mark = BOM_UTF8
    async for piece in pieces:
        if isinstance(piece, Raw) and mark:
            piece, mark = Raw(mark + piece.data), b""
        yield piece


def _broken_line(match: re.Match[bytes]) -> bytes:
    return b",\ndata: " if match[0] == b"," else match[0]


async def _compressed(pieces: Pieces) -> Pieces:
    # Window bits of 31 ask zlib for the gzip format.
    packer = zlib.compressobj(wbits=31)
    async for piece in pieces:
        if isinstance(piece, Raw):
            yield Raw(packer.compress(piece.data) + packer.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield piece
    yield Raw(packer.flush())


async def _compressed_apart(pieces: Pieces) -> Pieces:
    async for piece in pieces:
        yield Raw(compress(piece.data)) if isinstance(piece, Raw) else piece
