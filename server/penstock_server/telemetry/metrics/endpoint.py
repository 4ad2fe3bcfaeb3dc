"""The HTTP server of the metrics: GET /metrics, and nothing else.

The answers come from prometheus-client's WSGI application, which negotiates the format. It runs on
a thread, so that writing thousands of lines does not delay calls.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

import h11
from prometheus_client import CollectorRegistry, make_wsgi_app

from penstock_server import unix_socket
from penstock_server.telemetry import events

PATH = "/metrics"

_UNIX = "unix:"
_LIMIT_S = 10.0
_READ_BYTES = 16 * 1024


Prepare = Callable[[], Awaitable[CollectorRegistry]]
"""Returns the metrics as they are now."""
Answer: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


class MetricsServer:
    """Serves metrics on an address, or nothing if it has none.

    Attributes:
        address: the address, with the bound port once there is one; empty for none.
    """

    def __init__(self, address: str, prepare: Prepare, tls: ssl.SSLContext | None = None) -> None:
        """Prepares to serve.

        Args:
            address: HOST:PORT or unix:/PATH; empty for none.
            prepare: returns the metrics; it runs on the event loop.
            tls: the context of TLS connections; None for plaintext.
        """
        self.address = address
        self._prepare = prepare
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Serves, if it has an address.

        Raises:
            OSError: the address is taken, or not one of this machine.
        """
        if not self.address:
            return
        if self.address.startswith(_UNIX):
            path = self.address.removeprefix(_UNIX)
            unix_socket.require_free(path)
            self._server = await asyncio.start_unix_server(self._serve, path)
        else:
            host, _, port = self.address.rpartition(":")
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), ssl=self._tls
            )
            bound = self._server.sockets[0].getsockname()[1]
            self.address = f"{host}:{bound}"
        events.SERVING_METRICS.log(address=self.address)

    async def stop(self) -> None:
        """Stops at once; safe at any time."""
        if not self._server:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self.address.startswith(_UNIX):
            unix_socket.remove(self.address.removeprefix(_UNIX))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._exchange(reader, writer)
        except (TimeoutError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request; connections are not kept."""
        http = h11.Connection(h11.SERVER)
        try:
            request = await _request(http, reader)
        except h11.RemoteProtocolError as error:
            answered: Answer = error.error_status_hint, [], b""
            sent = b""
        else:
            answered = await self._answer(request)
            sent = b"" if request.method == b"HEAD" else answered[2]
        status, headers, body = answered
        fields = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        head = h11.Response(status_code=status, headers=fields)
        for event in (head, h11.Data(data=sent), h11.EndOfMessage()):
            writer.write(http.send(event) or b"")
        await writer.drain()

    async def _answer(self, request: h11.Request) -> Answer:
        path, _, query = request.target.decode().partition("?")
        if path != PATH:
            return HTTPStatus.NOT_FOUND, [], b"the metrics are at /metrics\n"
        fields = {name: value.decode("latin-1") for name, value in request.headers}
        environment = {
            "REQUEST_METHOD": "GET" if request.method == b"HEAD" else request.method.decode(),
            "PATH_INFO": PATH,
            "QUERY_STRING": query,
            "HTTP_ACCEPT": fields.get(b"accept"),
            "HTTP_ACCEPT_ENCODING": fields.get(b"accept-encoding"),
        }
        # However many scrape at once, calls wait for one thread at most.
        async with self._one_at_a_time:
            try:
                registry = await self._prepare()
                return await asyncio.to_thread(_exposition, registry, environment)
            except Exception as bug:
                events.METRICS_FAILED.log(bug)
                return HTTPStatus.INTERNAL_SERVER_ERROR, [], b""


async def _request(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            raise ConnectionError


def _exposition(registry: CollectorRegistry, environment: dict[str, Any]) -> Answer:
    answered: list[tuple[int, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        answered.append((int(status.partition(" ")[0]), headers))

    body = b"".join(make_wsgi_app(registry)(environment, start))
    [(status, headers)] = answered
    return status, headers, body
