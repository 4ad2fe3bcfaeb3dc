"""One upstream: a vLLM server, or anything that speaks its HTTP API."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from penstock_server.upstream import headers
from penstock_server.upstream.answer import (
    EVENT_STREAM,
    JsonObject,
    document,
    refusal,
    require_stream,
)
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Stage, UpstreamFailure
from penstock_server.upstream.headers import Call
from penstock_server.upstream.operations import Operation
from penstock_server.upstream.stream import events
from penstock_server.upstream.transport import Request, Timeouts, Transport, limit

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is and how it is spoken to.

    Attributes:
        url: the base URL, without `/v1`.
        api_key: sent as bearer; empty for none.
    """

    url: str
    api_key: str = ""


class Upstream:
    """Calls one upstream and tells what came of it."""

    def __init__(self, address: Address, timeouts: Timeouts, max_connections: int = 1000) -> None:
        """Takes where the upstream is and the limits; opens nothing yet."""
        self.name = urlsplit(address.url).netloc
        self.outstanding = 0
        self._api_key = address.api_key
        self._timeouts = timeouts
        self._transport = Transport(address.url, timeouts, max_connections)

    async def close(self) -> None:
        """Closes all connections."""
        await self._transport.close()

    async def get(self, path: str, call: Call) -> JsonObject:
        """Returns the JSON object that a GET answers.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object.
        """
        return await self._unary(Request("GET", path, self._headers(call)))

    async def is_healthy(self, call: Call, timeout_s: float) -> bool:
        """Whether GET /health answers 200 in time."""
        request = Request("GET", "/health", self._headers(call))
        try:
            async with (
                limit(timeout_s, Stage.HEADERS),
                self._transport.send(request) as response,
            ):
                return response.status == 200
        except UpstreamFailure:
            return False

    async def call(self, operation: Operation, body: Mapping[str, Any], call: Call) -> JsonObject:
        """Returns the answer to a unary request.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object.
        """
        return await self._unary(self._post(operation, body, call, _JSON))

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Mapping[str, Any], call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Yields the events of a streaming request; leaving ends the upstream's work.

        The events end normally only when the stream is complete.

        Raises:
            UpstreamFailure: there was no stream; the events raise it when the stream fails.
        """
        request = self._post(operation, body, call, EVENT_STREAM)
        async with self._exchange(request), contextlib.AsyncExitStack() as stack:
            async with limit(self._timeouts.first_byte, Stage.HEADERS):
                response = await stack.enter_async_context(self._transport.send(request))
                await require_stream(response)
            stream = events(response, contract, self._timeouts)
            yield await stack.enter_async_context(contextlib.aclosing(stream))

    def _post(
        self, operation: Operation, body: Mapping[str, Any], call: Call, accept: str
    ) -> Request:
        head = headers.build(call, self._api_key, accept=accept)
        head["content-type"] = _JSON
        return Request("POST", operation.path, head, orjson.dumps(body))

    def _headers(self, call: Call) -> dict[str, str]:
        return headers.build(call, self._api_key, accept=_JSON)

    @contextlib.asynccontextmanager
    async def _exchange(self, request: Request) -> AsyncIterator[None]:
        self.outstanding += 1
        try:
            yield
        except UpstreamFailure as failure:
            failure.upstream = self.name
            failure.path = request.path
            raise
        finally:
            self.outstanding -= 1

    async def _unary(self, request: Request) -> JsonObject:
        async with (
            self._exchange(request),
            limit(self._timeouts.first_byte, Stage.HEADERS),
            self._transport.send(request) as response,
        ):
            if response.status != 200:
                raise await refusal(response)
            return document(await response.read(), Stage.BODY)
