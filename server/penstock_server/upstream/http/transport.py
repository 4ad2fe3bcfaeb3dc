"""The transport of httpx that the service uses: HTTP/1.1 over kept connections.

httpx's own transport costs several times the CPU of everything else that a call needs, reads an
answer only once the whole request is sent, and does not report whether a request failed because a
kept connection had just been closed. This one uses httptools, and works wherever an
`httpx.AsyncBaseTransport` does, and another can take its place. The types of httpx add 3 % to the
instructions of a short unary call, and nothing to an event of a stream.

Beyond `timeout`, a request may have these extensions:

- `deadline`: returns the time, by the monotonic clock, at which waiting for the answer ends. It
  replaces the read timeout, and is called again when an upload has been sent.
- `fresh_connection`: whether a kept connection must not be used.

The stream of a response is a `Body`. The response to an upload has the extension `upload`.
"""

from collections.abc import Sequence
from time import monotonic

import httpx

from penstock_server.upstream.config import Tls
from penstock_server.upstream.http.address import address_from
from penstock_server.upstream.http.body import Body
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.deadline import deadline, timeouts
from penstock_server.upstream.http.messages import LazyRequest, LazyResponse
from penstock_server.upstream.http.pool import Pool
from penstock_server.upstream.http.upload import Upload

# The size of buffers on the way. Over TLS, the number of bytes still to be sent is not known.
_SURELY_SENT_BYTES = 64 * 1024

# The closing of a kept connection is detected within a round trip.
_LEFT_S = 1.0

_BROKEN = (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


class StaleConnection(httpx.ReadError):
    """The server closed a kept connection just as the request was sent; it may be retried."""


class Transport(httpx.AsyncBaseTransport):
    """Connections to one server, whatever URL a request names.

    Attributes:
        pool: the connections.
    """

    def __init__(
        self,
        url: httpx.URL,
        *,
        max_connections: int,
        tls: Tls | None = None,
        pinned_address: str = "",
        socket: str = "",
    ) -> None:
        """Creates the transport; opens no connection yet.

        Args:
            url: a URL of the server.
            max_connections: most connections at once.
            tls: how to verify an https server.
            pinned_address: the IP address to connect to instead of the URL's host.
            socket: the path of the Unix socket to connect to instead of the URL's host.

        Raises:
            ValueError: the scheme of the URL is neither http nor https.
        """
        address = address_from(url, tls or Tls(), pinned_address, socket)
        self.pool = Pool(address, max_connections)

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        self.pool.close()

    async def aclose(self) -> None:
        """Closes the transport; see `close`."""
        self.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request; returns the response as soon as its head has arrived.

        Raises:
            httpx.TransportError: there was no response, or the request cannot be sent.
            StaleConnection: there was no response because a kept connection was closed.
            Exception: whatever the content of an upload raises.
        """
        head, stream, extensions = head_of(request), request.stream, request.extensions
        if not isinstance(stream, httpx.ByteStream):
            return await self._upload(request, head)
        content = tuple(stream)
        connection = await self.pool.acquire(
            timeouts(extensions), deadline(extensions), fresh="fresh_connection" in extensions
        )
        written = monotonic()
        try:
            connection.write(head, *content)
            await connection.head()
        except BaseException as error:
            stale = _is_stale(connection, error, written)
            self.pool.release(connection)
            if stale:
                raise StaleConnection(str(error)) from error
            raise
        # A server that refused a long request may not have read it all.
        unread = connection.answer.status >= 300 and sum(map(len, content)) > _SURELY_SENT_BYTES
        body = Body(self.pool, connection, extensions, unread=unread)
        return LazyResponse(connection.answer.status, connection.answer.headers, body)

    async def _upload(self, request: httpx.Request, head: bytes) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        content = aiter(request.stream)
        # Without any content, there is nothing to connect for.
        first = await anext(content, b"")
        # A body that can be sent only once must not be sent on a connection that may be closing.
        extensions = request.extensions
        connection = await self.pool.acquire(timeouts(extensions), deadline(extensions), fresh=True)
        upload = Upload(
            connection,
            content,
            timeouts(extensions).get("write"),
            lambda: connection.wait_until(deadline(extensions)),
            chunked=b"transfer-encoding:" in head.lower(),
        )
        body = Body(self.pool, connection, extensions, upload)
        try:
            await upload.send(head, first)
        except BaseException:
            await body.aclose()
            raise
        answer = connection.answer
        return LazyResponse(answer.status, answer.headers, body, {"upload": upload})


def head_of(request: httpx.Request) -> bytes:
    """Returns the first line and the headers of a request, as they are sent.

    Raises:
        httpx.LocalProtocolError: a header cannot be sent.
    """
    fields = request.fields if isinstance(request, LazyRequest) else None
    pairs = _decoded(request) if fields is None else fields.items()
    try:
        first = f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"
        head = "\r\n".join([first, *map(": ".join, pairs), "", ""])
        if not head.count("\r") == head.count("\n") == len(pairs) + 2 or "\0" in head:
            raise httpx.LocalProtocolError("a header contains a line ending or a zero byte")
        return head.encode("ascii")
    except UnicodeEncodeError:
        raise httpx.LocalProtocolError("a header is not ASCII") from None


def _decoded(request: httpx.Request) -> Sequence[tuple[str, str]]:
    raw = request.headers.raw
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def _is_stale(connection: Connection, error: BaseException, written: float) -> bool:
    """Returns whether the server closed an idle connection just as the request arrived."""
    left = isinstance(error, _BROKEN) and connection.used and not connection.answer.begun
    return left and monotonic() - written <= _LEFT_S
