"""HTTP exchanges: a request is sent, its answer begins."""

from collections.abc import AsyncGenerator
from functools import lru_cache
from time import monotonic
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Stage, UpstreamFailure
from penstock_server.upstream.http.address import Address
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.failures import ERRORS, failure_of
from penstock_server.upstream.http.pool import Pool
from penstock_server.upstream.http.request import Request
from penstock_server.upstream.http.response import Response
from penstock_server.upstream.http.upload import Upload
from penstock_server.upstream.limits import Limits

_MOST_TARGETS = 64
# The size of buffers on the way; over TLS, the amount that is still to be sent is not known.
_SURELY_SENT_BYTES = 64 * 1024

# A connection that was left is found so within a round trip.
_LEFT_S = 1.0

_BROKEN = (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


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
        """Creates the transport; opens no connection yet.

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
        """Closes idle connections now, and those in use when they are released."""
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


def _framing(request: Request) -> bytes:
    if not isinstance(request.content, bytes):
        return b"transfer-encoding: chunked\r\n"
    if request.content or request.method == "POST":
        return b"content-length: %d\r\n" % len(request.content)
    return b""


class Exchange:
    """One request and its answer; an asynchronous context manager: see `Transport.send`."""

    def __init__(self, transport: Transport, request: Request, limits: Limits) -> None:
        """Creates an exchange; sends nothing yet.

        Args:
            transport: the connections.
            request: the request.
            limits: its time limits.
        """
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
        except ERRORS as error:
            failure = self._failure(error)
            await self._end()
            raise failure from error
        except BaseException:
            await self._end()
            raise
        assert self._connection
        most = self._transport.max_answer_bytes
        self._response = Response(
            self._connection, attempts, self._limits, most, request_id=self._request.id
        )
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
        await self._end()

    async def _send(self) -> None:
        content = self._request.content
        head = self._transport.head(self._request)
        if not isinstance(content, bytes):
            await self._send_upload(head, content)
            return
        connection = await self._connect(fresh=self._request.only_once)
        written = monotonic()
        try:
            connection.write(head, content)
            await connection.head()
        except _BROKEN:
            if not self._was_left or monotonic() - written > _LEFT_S:
                raise
            self._release()
            self._request.rename()
            connection = await self._connect(fresh=True)
            connection.write(self._transport.head(self._request), content)
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
        return failure_of(error, stage, self._limits.answer())

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


def _address(url: httpx.URL, config: UpstreamConfig, pinned: str, socket: str) -> Address:
    secure = url.scheme == "https"
    if not secure and url.scheme != "http":
        raise ValueError("the URL must begin with http://, https:// or unix://")
    host = url.raw_host.decode().strip("[]")
    port = url.port or (443 if secure else 80)
    return Address(host, port, config.tls if secure else None, pinned, socket)
