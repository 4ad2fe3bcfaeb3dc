"""The client of one upstream: a vLLM server, or any other server with its HTTP API."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from penstock_server.base64_text import dumped
from penstock_server.upstream.answer import (
    embeddings,
    refusal,
    require_own,
    require_stream,
    require_whole,
    stored,
    whole,
)
from penstock_server.upstream.base_url import address_of
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.exchange import ID, PATH, Exchange, UploadStream
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.headers import Headers
from penstock_server.upstream.http.address import address_from
from penstock_server.upstream.http.messages import LazyRequest, Pieces
from penstock_server.upstream.http.transport import Transport
from penstock_server.upstream.limits import Limits, ProbeLimits
from penstock_server.upstream.live import LiveSession
from penstock_server.upstream.merging import JsonObject
from penstock_server.upstream.multipart import Body, Form
from penstock_server.upstream.operations import EMBEDDING, NATIVE_RESPONSE, Method, Operation
from penstock_server.upstream.redaction import Redaction
from penstock_server.upstream.response import EVENT_STREAM, Response
from penstock_server.upstream.stream import events
from penstock_server.upstream.websocket import connected

_JSON = "application/json"
_PROBE_CONNECTIONS = 10
# The largest is the description of all routes, with less than one megabyte.
_LARGEST_PROBE_ANSWER = 16 * 1024 * 1024
_MOST_URLS = 64
_LATEST_SHARE = 0.2
"""The weight of the latest answer in the moving average."""


@dataclass(slots=True)
class Sessions:
    """The live sessions of one server, which successive clients count together.

    Attributes:
        open: the number of open sessions.
    """

    open: int = 0


class Upstream:
    """Sends requests to one upstream.

    Attributes:
        name: its name in reports.
        config: its configuration.
        latency_s: seconds until the headers of an answer, as a moving average over calls; None
            before the first.
        working_routes: routes of operations whose usual route does not work.
        transport: sends calls.
        probes: sends probes over separate connections: an upstream whose other connections are all
            in use is busy, not unhealthy.
        sessions: its live sessions, including those that an earlier client of the server opened.
    """

    sessions: Sessions
    latency_s: float | None
    working_routes: dict[Operation, tuple[str, ...]]

    def __init__(
        self,
        config: UpstreamConfig,
        pinned_address: str = "",
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        earlier: "Upstream | None" = None,
    ) -> None:
        """Creates the client of an upstream; opens no connection yet.

        Args:
            config: the upstream.
            pinned_address: the IP address to connect to instead of the URL's host.
            transport: sends all requests, and belongs to the caller; None for its own connections.
            earlier: the client of the same server to take the connections over from, if any.
        """
        self.name = config.name or address_of(config.url)
        self.config = config
        self._secrets = config.secrets
        self._pinned_address = pinned_address
        self._socket = urlsplit(config.url).path if config.url.startswith("unix:") else ""
        self._base = httpx.URL("http://localhost" if self._socket else config.url)
        self._headers = Headers(config.api_key, config.headers, self._base.netloc.decode())
        self._url = lru_cache(_MOST_URLS)(self._url_of)
        self._given_transport = transport
        self.sessions = earlier.sessions if earlier else Sessions()
        self.latency_s = earlier.latency_s if earlier else None
        self.working_routes = earlier.working_routes if earlier else {}
        self.transport = transport or self._new_transport(config.max_connections)
        self.probes = transport or self._new_transport(_PROBE_CONNECTIONS)
        if earlier:
            self.probes = earlier.probes
            if config.max_connections == earlier.config.max_connections:
                self.transport = earlier.transport

    def reconfigured(self, config: UpstreamConfig) -> "Upstream":
        """Returns a client of the same server with another configuration and the same connections.

        The configuration must be for the same place. Running requests continue.
        """
        transport = self._given_transport
        other = Upstream(config, self._pinned_address, transport=transport, earlier=self)
        if other.transport is not self.transport and isinstance(self.transport, Transport):
            self.transport.close()
        return other

    def _new_transport(self, max_connections: int) -> Transport:
        return Transport(
            self._base,
            max_connections=max_connections,
            tls=self.config.tls,
            pinned_address=self._pinned_address,
            socket=self._socket,
        )

    @property
    def outstanding(self) -> int:
        """The number of its own connections in use, including those of probes."""
        used = sum(transport.pool.in_use for transport in self._own_transports)
        return used + self.sessions.open

    @property
    def _in_use(self) -> int:
        """The number of connections of calls."""
        transport = self.transport
        pooled = transport.pool.in_use if isinstance(transport, Transport) else 0
        return self.sessions.open + pooled

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        for transport in self._own_transports:
            transport.close()

    @property
    def _own_transports(self) -> Sequence[Transport]:
        if self._given_transport:
            return ()
        return [one for one in (self.transport, self.probes) if isinstance(one, Transport)]

    async def get(self, path: str, call: Call, timeout_s: float) -> JsonObject:
        """Returns the JSON object at a path.

        Raises:
            UpstreamFailure: there was no answer of status 200 with a valid JSON object in time.
        """
        request = self._bare("GET", path, call)
        return await self._unary(request, call, ProbeLimits(timeout_s))

    async def text(
        self,
        method: Method,
        path: str,
        call: Call,
        timeout_s: float,
        body: JsonObject | None = None,
    ) -> str:
        """Returns the text of an answer; with a body, which becomes JSON, or without one.

        Raises:
            UpstreamFailure: there was no answer of status 200 in time.
        """
        request = self._bare(method, path, call)
        if body is not None:
            request = self._json(path, body, self._headers.build(call, _JSON))
        try:
            async with self.exchange(request, call, ProbeLimits(timeout_s)) as response:
                if response.status != 200:
                    raise await refusal(response)
                return (await response.read()).decode("utf-8", "replace")
        except UpstreamFailure as failure:
            raise self._placed(failure, request, call) from None

    async def stored(self, method: Method, path: str, call: Call) -> JsonObject:
        """Returns a stored response; with POST, performs an action on it first.

        Raises:
            UpstreamFailure: there was no answer of status 200 with a response in time.
        """
        call.attempts.add(self.name)
        request = self._bare(method, path, call)
        limits = Limits(self.config.timeouts)
        answer = await self._unary(request, call, limits, read=stored)
        self._redaction(call, request).response(answer)
        return answer

    def stored_events(
        self, path: str, starting_after: int | None, call: Call, contract: StreamContract
    ) -> AbstractAsyncContextManager[AsyncIterator[JsonObject]]:
        """Opens the stream of the events of a stored response; see `stream`.

        Args:
            path: the path of the response.
            starting_after: the number of the event before the first one; None for all events.
            call: the call.
            contract: decides when the stream is complete.
        """
        given = {} if starting_after is None else {"starting_after": starting_after}
        query = urlencode({"stream": "true", **given})
        headers = self._headers.build(call, EVENT_STREAM)
        request = self.request("GET", f"{path}?{query}", headers, httpx.ByteStream(b""))
        request.extensions[PATH] = path
        return self._events(request, call, Limits(self.config.timeouts), contract)

    async def has_responses(self, call: Call, timeout_s: float) -> bool | None:
        """Returns whether it has a Responses API; None if that is unknown.

        A server that has one reports a response that was never created as not found.
        """
        try:
            await self.get(f"{NATIVE_RESPONSE.path}/{call.request_id}", call, timeout_s)
        except UpstreamFailure as failure:
            if failure.route_missing:
                return False
            return True if failure.status == 404 else None
        return False

    async def require_health(self, call: Call, timeout_s: float) -> None:
        """Checks that its health route, if one is configured, answers 200 in time.

        Raises:
            UpstreamFailure: the route answers something else, or nothing in time.
        """
        if not self.config.health_path:
            return
        request = self._bare("GET", self.config.health_path, call)
        try:
            limits = ProbeLimits(timeout_s)
            async with self.exchange(request, call, limits) as response:
                if response.status != 200:
                    raise await refusal(response)
        except UpstreamFailure as failure:
            raise self._placed(failure, request, call) from None

    async def call(
        self,
        operation: Operation,
        body: Body,
        call: Call,
        choices: int | None = None,
        *,
        has_model: bool = False,
    ) -> JsonObject:
        """Returns the answer to a unary request.

        If a route is missing, the operation's other routes are tried; likewise if it reports a
        model as missing that the upstream has, because some routers rewrite the requests of one
        route and forward those of another. The route that works is remembered.

        Args:
            operation: the operation.
            body: the request.
            call: the call.
            choices: the number of choices that the answer must contain; None for any.
            has_model: whether the upstream has the requested model.

        Raises:
            UpstreamFailure: there was no answer of status 200 with a valid JSON object.
        """
        call.attempts.add(self.name)
        missing: list[UpstreamFailure] = []
        routes = self.working_routes.get(operation, operation.routes)
        read = embeddings if operation is EMBEDDING else whole
        for path in routes:
            try:
                request = self._post(operation, path, body, call, _JSON)
                limits = Limits(self.config.timeouts, is_upload=isinstance(body, Form))
                answer = await self._unary(request, call, limits, read, choices)
            except UpstreamFailure as failure:
                if not (failure.route_missing or (has_model and failure.model_missing)):
                    raise
                missing.append(failure)
            else:
                if missing:
                    others = (route for route in routes if route != path)
                    self.working_routes[operation] = (path, *others)
                return answer
        raise missing[0]

    def stream(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> AbstractAsyncContextManager[AsyncIterator[JsonObject]]:
        """Opens the stream of events of a request; leaving ends the upstream's work.

        The events end normally only when the stream is complete.

        Args:
            operation: the operation.
            body: the request.
            call: the call.
            contract: decides when the stream is complete.

        Raises:
            UpstreamFailure: there was no stream; the events raise it when the stream fails.
        """
        request = self._post(operation, operation.path, body, call, EVENT_STREAM)
        limits = Limits(self.config.timeouts, is_upload=isinstance(body, Form))
        return self._events(request, call, limits, contract)

    @contextlib.asynccontextmanager
    async def _events(
        self, request: httpx.Request, call: Call, limits: Limits, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        call.attempts.add(self.name)
        window_s = call.merge_within_s
        if window_s is None:
            window_s = self.config.merge_within_s
        started = monotonic()
        try:
            async with self.exchange(request, call, limits) as response:
                self._record_latency(started)
                require_own(response, response.echoed_id)
                await require_stream(response)
                read = events(response, contract, limits, window_s)
                async with contextlib.aclosing(read) as stream:
                    yield stream
        except UpstreamFailure as failure:
            raise self._placed(failure, request, call) from None

    @contextlib.asynccontextmanager
    async def live(
        self, operation: Operation, opening: JsonObject, call: Call
    ) -> AsyncIterator[LiveSession]:
        """Yields a session over a websocket; leaving closes it.

        Args:
            operation: the operation.
            opening: the first event to send.
            call: the call.

        Raises:
            UpstreamFailure: there was no session; its events raise it when the session fails.
        """
        call.attempts.add(self.name)
        request = self._bare("GET", operation.path, call)
        limits = Limits(self.config.timeouts)
        started = monotonic()
        try:
            if self._in_use >= self.config.max_connections:
                message = "all upstream connections are in use"
                raise UpstreamFailure(Kind.OVERLOADED, message, Stage.CONNECT)
            call.attempts.begin(operation.path)
            self.sessions.open += 1
            try:
                where = address_from(
                    self._base, self.config.tls, self._pinned_address, self._socket
                )
                most_bytes = self.config.max_answer_bytes
                socket = await connected(where, request, limits, call.attempts, most_bytes)
                async with contextlib.aclosing(LiveSession(socket, limits, call.attempts)) as live:
                    self._record_latency(started)
                    await live.open(opening)
                    yield live
            finally:
                self.sessions.open -= 1
        except UpstreamFailure as failure:
            raise self._placed(failure, request, call) from None

    def exchange(self, request: httpx.Request, call: Call, limits: Limits) -> Exchange:
        """Returns the exchange that begins with a request; it sends nothing yet."""
        transport, most_bytes = self.transport, self.config.max_answer_bytes
        if isinstance(limits, ProbeLimits):
            transport, most_bytes = self.probes, _LARGEST_PROBE_ANSWER
        return Exchange(transport, request, limits, call.attempts, most_bytes)

    def _bare(self, method: Method, path: str, call: Call) -> httpx.Request:
        headers = self._headers.build(call, _JSON)
        if method == "POST":
            headers["content-length"] = "0"
        return self.request(method, path, headers, httpx.ByteStream(b""))

    def _post(
        self, operation: Operation, path: str, body: Body, call: Call, accept: str
    ) -> httpx.Request:
        headers = self._headers.build(call, accept)
        if isinstance(body, Form):
            headers["content-type"] = body.content_type
            headers["transfer-encoding"] = "chunked"
            upload = UploadStream(body.encoded(self.config.max_upload_bytes))
            return self.request("POST", path, headers, upload)
        request = self._json(path, body, headers)
        if not operation.repeatable:
            request.extensions["fresh_connection"] = True
        return request

    def _json(self, path: str, body: Mapping[str, Any], headers: dict[str, str]) -> httpx.Request:
        pieces = dumped(body)
        headers["content-type"] = _JSON
        headers["content-length"] = f"{sum(map(len, pieces))}"
        return self.request("POST", path, headers, Pieces(pieces))

    def request(
        self, method: Method, path: str, headers: Mapping[str, str], stream: httpx.AsyncByteStream
    ) -> httpx.Request:
        """Returns a request for a path of the upstream."""
        extensions = {PATH: path, ID: headers.get("x-request-id", "")}
        return LazyRequest(method, self._url(path), headers, stream, extensions)

    def _url_of(self, path: str) -> httpx.URL:
        raw_path = self._base.raw_path.rstrip(b"/") + httpx.URL(path).raw_path
        return self._base.copy_with(raw_path=raw_path)

    def _placed(
        self, failure: UpstreamFailure, request: httpx.Request, call: Call
    ) -> UpstreamFailure:
        """Returns a failure of a request, with its place and without secrets.

        It is not raised from the failure itself, which a traceback would show.
        """
        redaction = self._redaction(call, request)
        return replace(
            failure,
            message=redaction.text(failure.message),
            error=redaction.error(failure.error),
            upstream=self.name,
            path=request.extensions[PATH],
            callers_credentials=call.authorization is not None,
        )

    def _redaction(self, call: Call, request: httpx.Request) -> Redaction:
        secrets = (*self._secrets, _token(call.authorization or ""))
        stream = request.stream
        sent = b"".join(stream) if isinstance(stream, httpx.ByteStream) else b""
        return Redaction(secrets, (call.model, *self.config.models.values()), sent)

    async def _unary(
        self,
        request: httpx.Request,
        call: Call,
        limits: Limits,
        read: Callable[[Response], Awaitable[JsonObject]] = whole,
        choices: int | None = None,
    ) -> JsonObject:
        started = monotonic()
        try:
            async with self.exchange(request, call, limits) as response:
                if not isinstance(limits, ProbeLimits):
                    self._record_latency(started)
                require_own(response, response.echoed_id)
                if response.status != 200:
                    raise await refusal(response)
                answer = await read(response)
                require_own(response, answer.get("id") or answer.get("request_id"))
                if choices is not None:
                    require_whole(answer, choices)
                return answer
        except UpstreamFailure as failure:
            raise self._placed(failure, request, call) from None

    def _record_latency(self, started: float) -> None:
        latest = monotonic() - started
        earlier = latest if self.latency_s is None else self.latency_s
        self.latency_s = earlier + _LATEST_SHARE * (latest - earlier)


def _token(authorization: str) -> str:
    """Returns the secret part of credentials, which follows the name of their scheme."""
    return authorization.partition(" ")[2].strip() or authorization
