"""HTTP: requests and answers.

Turns every exception of httpx into an `UpstreamFailure`, so that nothing above knows which
HTTP library is in use.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure, reached
from penstock_server.upstream.http.address import Address
from penstock_server.upstream.http.pool import Carrier, Pool

# uvicorn, vLLM's HTTP server, closes idle connections after 5 s. Ours go first, so that no
# request is sent into a connection that is just being closed.
_KEEPALIVE_EXPIRY_S = 4.0
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_EVENT_STREAM = "text/event-stream"
_MOST_TARGETS = 64
# The end of a line where none ought to be, or of the text in C.
_UNSENDABLE = re.compile(r"\0|\r(?!\n)")

_SUSPECT = (Kind.MALFORMED, Kind.INTERRUPTED, Kind.CLOSED)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to send."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes | AsyncGenerator[bytes, None] = b""

    @property
    def is_upload(self) -> bool:
        """Whether the content is sent as it arrives."""
        return not isinstance(self.content, bytes)


class Response:
    """The head of an answer, whose body is still to be read.

    Attributes:
        status: the HTTP status.
        content_type: without parameters, in lower case.
    """

    def __init__(self, carrier: Carrier) -> None:
        """Takes what carries the exchange."""
        connection = carrier.connection
        self._carrier = carrier
        self._headers = {
            name.lower(): value.decode("utf-8", "replace") for name, value in connection.headers
        }
        self.status = connection.status
        self.content_type = self._headers.get(b"content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """The header Retry-After, in seconds from now."""
        return _retry_after(self._headers.get(b"retry-after", ""))

    @property
    def metadata(self) -> str:
        """The header that describes vectors sent as bytes."""
        return self._headers.get(b"metadata", "")

    async def read(self, limit: int | None = None) -> bytes:
        """Returns the body; with a limit, at most about that many bytes of it.

        Raises:
            UpstreamFailure: the body ended early or could not be decoded.
        """
        reached.set(Stage.BODY)
        body: list[bytes] = []
        size = 0
        try:
            read = self._reader()
            while block := await read():
                body.append(block)
                size += len(block)
                if limit is not None and size >= limit:
                    break
        except _ERRORS as error:
            raise _failure(error, Stage.BODY) from error
        return b"".join(body)

    async def read_error(self) -> bytes:
        """Returns the body of an error answer, or what arrived of it."""
        try:
            return await self.read(_ERROR_BODY_LIMIT)
        except UpstreamFailure:
            return b""

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yields the body in the blocks in which it arrives.

        Raises:
            UpstreamFailure: the body ended early or could not be decoded.
        """
        reached.set(Stage.STREAM)
        try:
            read = self._reader()
            while block := await read():
                yield block
        except _ERRORS as error:
            raise _failure(error, Stage.STREAM) from error

    def wait_until(self, until: float) -> None:
        """Bounds every wait for the body from now on, by the monotonic clock.

        Reading raises an UpstreamFailure, TIMEOUT, when the time is over.
        """
        self._carrier.connection.read_until = until

    async def close(self, failure: UpstreamFailure | None) -> None:
        """Ends the exchange, which failed or did not; its connection may take another request.

        A body that is longer than its Content-Length leaves its rest in the connection, where it
        would be read as the beginning of the next answer. So none follows an answer that may be
        cut.
        """
        suspect = failure.kind in _SUSPECT if failure else False
        if suspect or (self.content_type == _EVENT_STREAM and b"content-length" in self._headers):
            self._carrier.connection.close()
        await self._carrier.aclose()

    def _reader(self) -> Callable[[], Awaitable[bytes]]:
        """Returns what reads the next block of the body, and nothing at its end."""
        if b"content-encoding" not in self._headers:
            return self._carrier.read
        headers = self._carrier.connection.headers
        answer = httpx.Response(self.status, headers=headers, stream=self._carrier)
        blocks = answer.aiter_bytes()
        return lambda: anext(blocks, b"")


class Transport:
    """Connections to one upstream."""

    def __init__(
        self, config: UpstreamConfig, max_connections: int, pinned_address: str = ""
    ) -> None:
        """Takes where the upstream is and the limits; opens nothing yet.

        Args:
            config: the upstream.
            max_connections: most connections at once.
            pinned_address: the IP address to connect to, in place of the URL's host.
        """
        self._timeouts = config.timeouts
        socket = urlsplit(config.url).path if config.url.startswith("unix:") else ""
        self._url = httpx.URL("http://localhost" if socket else config.url)
        self._first_line = lru_cache(_MOST_TARGETS)(self._first_line_of)
        self._pool = Pool(
            _address(self._url, config, pinned_address, socket),
            max_connections,
            _KEEPALIVE_EXPIRY_S,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()

    def send(self, request: Request) -> "Exchange":
        """Sends a request; yields the answer's head. Leaving closes the exchange.

        Raises:
            UpstreamFailure: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        return Exchange(self, request)

    async def answer(self, request: Request) -> Response:
        """Sends a request; returns the answer's head."""
        reached.set(Stage.HEADERS)
        carrier = Carrier(self._pool, self._timeouts)
        try:
            await carrier.send(self._head(request), request.content)
        except _ERRORS as error:
            failure = _failure(error, Stage.HEADERS)
            failure.reused = carrier.reused
            raise failure from error
        return Response(carrier)

    def _head(self, request: Request) -> bytes:
        first_line = self._first_line(request.method, request.path)
        fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        if fields.count("\n") > len(request.headers) or _UNSENDABLE.search(fields):
            raise httpx.LocalProtocolError("a header holds the end of a line")
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

    def __init__(self, transport: Transport, request: Request) -> None:
        """Takes what to send, and by what."""
        self._transport = transport
        self._request = request

    async def __aenter__(self) -> Response:
        try:
            self._answer = await self._transport.answer(self._request)
        except BaseException:
            await self._close_content()
            raise
        return self._answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._answer.close(error if isinstance(error, UpstreamFailure) else None)
        finally:
            await self._close_content()

    async def _close_content(self) -> None:
        if not isinstance(self._request.content, bytes):
            await self._request.content.aclose()


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
    (httpx.ProxyError, Kind.CONNECT, Stage.CONNECT, "the proxy refused the connection"),
    (httpx.WriteError, Kind.CONNECT, Stage.REQUEST, "the connection broke while sending"),
    (httpx.WriteTimeout, Kind.TIMEOUT, None, "the upstream does not read on"),
    (httpx.ReadTimeout, Kind.TIMEOUT, None, "no answer in time"),
    (httpx.ReadError, Kind.CLOSED, None, "the connection to the upstream broke"),
    (httpx.RemoteProtocolError, Kind.CLOSED, None, "the upstream closed the connection early"),
    (httpx.DecodingError, Kind.MALFORMED, None, "the upstream's body could not be decoded"),
    (httpx.TooManyRedirects, Kind.MISCONFIGURED, None, "the upstream redirected too often"),
    (httpx.LocalProtocolError, Kind.MISCONFIGURED, Stage.REQUEST, "the request cannot be sent"),
    (
        httpx.UnsupportedProtocol,
        Kind.MISCONFIGURED,
        Stage.CONNECT,
        "the upstream URL is unusable",
    ),
    (httpx.InvalidURL, Kind.MISCONFIGURED, Stage.CONNECT, "the upstream URL is unusable"),
    (httpx.StreamError, Kind.MISCONFIGURED, None, "the upstream's body was read twice"),
    (httpx.HTTPError, Kind.CLOSED, None, "the exchange with the upstream broke off"),
)


_LIMITS: Mapping[type[Exception], str] = {
    httpx.ConnectTimeout: "connect_timeout",
    httpx.PoolTimeout: "connect_timeout",
    httpx.ReadTimeout: "first_byte_timeout",
    httpx.WriteTimeout: "first_byte_timeout",
}


_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


def _failure(error: Exception, stage: Stage) -> UpstreamFailure:
    kind, known_stage, message = next(row[1:] for row in _KINDS if isinstance(error, row[0]))
    if isinstance(error, httpx.ConnectError):
        message = f"{message}: {error}"
    return UpstreamFailure(kind, message, known_stage or stage, limit=_LIMITS.get(type(error), ""))


def _retry_after(value: str) -> float | None:
    """Reads Retry-After: seconds or an HTTP date; no more than a day is believed."""
    try:
        seconds = (
            float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
