"""The answer of an upstream: its head, and reading its body."""

import asyncio
import contextlib
import math
import re
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic, time

import httpx

from penstock_server.upstream.call import Attempts
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.body import Body
from penstock_server.upstream.http.content_coding import Inflated, coding_of
from penstock_server.upstream.http.messages import raw_headers
from penstock_server.upstream.http.response_parser import is_delimited
from penstock_server.upstream.limits import Limit, Limits
from penstock_server.upstream.transport_failures import ERRORS, failure_of

EVENT_STREAM = "text/event-stream"
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_MOST_MEDIA_TYPES = 64
_SUSPECT = (Kind.MALFORMED, Kind.INTERRUPTED, Kind.CLOSED)


class _OtherBody:
    """Reads the stream of another transport as a `Body` is read."""

    def __init__(self, stream: httpx.AsyncByteStream, until: float) -> None:
        self._stream = stream
        self._blocks = aiter(stream)
        self._until = until
        self._next: asyncio.Task[bytes] | None = None

    async def block(self) -> bytes:
        # A wait that ends early must not end the stream, so it leaves the task running.
        self._next = self._next or asyncio.create_task(self._not_empty())
        left_s = None if self._until == math.inf else max(0.0, self._until - monotonic())
        await asyncio.wait((self._next,), timeout=left_s)
        if not self._next.done():
            raise httpx.ReadTimeout("no answer in time")
        block, self._next = self._next, None
        return block.result()

    async def _not_empty(self) -> bytes:
        async for block in self._blocks:
            if block:
                return block
        return b""

    @property
    def has_waiting(self) -> bool:
        return self._next is not None and self._next.done()

    def wait_until(self, deadline: float) -> None:
        self._until = deadline

    def gather(self, most_bytes: int) -> None:
        """Does nothing: the transport decides about the size of blocks."""

    def discard(self) -> None:
        """Does nothing: the transport decides about its connection."""

    async def aclose(self) -> None:
        if self._next:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._stream.aclose()


class Response:
    """The head of an `httpx.Response`, whose body is read within the limits of its exchange.

    Attributes:
        status: the HTTP status.
        content_type: without parameters, in lower case.
        request_id: the id of the request that it answers; empty for none.
        attempts: the record of the call's requests.
    """

    def __init__(
        self,
        response: httpx.Response,
        request_id: str,
        attempts: Attempts,
        limits: Limits,
        most_bytes: int,
    ) -> None:
        """Creates the answer whose head has arrived.

        Args:
            response: the head, with the stream of the body.
            request_id: the id of the request.
            attempts: the record of the call's requests.
            limits: the time limits of the exchange.
            most_bytes: the largest body.
        """
        self.attempts = attempts
        self.request_id = request_id
        stream, self._fields = response.stream, raw_headers(response)
        if isinstance(stream, Body):
            self._body: Body | _OtherBody = stream
        else:
            assert isinstance(stream, httpx.AsyncByteStream)
            self._body = _OtherBody(stream, limits.answered_by())
        self._limits = limits
        self._limit: Limit | None = None
        self._most_bytes = most_bytes
        self._read: Callable[[], Awaitable[bytes]] = self._body.block
        self._headers = dict(self._fields)
        self.status = response.status_code
        self.content_type = _media_type(self._headers.get(b"content-type", b""))
        if b"content-encoding" in self._headers:
            self._read = self._decoded_block

    @property
    def retry_after_s(self) -> float | None:
        """The header retry-after-ms or Retry-After, in seconds from now."""
        milliseconds = self._header(b"retry-after-ms")
        if _DECIMAL.fullmatch(milliseconds):
            return min(float(milliseconds) / 1000, _LONGEST_RETRY_AFTER_S)
        return _retry_after(self._header(b"retry-after"))

    @property
    def echoed_id(self) -> str:
        """The header X-Request-Id, in which some upstreams repeat that of the request."""
        return self._header(b"x-request-id") if b"x-request-id" in self._headers else ""

    @property
    def metadata(self) -> str:
        """The header that describes vectors sent as bytes."""
        return self._header(b"metadata")

    async def read(self) -> bytes:
        """Returns the body.

        Raises:
            UpstreamFailure: the body ended early, is too large, or could not be decoded.
        """
        self.attempts.stage = Stage.BODY
        if b"content-encoding" not in self._headers:
            self._body.gather(self._most_bytes)
        body: list[bytes] = []
        await self._read_into(body, self._most_bytes)
        whole = b"".join(body)
        self.attempts.body_bytes = len(whole)
        self.attempts.answered()
        return whole

    async def read_error(self) -> bytes:
        """Returns the part of an error answer's body that arrives within a few seconds."""
        self.attempts.stage = Stage.BODY
        self.wait_until(self._limits.reason())
        body: list[bytes] = []
        with contextlib.suppress(UpstreamFailure):
            await self._read_into(body, _ERROR_BODY_LIMIT)
        return b"".join(body)

    async def block(self) -> bytes:
        """Returns the bytes of a stream that have arrived, or the next ones; empty at its end.

        Raises:
            UpstreamFailure: the stream broke or could not be decoded, or did not continue in time.
        """
        self.attempts.stage = Stage.STREAM
        try:
            return await self._read()
        except ERRORS as error:
            raise self._failure(error, Stage.STREAM) from error

    async def begins_with(self, prefixes: tuple[bytes, ...]) -> bool:
        """Returns whether the body begins with one of these, after white space; consumes nothing.

        Raises:
            UpstreamFailure: see `block`.
        """
        body = begin = b""
        longest = max(map(len, prefixes))
        while not begin.startswith(prefixes) and len(begin) < longest:
            if not (block := await self.block()):
                break
            body += block
            begin = body.removeprefix(BOM_UTF8).lstrip()
        rest = self._read
        self._read = lambda: self._first(body, rest)
        return begin.startswith(prefixes)

    async def skip(self) -> None:
        """Reads the body to its end without decoding it.

        Raises:
            UpstreamFailure: see `block`.
        """
        self._read = self._body.block
        while await self.block():
            pass

    def wait_until(self, limit: Limit) -> None:
        """Limits every wait for the body from now on.

        Reading raises an UpstreamFailure, TIMEOUT, after that time.
        """
        self._limit = limit
        self._body.wait_until(limit.until)

    def doubt(self, failure: UpstreamFailure) -> None:
        """Closes the connection if the exchange failed in a way that makes it unsafe to use again.

        A body that is longer than its Content-Length leaves its rest in the connection, where it
        would be read as the beginning of the next answer. So none follows an answer that may be
        cut.
        """
        if failure.kind in _SUSPECT:
            self._body.discard()

    async def aclose(self) -> None:
        """Ends the exchange."""
        # A stream with a length may be longer than that: the rest would be left in the connection.
        if self.content_type == EVENT_STREAM and b"content-length" in self._headers:
            self._body.discard()
        await self._body.aclose()

    @property
    def has_waiting(self) -> bool:
        """Whether a part of the body has arrived that was not read yet."""
        return self._body.has_waiting

    @property
    def delimited(self) -> bool:
        """Whether the answer announces where it ends, so its end is not a cut."""
        return is_delimited(self._fields)

    async def _first(self, body: bytes, rest: Callable[[], Awaitable[bytes]]) -> bytes:
        self._read = rest
        return body or await rest()

    async def _decoded_block(self) -> bytes:
        """Returns the first block of an encoded body, and sets up decoding of the others."""
        coding = coding_of(value for name, value in self._fields if name == b"content-encoding")
        read = self._body.block
        self._read = Inflated(coding, read).block if coding else read
        return await self._read()

    async def _read_into(self, body: list[bytes], most_bytes: int) -> None:
        size = 0
        try:
            while block := await self._read():
                body.append(block)
                size += len(block)
                if size > most_bytes:
                    message = f"malformed upstream answer: it has over {most_bytes} bytes"
                    raise UpstreamFailure(Kind.MALFORMED, message, Stage.BODY)
        except ERRORS as error:
            raise self._failure(error, Stage.BODY) from error

    def _failure(self, error: Exception, stage: Stage) -> UpstreamFailure:
        return failure_of(error, stage, self._limit or self._limits.answer())

    def _header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("utf-8", "replace").strip()


@lru_cache(_MOST_MEDIA_TYPES)
def _media_type(value: bytes) -> str:
    """Returns a Content-Type without its parameters."""
    return value.decode("utf-8", "replace").partition(";")[0].strip().lower()


def _retry_after(value: str) -> float | None:
    """Reads Retry-After: seconds or an HTTP date; at most a day."""
    if _DECIMAL.fullmatch(value):
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        # An HTTP date without a zone is in GMT.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time()
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
