"""One upstream: a vLLM server, or anything that speaks its HTTP API."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import orjson

from penstock_server.upstream import headers
from penstock_server.upstream.allowance import Allowance
from penstock_server.upstream.answer import (
    EVENT_STREAM,
    JsonObject,
    refusal,
    require_stream,
    stored,
    whole,
)
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.multipart import Form
from penstock_server.upstream.operations import NATIVE_RESPONSE, Operation
from penstock_server.upstream.stream import events
from penstock_server.upstream.transport import Request, Response, Transport, limit

_JSON = "application/json"
_PROBE_CONNECTIONS = 10

Body: TypeAlias = Mapping[str, Any] | Form
"""What is sent: a JSON object, or a form, which can be sent only once."""


class Upstream:
    """Calls one upstream and tells what came of it."""

    def __init__(self, config: UpstreamConfig) -> None:
        """Takes where the upstream is and the limits; opens nothing yet."""
        self.name = config.name or urlsplit(config.url).netloc
        self.config = config
        self.outstanding = 0
        self._routes: dict[Operation, tuple[str, ...]] = {}
        self._transport = Transport(config, config.max_connections)
        # An upstream whose connections are all in use is busy, not ill: probes have their own.
        self._probes = Transport(config, _PROBE_CONNECTIONS)

    async def close(self) -> None:
        """Closes all connections."""
        await self._transport.close()
        await self._probes.close()

    async def get(self, path: str, call: Call, timeout_s: float) -> JsonObject:
        """Returns the JSON object that a GET answers.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object, in time.
        """
        request = Request("GET", path, self._headers(call))
        return await self._unary(self._probes, request, limit(timeout_s))

    async def stored(self, method: str, path: str, call: Call) -> JsonObject:
        """Returns a stored response, after something was done to it if the method is POST.

        Raises:
            UpstreamFailure: anything but a 200 with a response, in time.
        """
        request = Request(method, path, self._headers(call))
        bound = Allowance(self.config.timeouts).answer()
        return await self._unary(self._transport, request, bound, read=stored)

    async def has_responses(self, call: Call, timeout_s: float) -> bool | None:
        """Whether it has a Responses API; None if that cannot be told now.

        One that has it says of a response that nobody made that there is none.
        """
        try:
            await self.get(f"{NATIVE_RESPONSE.path}/{call.request_id}", call, timeout_s)
        except UpstreamFailure as failure:
            if failure.route_missing:
                return False
            return True if failure.status == 404 else None
        return False

    async def is_healthy(self, call: Call, timeout_s: float) -> bool:
        """Whether GET /health answers 200 in time."""
        request = Request("GET", "/health", self._headers(call))
        try:
            async with (
                limit(timeout_s),
                self._probes.send(request) as response,
            ):
                return response.status == 200
        except UpstreamFailure:
            return False

    async def call(self, operation: Operation, body: Body, call: Call) -> JsonObject:
        """Returns the answer to a unary request.

        A route that turns out to be missing is followed by the operation's other one; the one
        that is there is remembered.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object.
        """
        missing: list[UpstreamFailure] = []
        for path in self._routes.get(operation, operation.routes):
            try:
                request = self._post(path, body, call, _JSON)
                allowance = Allowance(self.config.timeouts, is_upload=request.is_upload)
                answer = await self._unary(self._transport, request, allowance.answer())
            except UpstreamFailure as failure:
                if not failure.route_missing:
                    raise
                missing.append(failure)
            else:
                if missing:
                    self._routes[operation] = (path, *(f.path for f in missing))
                return answer
        raise missing[0]

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Yields the events of a streaming request; leaving ends the upstream's work.

        The events end normally only when the stream is complete.

        Raises:
            UpstreamFailure: there was no stream; the events raise it when the stream fails.
        """
        request = self._post(operation.path, body, call, EVENT_STREAM)
        async with self._exchange(request), contextlib.AsyncExitStack() as stack:
            allowance = Allowance(self.config.timeouts, is_upload=request.is_upload)
            async with allowance.answer():
                response = await stack.enter_async_context(self._transport.send(request))
                await require_stream(response)
            stream = events(response, contract, allowance)
            yield await stack.enter_async_context(contextlib.aclosing(stream))

    def _post(self, path: str, body: Body, call: Call, accept: str) -> Request:
        head = headers.build(call, self.config.api_key, accept=accept)
        if isinstance(body, Form):
            head["content-type"] = body.content_type
            return Request("POST", path, head, body.encoded(self.config.max_upload_bytes))
        head["content-type"] = _JSON
        return Request("POST", path, head, orjson.dumps(body))

    def _headers(self, call: Call) -> dict[str, str]:
        return headers.build(call, self.config.api_key, accept=_JSON)

    @contextlib.asynccontextmanager
    async def _exchange(self, request: Request) -> AsyncIterator[None]:
        self.outstanding += 1
        try:
            yield
        except UpstreamFailure as failure:
            failure.upstream = self.name
            failure.path = request.path
            failure.hide(self.config.api_key)
            raise
        finally:
            self.outstanding -= 1

    async def _unary(
        self,
        transport: Transport,
        request: Request,
        bound: contextlib.AbstractAsyncContextManager[None],
        read: Callable[[Response], Awaitable[JsonObject]] = whole,
    ) -> JsonObject:
        async with (
            self._exchange(request),
            bound,
            transport.send(request) as response,
        ):
            if response.status != 200:
                raise await refusal(response)
            return await read(response)
