"""One upstream: a vLLM server, or anything that speaks its HTTP API."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Any, TypeAlias

import orjson

from penstock_server.upstream.answer import (
    JsonObject,
    refusal,
    require_own,
    require_stream,
    require_whole,
    stored,
    whole,
)
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.config import UpstreamConfig, place
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.headers import Headers
from penstock_server.upstream.http.request import Request
from penstock_server.upstream.http.response import EVENT_STREAM, Response
from penstock_server.upstream.http.transport import Transport
from penstock_server.upstream.limits import Limits, ProbeLimits
from penstock_server.upstream.multipart import Form
from penstock_server.upstream.operations import NATIVE_RESPONSE, Method, Operation
from penstock_server.upstream.redaction import Redaction
from penstock_server.upstream.stream import events

_JSON = "application/json"
_PROBE_CONNECTIONS = 10
# The description of all routes is the largest, with less than one megabyte.
_LARGEST_PROBE_ANSWER = 16 * 1024 * 1024
_SHORTEST_SECRET = 8
_LATEST_SHARE = 0.2
"""What the latest answer counts in the moving average."""

Body: TypeAlias = Mapping[str, Any] | Form
"""What is sent: a JSON object, or a form."""


class Upstream:
    """Calls one upstream and tells what came of it.

    Attributes:
        name: what people call it.
        config: its configuration.
        outstanding: requests under way, probes among them.
        latency_s: the time until the headers of an answer, a moving average over calls, in
            seconds; None before the first.
    """

    def __init__(self, config: UpstreamConfig, pinned_address: str = "") -> None:
        """Takes where the upstream is and the limits; opens nothing yet.

        Args:
            config: the upstream.
            pinned_address: the IP address to connect to, in place of the URL's host.
        """
        self.name = config.name or place(config.url)
        self.config = config
        self.outstanding = 0
        self.latency_s: float | None = None
        # Shorter values of headers are no secrets, and parts of ordinary words.
        long = (value for value in config.headers.values() if len(value) >= _SHORTEST_SECRET)
        self._secrets = (config.api_key, *long)
        self._headers = Headers(config.api_key, config.headers)
        self._routes: dict[Operation, tuple[str, ...]] = {}
        self._pinned_address = pinned_address
        self._transport = Transport(
            config,
            pinned_address,
            max_connections=config.max_connections,
            max_answer_bytes=config.max_answer_bytes,
        )
        # An upstream whose connections are all in use is busy, not ill: probes have their own.
        self._probes = Transport(
            config,
            pinned_address,
            max_connections=_PROBE_CONNECTIONS,
            max_answer_bytes=_LARGEST_PROBE_ANSWER,
        )

    def reconfigured(self, config: UpstreamConfig) -> "Upstream":
        """Returns what speaks with the same server, over the same connections, in another way.

        Only what is at the same place is the same server. Calls that are under way go on.
        """
        other = Upstream(config, self._pinned_address)
        other.latency_s, other._routes, other._probes = self.latency_s, self._routes, self._probes
        if _bounds(config) == _bounds(self.config):
            other._transport = self._transport
        else:
            self._transport.close()
        return other

    def close(self) -> None:
        """Closes all connections, those in use once they are no more."""
        self._transport.close()
        self._probes.close()

    async def get(self, path: str, call: Call, timeout_s: float) -> JsonObject:
        """Returns the JSON object that a GET answers.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object, in time.
        """
        request = self._bare("GET", path, call)
        return await self._unary(self._probes, request, call, ProbeLimits(timeout_s))

    async def stored(self, method: Method, path: str, call: Call) -> JsonObject:
        """Returns a stored response, after something was done to it if the method is POST.

        Raises:
            UpstreamFailure: anything but a 200 with a response, in time.
        """
        call.attempts.add(self.name)
        request = self._bare(method, path, call)
        limits = Limits(self.config.timeouts)
        answer = await self._unary(self._transport, request, call, limits, read=stored)
        self._redaction(call, request).response(answer)
        return answer

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

    async def require_health(self, call: Call, timeout_s: float) -> None:
        """Returns if its health route answers 200 in time, or if it has none to ask.

        Raises:
            UpstreamFailure: the route answers something else, or nothing in time.
        """
        if not self.config.health_path:
            return
        request = self._bare("GET", self.config.health_path, call)
        with self._exchange(request, call):
            async with self._probes.send(request, ProbeLimits(timeout_s)) as response:
                if response.status != 200:
                    raise await refusal(response)

    async def call(
        self,
        operation: Operation,
        body: Body,
        call: Call,
        choices: int | None = None,
        *,
        has_model: bool = False,
    ) -> JsonObject:
        """Returns the answer to a unary request, which must have so many choices, if any.

        A route that turns out to be missing is followed by the operation's other ones, and so is
        one that does not know a model that the upstream has: some routers rewrite what comes on
        one route and pass on what comes on another. The one that works is remembered.

        Raises:
            UpstreamFailure: anything but a 200 with an ordinary JSON object.
        """
        call.attempts.add(self.name)
        missing: list[UpstreamFailure] = []
        routes = self._routes.get(operation, operation.routes)
        for path in routes:
            try:
                request = self._post(operation, path, body, call, _JSON)
                limits = Limits(self.config.timeouts, is_upload=request.is_upload)
                answer = await self._unary(self._transport, request, call, limits, choices=choices)
            except UpstreamFailure as failure:
                if not (failure.route_missing or (has_model and failure.model_missing)):
                    raise
                missing.append(failure)
            else:
                if missing:
                    others = (route for route in routes if route != path)
                    self._routes[operation] = (path, *others)
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
        call.attempts.add(self.name)
        request = self._post(operation, operation.path, body, call, EVENT_STREAM)
        limits, started = Limits(self.config.timeouts, is_upload=request.is_upload), monotonic()
        with self._exchange(request, call):
            async with self._transport.send(request, limits) as response:
                self._answered(started)
                require_own(response)
                await require_stream(response)
                async with contextlib.aclosing(events(response, contract, limits)) as stream:
                    yield stream

    def _bare(self, method: Method, path: str, call: Call) -> Request:
        headers = self._headers.build(call, _JSON)
        return Request(method, path, headers, attempts=call.attempts)

    def _post(
        self, operation: Operation, path: str, body: Body, call: Call, accept: str
    ) -> Request:
        head = self._headers.build(call, accept)
        if isinstance(body, Form):
            head["content-type"] = body.content_type
            content = body.encoded(self.config.max_upload_bytes)
            return Request("POST", path, head, content, call.attempts)
        head["content-type"] = _JSON
        only_once = not operation.repeatable
        return Request("POST", path, head, orjson.dumps(body), call.attempts, only_once)

    def _exchange(self, request: Request, call: Call) -> "_Counted":
        return _Counted(self, request, call)

    def _placed(self, failure: UpstreamFailure, request: Request, call: Call) -> UpstreamFailure:
        """Returns a failure of a request, with its place and without secrets."""
        redaction = self._redaction(call, request)
        return replace(
            failure,
            message=redaction.text(failure.message),
            error=redaction.error(failure.error),
            upstream=self.name,
            path=request.path,
            callers_credentials=call.authorization is not None,
        )

    def _redaction(self, call: Call, request: Request) -> Redaction:
        secrets = (*self._secrets, _token(call.authorization or ""))
        sent = request.content if isinstance(request.content, bytes) else b""
        return Redaction(secrets, (call.model, *self.config.models.values()), sent)

    async def _unary(
        self,
        transport: Transport,
        request: Request,
        call: Call,
        limits: Limits,
        read: Callable[[Response], Awaitable[JsonObject]] = whole,
        choices: int | None = None,
    ) -> JsonObject:
        started = monotonic()
        with self._exchange(request, call):
            async with transport.send(request, limits) as response:
                if transport is self._transport:
                    self._answered(started)
                require_own(response)
                if response.status != 200:
                    raise await refusal(response)
                answer = await read(response)
                require_own(response, answer)
                if choices is not None:
                    require_whole(answer, choices)
                return answer

    def _answered(self, started: float) -> None:
        latest = monotonic() - started
        earlier = latest if self.latency_s is None else self.latency_s
        self.latency_s = earlier + _LATEST_SHARE * (latest - earlier)


class _Counted:
    """An exchange under way; a context manager, which tells failures what they are of."""

    __slots__ = ("_call", "_request", "_upstream")

    def __init__(self, upstream: Upstream, request: Request, call: Call) -> None:
        self._upstream = upstream
        self._request = request
        self._call = call

    def __enter__(self) -> None:
        self._upstream.outstanding += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._upstream.outstanding -= 1
        if isinstance(error, UpstreamFailure):
            # Not from the failure itself: it may hold secrets, and a traceback would show them.
            raise self._upstream._placed(error, self._request, self._call) from None


def _bounds(config: UpstreamConfig) -> tuple[int, int]:
    """Returns what a pool of connections is made with."""
    return config.max_connections, config.max_answer_bytes


def _token(authorization: str) -> str:
    """Returns the secret part of credentials, which follows the name of their scheme."""
    return authorization.partition(" ")[2].strip() or authorization
