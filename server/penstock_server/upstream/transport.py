"""HTTP by httpx: the only module that imports it.

Turns every exception of httpx into an `UpstreamFailure`, so that nothing above knows which
HTTP library is in use.
"""

import asyncio
import contextlib
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time

import h11
import httpx

from penstock_server.upstream import duplex
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure, reached

# uvicorn, vLLM's HTTP server, closes idle connections after 5 s. Ours go first, so that no
# request is sent into a connection that is just being closed.
_KEEPALIVE_EXPIRY_S = 4.0
_ERROR_BODY_LIMIT = 1024 * 1024
_LONGEST_RETRY_AFTER_S = 24 * 3600.0
_EVENT_STREAM = "text/event-stream"

# A body that is longer than its Content-Length leaves its rest in the connection, where it would
# be read as the beginning of the next answer. So none follows an answer that may be cut.
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
    """The head of an answer, whose body is still to be read."""

    def __init__(self, response: httpx.Response) -> None:
        """Wraps an open httpx response."""
        self._response = response
        self.status = response.status_code
        kind = response.headers.get("content-type", "").partition(";")[0]
        self.content_type = kind.strip().lower()
        self.retry_after_s = _retry_after(response.headers.get("retry-after", ""))
        self.metadata = response.headers.get("metadata", "")
        # Whether nothing may follow it on its connection.
        self.suspect = self.content_type == _EVENT_STREAM and "content-length" in response.headers

    async def read(self, limit: int | None = None) -> bytes:
        """Returns the body; with a limit, at most about that many bytes of it.

        Raises:
            UpstreamFailure: the body ended early or could not be decoded.
        """
        body = bytearray()
        with _failures(Stage.BODY):
            async for block in self._response.aiter_bytes():
                body += block
                if limit is not None and len(body) >= limit:
                    break
        return bytes(body)

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
        with _failures(Stage.STREAM):
            async for block in self._response.aiter_bytes():
                yield block


class Transport:
    """Connections to one upstream."""

    def __init__(self, config: UpstreamConfig, max_connections: int) -> None:
        """Takes where the upstream is and the limits; opens nothing yet."""
        self._timeouts = timeouts = config.timeouts
        self._tls: ssl.SSLContext | None = None
        self._client = httpx.AsyncClient(
            base_url=config.url,
            timeout=httpx.Timeout(None, connect=timeouts.connect, pool=timeouts.connect),
            limits=httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=_KEEPALIVE_EXPIRY_S,
            ),
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Response]:
        """Sends a request; yields the answer's head. Leaving closes the exchange.

        Raises:
            UpstreamFailure: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        if not isinstance(request.content, bytes):
            async with self._upload(request, request.content) as answer:
                yield answer
            return
        with _failures(Stage.HEADERS):
            built = self._client.build_request(
                request.method,
                request.path,
                headers=dict(request.headers),
                content=request.content or None,
            )
            response = await self._client.send(built, stream=True)
        answer = Response(response)
        try:
            yield answer
        except UpstreamFailure as failure:
            answer.suspect = answer.suspect or failure.kind in _SUSPECT
            raise
        finally:
            if answer.suspect:
                await response.extensions["network_stream"].aclose()
            await response.aclose()

    @contextlib.asynccontextmanager
    async def _upload(
        self, request: Request, content: AsyncGenerator[bytes, None]
    ) -> AsyncIterator[Response]:
        built = self._client.build_request(
            request.method, request.path, headers=dict(request.headers), content=content
        )
        head = h11.Request(
            method=built.method, target=built.url.raw_path, headers=built.headers.raw
        )
        async with contextlib.AsyncExitStack() as stack:
            with _failures(Stage.HEADERS):
                exchanging = duplex.exchange(self._peer(built.url), head, content)
                answer = await stack.enter_async_context(exchanging)
            blocks = await stack.enter_async_context(contextlib.aclosing(answer.blocks))
            yield Response(httpx.Response(answer.status, headers=answer.headers, content=blocks))

    def _peer(self, url: httpx.URL) -> duplex.Peer:
        secure = url.scheme == "https"
        if secure and self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return duplex.Peer(
            url.host,
            url.port or (443 if secure else 80),
            self._tls,
            self._timeouts.connect,
            self._timeouts.first_byte,
        )


@contextlib.asynccontextmanager
async def limit(seconds: float) -> AsyncIterator[None]:
    """Bounds what runs inside it.

    Raises:
        UpstreamFailure: TIMEOUT, when the time is over.
    """
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else seconds):
            yield
    except TimeoutError:
        message = f"no answer from the upstream within {seconds:g} s"
        raise UpstreamFailure(Kind.TIMEOUT, message, reached.get()) from None


# In order: the first class that matches decides. No stage: the one in which it was raised.
_KINDS: tuple[tuple[type[Exception], Kind, Stage | None, str], ...] = (
    (httpx.PoolTimeout, Kind.OVERLOADED, Stage.CONNECT, "all upstream connections are in use"),
    (httpx.ConnectError, Kind.CONNECT, Stage.CONNECT, "could not connect to the upstream"),
    (httpx.ConnectTimeout, Kind.CONNECT, Stage.CONNECT, "could not connect in time"),
    (httpx.ProxyError, Kind.CONNECT, Stage.CONNECT, "the proxy refused the connection"),
    (httpx.WriteError, Kind.CONNECT, Stage.REQUEST, "the connection broke while sending"),
    (httpx.WriteTimeout, Kind.CONNECT, Stage.REQUEST, "could not send in time"),
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
    (duplex.Unreachable, Kind.CONNECT, Stage.CONNECT, "could not connect to the upstream"),
    (duplex.Unsent, Kind.CONNECT, Stage.REQUEST, "the connection broke while sending"),
    (duplex.Stalled, Kind.TIMEOUT, None, "no answer in time"),
    (duplex.Lost, Kind.CLOSED, None, "the upstream closed the connection early"),
)


_LIMITS: Mapping[type[Exception], str] = {
    httpx.ConnectTimeout: "connect_timeout",
    httpx.PoolTimeout: "connect_timeout",
    duplex.Stalled: "first_byte_timeout",
}


@contextlib.contextmanager
def _failures(stage: Stage) -> Iterator[None]:
    reached.set(stage)
    try:
        yield
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        httpx.StreamError,
        duplex.ExchangeError,
    ) as error:
        kind, known_stage, message = next(row[1:] for row in _KINDS if isinstance(error, row[0]))
        fired = _LIMITS.get(type(error), "")
        raise UpstreamFailure(kind, message, known_stage or stage, limit=fired) from error


def _retry_after(value: str) -> float | None:
    """Reads Retry-After: seconds or an HTTP date; no more than a day is believed."""
    try:
        seconds = (
            float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
