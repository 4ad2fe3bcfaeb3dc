"""HTTP: requests and answers.

Turns every exception of httpx into an `UpstreamFailure`, so that nothing above knows which
HTTP library is in use.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic, time
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from penstock_server.upstream.call import Attempts
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.address import Address
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.pool import Pool
from penstock_server.upstream.http.upload import Upload
from penstock_server.upstream.limits import FIRST_BYTE, Limit, Limits
from penstock_server.upstream.operations import Method

EVENT_STREAM = "text/event-stream"
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_MOST_TARGETS = 64
# What the buffers on the way take at once: over TLS, nothing tells how much is still to be sent.
_SURELY_SENT_BYTES = 64 * 1024

_BROKEN = (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)
_SUSPECT = (Kind.MALFORMED, Kind.INTERRUPTED, Kind.CLOSED)


@dataclass(slots=True)
class Request:
    """One HTTP request, ready to send.

    Attributes:
        content: the body; what yields it is an upload.
        attempts: where it is written down how far the exchange has come.
    """

    method: Method
    path: str
    headers: Mapping[str, str]
    content: bytes | AsyncGenerator[bytes, None] = b""
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def is_upload(self) -> bool:
        """Whether the content is sent as it arrives."""
        return not isinstance(self.content, bytes)


class Response:
    """The head of an answer, whose body is still to be read.

    Attributes:
        status: the HTTP status.
        content_type: without parameters, in lower case.
        attempts: where it is written down how far the exchange has come.
    """

    def __init__(
        self, connection: Connection, attempts: Attempts, limits: Limits, most_bytes: int
    ) -> None:
        """Takes the connection, on which the head is here, and what bounds the body."""
        self.attempts = attempts
        self._connection = connection
        self._limits = limits
        self._limit: Limit | None = None
        self._most_bytes = most_bytes
        self._decoded: AsyncGenerator[bytes, None] | None = None
        self._read: Callable[[], Awaitable[bytes]] = connection.block
        self._headers = dict(connection.answer.headers)
        self.status = attempts.status = connection.answer.status
        self.content_type = _media_type(self._headers.get(b"content-type", b""))
        if b"content-encoding" in self._headers:
            self._decoded = decoded = _decoded(connection)
            self._read = lambda: anext(decoded, b"")

    @property
    def retry_after_s(self) -> float | None:
        """The header Retry-After, in seconds from now."""
        return _retry_after(self._header(b"retry-after"))

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
        return b"".join(body)

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
        except _ERRORS as error:
            raise self._failure(error, Stage.STREAM) from error

    def wait_until(self, limit: Limit) -> None:
        """Bounds every wait for the body from now on.

        Reading raises an UpstreamFailure, TIMEOUT, when the time is over.
        """
        self._limit = limit
        self._connection.wait_until(limit.until)

    def doubt(self, failure: UpstreamFailure) -> None:
        """Has the connection take no other request if the exchange failed in certain ways.

        A body that is longer than its Content-Length leaves its rest in the connection, where it
        would be read as the beginning of the next answer. So none follows an answer that may be
        cut.
        """
        if failure.kind in _SUSPECT:
            self._connection.close()

    async def close(self) -> None:
        """Ends the reading."""
        if self._decoded:
            await self._decoded.aclose()

    @property
    def may_be_cut(self) -> bool:
        """Whether there may be more of it than its length says."""
        return self.content_type == EVENT_STREAM and b"content-length" in self._headers

    async def _read_into(self, body: list[bytes], most_bytes: int) -> None:
        size = 0
        try:
            while block := await self._read():
                body.append(block)
                size += len(block)
                if size > most_bytes:
                    message = f"malformed upstream answer: it has over {most_bytes} bytes"
                    raise UpstreamFailure(Kind.MALFORMED, message, Stage.BODY)
        except _ERRORS as error:
            raise self._failure(error, Stage.BODY) from error

    def _failure(self, error: Exception, stage: Stage) -> UpstreamFailure:
        return _failure(error, stage, self._limit or self._limits.answer())

    def _header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("utf-8", "replace")


class Transport:
    """Connections to one upstream."""

    def __init__(
        self,
        config: UpstreamConfig,
        pinned_address: str = "",
        *,
        max_connections: int,
        max_answer_bytes: int,
    ) -> None:
        """Takes where the upstream is and the limits; opens nothing yet.

        Args:
            config: the upstream.
            pinned_address: the IP address to connect to, in place of the URL's host.
            max_connections: most connections at once.
            max_answer_bytes: largest body of an answer.
        """
        socket = urlsplit(config.url).path if config.url.startswith("unix:") else ""
        self._url = httpx.URL("http://localhost" if socket else config.url)
        self._first_line = lru_cache(_MOST_TARGETS)(self._first_line_of)
        self.max_answer_bytes = max_answer_bytes
        self.pool = Pool(_address(self._url, config, pinned_address, socket), max_connections)

    def close(self) -> None:
        """Closes all connections, those in use once they are no more."""
        self.pool.close()

    def send(self, request: Request, limits: Limits) -> "Exchange":
        """Sends a request; yields the answer's head. Leaving closes the exchange.

        Raises:
            UpstreamFailure: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        return Exchange(self, request, limits)

    def head(self, request: Request) -> bytes:
        """Returns what stands before the content of a request.

        Raises:
            httpx.LocalProtocolError: a header cannot be sent.
        """
        first_line = self._first_line(request.method, request.path)
        fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if not fields.count("\r") == fields.count("\n") == len(request.headers) or "\0" in fields:
            raise httpx.LocalProtocolError("a header holds the end of a line or of a text")
        try:
            return b"%s%s%s\r\n" % (first_line, fields.encode("ascii"), _framing(request))
        except UnicodeEncodeError:
            raise httpx.LocalProtocolError("a header is not ASCII") from None

    def _first_line_of(self, method: str, path: str) -> bytes:
        """Returns the first line of a request, and its header Host."""
        target = self._url.raw_path.rstrip(b"/") + httpx.URL(path).raw_path
        return b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (method.encode(), target, self._url.netloc)


@lru_cache(_MOST_TARGETS)
def _media_type(value: bytes) -> str:
    """Returns a Content-Type without its parameters."""
    return value.decode("utf-8", "replace").partition(";")[0].strip().lower()


def _framing(request: Request) -> bytes:
    if not isinstance(request.content, bytes):
        return b"transfer-encoding: chunked\r\n"
    if request.content or request.method == "POST":
        return b"content-length: %d\r\n" % len(request.content)
    return b""


class Exchange:
    """One request and its answer; an asynchronous context manager: see `Transport.send`."""

    def __init__(self, transport: Transport, request: Request, limits: Limits) -> None:
        """Takes what to send, by what, and how long that may take."""
        self._transport = transport
        self._request = request
        self._limits = limits
        self._connection: Connection | None = None
        self._upload: Upload | None = None
        self._response: Response | None = None

    async def __aenter__(self) -> Response:
        attempts = self._request.attempts
        attempts.begin(self._request.path)
        try:
            await self._send()
        except _ERRORS as error:
            failure = self._failure(error)
            await self._end()
            raise failure from error
        except BaseException:
            await self._end()
            raise
        assert self._connection
        most = self._transport.max_answer_bytes
        self._response = Response(self._connection, attempts, self._limits, most)
        return self._response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._response
        if isinstance(error, UpstreamFailure):
            self._response.doubt(error)
        try:
            await self._response.close()
        finally:
            await self._end()

    async def _send(self) -> None:
        content = self._request.content
        head = self._transport.head(self._request)
        if not isinstance(content, bytes):
            await self._send_upload(head, content)
            return
        connection = await self._connect()
        try:
            connection.write(head, content)
            await connection.head()
        except _BROKEN:
            if not self._was_left:
                raise
            self._release()
            connection = await self._connect(fresh=True)
            connection.write(head, content)
            await connection.head()

    @property
    def _was_left(self) -> bool:
        """Whether the upstream closed a connection for being idle, just as the request came."""
        connection = self._connection
        return connection is not None and connection.used and not connection.answer.begun

    async def _send_upload(self, head: bytes, content: AsyncGenerator[bytes, None]) -> None:
        self._request.attempts.stage = Stage.REQUEST
        # Without any content, there is nothing to connect for.
        first = await anext(content)
        # What can be sent only once is not sent to where the peer may just be leaving.
        connection = await self._connect(fresh=True)
        self._upload = Upload(connection, content, self._limits.stall_s, self._sent)
        await self._upload.send(head, first)

    def _sent(self) -> None:
        assert self._connection
        self._request.attempts.stage = Stage.HEADERS
        self._limits.sent()
        self._connection.wait_until(self._limits.answered_by)

    async def _connect(self, *, fresh: bool = False) -> Connection:
        until = self._limits.answered_by
        timeout_s = min(self._limits.connect_s, until - monotonic())
        self._connection = await self._transport.pool.acquire(timeout_s, fresh=fresh)
        self._connection.begin(until)
        return self._connection

    def _failure(self, error: Exception) -> UpstreamFailure:
        headed = self._connection is not None and self._connection.answer.headed
        stage = Stage.BODY if headed else Stage.HEADERS
        return _failure(error, stage, self._limits.answer())

    async def _end(self) -> None:
        if isinstance(self._request.content, bytes):
            self._release()
            return
        try:
            if self._upload:
                await self._upload.end()
        finally:
            self._release()
            await self._request.content.aclose()

    def _release(self) -> None:
        if self._connection:
            if self._response and (self._response.may_be_cut or self._unread):
                self._connection.close()
            self._transport.pool.release(self._connection)
            self._connection = None

    @property
    def _unread(self) -> bool:
        """Whether the upstream may have refused the request before it read it all."""
        content = self._request.content
        much = isinstance(content, bytes) and len(content) > _SURELY_SENT_BYTES
        return much and self._connection is not None and self._connection.answer.status >= 300


async def _decoded(connection: Connection) -> AsyncGenerator[bytes, None]:
    """Yields the body as it was before its Content-Encoding, for which nobody asked."""
    answer = httpx.Response(200, headers=connection.answer.headers, stream=_Body(connection))
    async for block in answer.aiter_bytes():
        yield block


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await self._connection.block():
            yield block


def _address(url: httpx.URL, config: UpstreamConfig, pinned: str, socket: str) -> Address:
    secure = url.scheme == "https"
    if not secure and url.scheme != "http":
        raise ValueError("the URL must begin with http://, https:// or unix://")
    host = url.raw_host.decode().strip("[]")
    port = url.port or (443 if secure else 80)
    return Address(host, port, config.tls if secure else None, pinned, socket)


# In order: the first class that matches decides. No stage: the one in which it was raised.
_KINDS: tuple[tuple[type[Exception], Kind, Stage | None, str], ...] = (
    (httpx.PoolTimeout, Kind.OVERLOADED, Stage.CONNECT, "all upstream connections are in use"),
    (httpx.ConnectError, Kind.CONNECT, Stage.CONNECT, "could not connect to the upstream"),
    (httpx.ConnectTimeout, Kind.CONNECT, Stage.CONNECT, "could not connect in time"),
    (httpx.WriteError, Kind.CONNECT, Stage.REQUEST, "the connection broke while sending"),
    (httpx.WriteTimeout, Kind.TIMEOUT, None, "the upstream does not read on"),
    (httpx.ReadTimeout, Kind.TIMEOUT, None, "no answer in time"),
    (httpx.ReadError, Kind.CLOSED, None, "the connection to the upstream broke"),
    (httpx.RemoteProtocolError, Kind.CLOSED, None, "the upstream closed the connection early"),
    (httpx.DecodingError, Kind.MALFORMED, None, "malformed upstream answer"),
    (httpx.LocalProtocolError, Kind.MISCONFIGURED, Stage.REQUEST, "the request cannot be sent"),
    (httpx.InvalidURL, Kind.MISCONFIGURED, Stage.CONNECT, "the upstream URL is unusable"),
    (httpx.HTTPError, Kind.CLOSED, None, "the exchange with the upstream broke off"),
)
_EXPLAINED = (httpx.ConnectError, httpx.DecodingError)
_CONNECTING = (httpx.ConnectTimeout, httpx.PoolTimeout)
_ERRORS = (httpx.HTTPError, httpx.InvalidURL)


def _failure(error: Exception, stage: Stage, limit: Limit) -> UpstreamFailure:
    """Returns what an exception stands for; `limit` is what waiting was bounded by."""
    kind, known_stage, message = next(row[1:] for row in _KINDS if isinstance(error, row[0]))
    if isinstance(error, _EXPLAINED):
        message = f"{message}: {error}"
    failure = UpstreamFailure(kind, message, known_stage or stage)
    if isinstance(error, httpx.WriteTimeout):
        failure.limit = FIRST_BYTE
    elif isinstance(error, _CONNECTING) and monotonic() < limit.until:
        failure.limit = "connect_timeout"
    elif isinstance(error, httpx.TimeoutException):
        failure.kind = Kind.TIMEOUT
        limit.tell(failure)
    return failure


def _retry_after(value: str) -> float | None:
    """Reads Retry-After: seconds or an HTTP date; no more than a day is believed."""
    try:
        seconds = (
            float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
