"""Bodies that are compressed although that was not requested, as some proxies do."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable

import httpx

_PIECE_BYTES = 64 * 1024
"""Number of bytes that are decompressed before other tasks get their turn."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS
_GZIP = ("gzip", "x-gzip")
_FIRST_OF_GZIP = b"\x1f"
_LONGEST_NAME = 40


def coding_of(values: Iterable[bytes]) -> str:
    """Returns the content coding that the headers of an answer name; empty for none.

    Raises:
        httpx.DecodingError: there are several, or it is not a supported one.
    """
    names = b",".join(values).decode("ascii", "replace").lower().split(",")
    codings = [name for name in map(str.strip, names) if name not in ("", "identity")]
    if not codings:
        return ""
    name = ", ".join(codings)[:_LONGEST_NAME]
    if len(codings) > 1:
        raise httpx.DecodingError(f"its content is encoded more than once: {name}")
    if name not in (*_GZIP, "deflate"):
        raise httpx.DecodingError(f"its content coding is {name}, which was not requested")
    return name


class Inflated:
    """The decoded body of an answer with a content coding.

    It is decompressed piece by piece as it is read, so that a small body that expands to a large
    one does not block memory or the event loop.
    """

    def __init__(self, coding: str, read: Callable[[], Awaitable[bytes]]) -> None:
        """Creates the state before the first byte.

        Args:
            coding: gzip, x-gzip or deflate.
            read: returns the next part of the encoded body; nothing at its end.
        """
        self._name = coding
        self._is_gzip = coding in _GZIP
        self._read = read
        self._encoded = b""
        self._member: zlib._Decompress | None = None
        self._has_ended = False  # whether a member has
        self._is_over = False  # whether the rest is skipped
        self._is_full = False  # whether more may follow without further encoded bytes
        self._since_turn = 0

    async def block(self) -> bytes:
        """Returns the next part of the body; nothing at its end.

        Raises:
            httpx.DecodingError: the encoding is not valid.
            httpx.TransportError: the rest did not arrive, or not in time.
        """
        while True:
            if not self._encoded and not self._is_full and not await self._receive():
                return b""
            try:
                block = self._inflate()
            except zlib.error as error:
                raise httpx.DecodingError(f"its content is not valid {self._name}") from error
            if block:
                await self._give_turn(len(block))
                return block

    async def _receive(self) -> bool:
        """Waits for more of the encoded body; returns whether there is any."""
        more = await self._read()
        # The two bytes that distinguish zlib's format from raw deflate may arrive separately.
        while len(more) == 1 and not self._member and (further := await self._read()):
            more += further
        self._encoded = more
        if not more and self._member:
            raise httpx.RemoteProtocolError("the encoded content ended early")
        return bool(more)

    def _inflate(self) -> bytes:
        if not self._member and not self._begin_member():
            return b""
        assert self._member
        block = self._member.decompress(self._encoded, _PIECE_BYTES)
        self._encoded = self._member.unconsumed_tail
        self._is_full = len(block) == _PIECE_BYTES
        if self._member.eof:
            self._encoded = self._member.unused_data
            self._member, self._is_full, self._has_ended = None, False, True
        return block

    def _begin_member(self) -> bool:
        """Begins the next member; skips what follows the last one of a gzip body."""
        if self._is_gzip:
            self._skip_filling()
        if not self._encoded:
            return False
        raw = not self._is_gzip and not _is_zlib(self._encoded)
        self._member = zlib.decompressobj(_RAW if raw else _GZIP_OR_ZLIB)
        return True

    def _skip_filling(self) -> None:
        """Skips zeros, and everything from the first other byte after a member that begins none."""
        self._encoded = self._encoded.lstrip(b"\0")
        if self._has_ended and self._encoded[:1] not in (b"", _FIRST_OF_GZIP):
            self._is_over = True
        if self._is_over:
            self._encoded = b""

    async def _give_turn(self, size: int) -> None:
        self._since_turn += size
        if self._since_turn >= _PIECE_BYTES:
            self._since_turn = 0
            await asyncio.sleep(0)


def _is_zlib(begin: bytes) -> bool:
    """Returns whether a body labelled deflate begins with zlib's header, as it should."""
    return begin[0] & 0x0F == zlib.DEFLATED and int.from_bytes(begin[:2], "big") % 31 == 0
