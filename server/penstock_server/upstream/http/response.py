"""HTTP answers: the head, and reading the body."""

import contextlib
import re
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time

from penstock_server.upstream.call import Attempts
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.content_coding import Inflated, coding_of
from penstock_server.upstream.http.failures import ERRORS, failure_of
from penstock_server.upstream.limits import Limit, Limits

EVENT_STREAM = "text/event-stream"
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_MOST_MEDIA_TYPES = 64
_SUSPECT = (Kind.MALFORMED, Kind.INTERRUPTED, Kind.CLOSED)


class Response:
    """The head of an answer, whose body is still to be read.

    Attributes:
        status: the HTTP status.
        content_type: without parameters, in lower case.
        request_id: the id of the request that it answers.
        attempts: the record of the call's requests.
    """

    def __init__(
        self,
        connection: Connection,
        attempts: Attempts,
        limits: Limits,
        most_bytes: int,
        *,
        request_id: str = "",
    ) -> None:
        """Creates the response whose head has arrived on a connection.

        Args:
            connection: the connection.
            attempts: the record of the call's requests.
            limits: the time limits of the exchange.
            most_bytes: the largest body.
            request_id: the id of the request.
        """
        self.attempts = attempts
        self.request_id = request_id
        self._connection = connection
        self._limits = limits
        self._limit: Limit | None = None
        self._most_bytes = most_bytes
        self._read: Callable[[], Awaitable[bytes]] = connection.block
        self._headers = dict(connection.answer.headers)
        self.status = attempts.status = connection.answer.status
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
        body: list[bytes] = []
        await self._read_into(body, self._most_bytes)
        whole = b"".join(body)
        self.attempts.body_bytes = len(whole)
        return whole

    async def read_error(self) -> bytes:
        """Returns the body of an error answer, or what arrived of it before long."""
        self.attempts.stage = Stage.BODY
        self.wait_until(self._limits.reason())
        body: list[bytes] = []
        with contextlib.suppress(UpstreamFailure):
            await self._read_into(body, _ERROR_BODY_LIMIT)
        return b"".join(body)

    async def block(self) -> bytes:
        """Returns what has arrived of a stream, or what comes next; nothing at its end.

        Raises:
            UpstreamFailure: the stream broke or could not be decoded, or it did not go on in time.
        """
        self.attempts.stage = Stage.STREAM
        try:
            return await self._read()
        except ERRORS as error:
            raise self._failure(error, Stage.STREAM) from error

    async def begins_with(self, prefixes: tuple[bytes, ...]) -> bool:
        """Whether the body begins with one of these, but for blanks; none of it is taken.

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
        self._read = self._connection.block
        while await self.block():
            pass

    def wait_until(self, limit: Limit) -> None:
        """Bounds every wait for the body from now on.

        Reading raises an UpstreamFailure, TIMEOUT, when the time is over.
        """
        self._limit = limit
        self._connection.wait_until(limit.until)

    def doubt(self, failure: UpstreamFailure) -> None:
        """Closes the connection if the exchange failed in a way that makes it unsafe to use again.

        A body that is longer than its Content-Length leaves its rest in the connection, where it
        would be read as the beginning of the next answer. So none follows an answer that may be
        cut.
        """
        if failure.kind in _SUSPECT:
            self._connection.close()

    @property
    def may_be_cut(self) -> bool:
        """Whether there may be more of it than its length says."""
        return self.content_type == EVENT_STREAM and b"content-length" in self._headers

    @property
    def delimited(self) -> bool:
        """Whether the answer announces where it ends, so its end is not a cut."""
        return self._connection.answer.delimited

    async def _first(self, body: bytes, rest: Callable[[], Awaitable[bytes]]) -> bytes:
        self._read = rest
        return body or await rest()

    async def _decoded_block(self) -> bytes:
        """Returns the first block of an encoded body, and has the others decoded alike."""
        headers = self._connection.answer.headers
        coding = coding_of(value for name, value in headers if name == b"content-encoding")
        read = self._connection.block
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
        # A date of HTTP that names no zone is in GMT.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time()
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
