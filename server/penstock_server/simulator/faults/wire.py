"""Faults of the bytes: framing, line ends, encodings."""

import re
import zlib

from penstock_server.simulator.faults.table import fault
from penstock_server.simulator.http.answers import Answer, Pieces, Raw

_TEXT = re.compile(rb'("(?:content|text|reasoning)": ?")((?:[^"\\]|\\.)+)(")')
_STRING_OR_COMMA = re.compile(rb'"(?:[^"\\]|\\.)*"|,')
_NUMBER = re.compile(rb'("(?:total_tokens|logprob)": ?)-?[0-9.]+')


@fault
def split_bytes(answer: Answer, size: int = 1) -> None:
    """Writes the body in pieces of one byte, each in an HTTP chunk."""
    step = max(size, 1)
    answer.code(lambda data: (data[i : i + step] for i in range(0, len(data), step)))


@fault
def crlf(answer: Answer) -> None:
    """Ends the lines of events with CR LF."""
    if answer.streamed:
        answer.code(lambda data: [data.replace(b"\n", b"\r\n")])


@fault
def multi_line_data(answer: Answer) -> None:
    """Spreads the JSON of each event over several data lines."""
    if answer.streamed:
        answer.code(lambda data: [_STRING_OR_COMMA.sub(_broken_line, data)])


@fault
def lone_surrogate(answer: Answer) -> None:
    r"""Puts half of a surrogate pair (\ud83d) in front of each text."""
    answer.code(lambda data: [_TEXT.sub(rb"\1\\ud83d\2\3", data)])


@fault
def invalid_utf8(answer: Answer) -> None:
    """Puts bytes that are not UTF-8 in front of each text."""
    answer.code(lambda data: [_TEXT.sub(b"\\1\xff\xfe\\2\\3", data)])


@fault
def nan(answer: Answer) -> None:
    """Writes NaN for the total of tokens and for logprobs."""
    answer.code(lambda data: [_NUMBER.sub(rb"\1NaN", data)])


@fault
def gzip(answer: Answer) -> None:
    """Compresses the body though nobody asked for it."""
    answer.headers.append(("content-encoding", "gzip"))
    answer.coders.append(_compressed)


@fault
def wrong_length(answer: Answer, by: int = 10) -> None:
    """Adds bytes to the Content-Length: the connection ends before the body does; or, if the
    number is below 0, takes them away: the body goes on after its end."""
    answer.length_error = by


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
