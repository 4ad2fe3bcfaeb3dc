"""HTTP by httpx, and the choice of the transport under it.

Turns every exception of httpx into an `UpstreamFailure`, so that nothing above knows which
HTTP library is in use.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
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
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.pool import Pool

# uvicorn, vLLM's HTTP server, closes idle connections after 5 s. Ours go first, so that no
# request is sent into a connection that is just being closed.
_KEEPALIVE_EXPIRY_S = 4.0
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_EVENT_STREAM = "text/event-stream"
_MOST_TARGETS = 64

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

    def __init__(self, response: httpx.Response) -> None:
        """Wraps an open httpx response."""
        self._headers = response.headers
        self._response = response
        self._connection: Connection = response.extensions["network_stream"]
        self.status = response.status_code
        self.content_type = self._headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """The header Retry-After, in seconds from now."""
        return _retry_after(self._headers.get("retry-after", ""))

    @property
    def metadata(self) -> str:
        """The header that describes vectors sent as bytes."""
        value: str = self._headers.get("metadata", "")
        return value

    async def read(self, limit: int | None = None) -> bytes:
        """Returns the body; with a limit, at most about that many bytes of it.

        Raises:
            UpstreamFailure: the body ended early or could not be decoded.
        """
        reached.set(Stage.BODY)
        body: list[bytes] = []
        size = 0
        try:
            async for block in self._body():
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
            async for block in self._body():
                yield block
        except _ERRORS as error:
            raise _failure(error, Stage.STREAM) from error

    def wait_until(self, until: float) -> None:
        """Bounds every wait for the body from now on, by the monotonic clock.

        Reading raises an UpstreamFailure, TIMEOUT, when the time is over.
        """
        self._connection.read_until = until

    async def close(self, failure: UpstreamFailure | None) -> None:
        """Ends the exchange, which failed or did not; its connection may take another request.

        A body that is longer than its Content-Length leaves its rest in the connection, where it
        would be read as the beginning of the next answer. So none follows an answer that may be
        cut.
        """
        suspect = failure.kind in _SUSPECT if failure else False
        if suspect or (self.content_type == _EVENT_STREAM and "content-length" in self._headers):
            await self._connection.aclose()
        await self._response.aclose()

    def _body(self) -> AsyncIterator[bytes]:
        if "content-encoding" in self._headers:
            return self._response.aiter_bytes()
        # The same without httpx's own layers, which matter in streams.
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        return aiter(self._response.stream)


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
        timeouts = config.timeouts
        connecting: dict[str, float | None] = {
            "connect": timeouts.connect,
            "pool": timeouts.connect,
        }
        self._limits = connecting | {"read": None, "write": None}
        self._upload_limits = connecting | {
            "read": timeouts.first_byte,
            "write": timeouts.first_byte,
        }
        socket = urlsplit(config.url).path if config.url.startswith("unix:") else ""
        self._url = httpx.URL("http://localhost" if socket else config.url)
        self._host = self._url.netloc
        self._target = lru_cache(_MOST_TARGETS)(self._target_of)
        self._http: httpx.AsyncBaseTransport = Pool(
            _address(self._url, config, pinned_address, socket),
            max_connections,
            _KEEPALIVE_EXPIRY_S,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

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
        built: httpx.Request | None = None
        try:
            built = self._built(request)
            return Response(await self._http.handle_async_request(built))
        except _ERRORS as error:
            failure = _failure(error, Stage.HEADERS)
            failure.reused = bool(built and built.extensions.get("reused"))
            raise failure from error

    def _built(self, request: Request) -> httpx.Request:
        """Returns httpx's form of a request; built by hand, which costs a fraction."""
        head = [(b"host", self._host)]
        try:
            head += [
                (name.encode(), value.encode("ascii")) for name, value in request.headers.items()
            ]
        except UnicodeEncodeError:
            raise httpx.LocalProtocolError("a header is not ASCII") from None
        stream: httpx.AsyncByteStream
        if isinstance(request.content, bytes):
            limits = self._limits
            stream = httpx.ByteStream(request.content)
            if request.content or request.method == "POST":
                head.append((b"content-length", b"%d" % len(request.content)))
        else:
            limits = self._upload_limits
            stream = _Content(request.content)
            head.append((b"transfer-encoding", b"chunked"))
        url = self._target(request.path)
        return httpx.Request(
            request.method, url, headers=head, stream=stream, extensions={"timeout": limits}
        )

    def _target_of(self, path: str) -> httpx.URL:
        target = self._url.raw_path.rstrip(b"/") + httpx.URL(path).raw_path
        return self._url.copy_with(raw_path=target)


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


class _Content(httpx.AsyncByteStream):
    """Content that is sent as it arrives."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._content


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
