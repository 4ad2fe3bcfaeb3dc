"""Makes calls with a deadline, metadata and typed errors. Each client has one caller."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar

import grpc
from grpc import aio

from penstock import errors
from penstock._base.call_info import CallInfo
from penstock._base.call_log import CallLog
from penstock._base.final_status import FinalStatus
from penstock._base.resuming import AsyncResumingStream, ResumingStream, Resumption
from penstock._base.settings import LONGEST_S, REQUEST_ID, Settings
from penstock._base.stream import Accumulator, AsyncStream, Event, Stream, do_nothing, is_cancelled

C = TypeVar("C")
E = TypeVar("E", bound=Event)
R = TypeVar("R")

Options = Mapping[str, Any]
"""Any options; a caller reads only those of `CallOptions`."""


class BaseCaller(Generic[C]):
    """Base of both kinds of caller.

    Attributes:
        channel: the channel.
        settings: the settings of the client.
        name: name of the service in error messages.
    """

    def __init__(
        self, channel: C, settings: Settings, name: str, parent: "BaseCaller[C] | None" = None
    ) -> None:
        self.channel = channel
        self.settings = settings
        self.name = name
        self._parent = parent
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the client is closed, or the client that it was derived from."""
        return self._closed or bool(self._parent and self._parent.closed)

    def close(self) -> None:
        """Prevents later calls."""
        self._closed = True

    def derived(self, settings: Settings) -> Self:
        """Returns a caller on the same channel with other settings."""
        return type(self)(self.channel, settings, self.name, self)

    def prepare(self, options: Options) -> tuple[dict[str, Any], str]:
        """Returns the gRPC arguments of one call, and its request id.

        Raises:
            ClientClosedError: the client is closed.
            ValueError: a metadata entry cannot be sent.
        """
        if self.closed:
            raise errors.ClientClosedError
        metadata = self.settings.call_metadata(
            options.get("metadata") or (), options.get("request_id") or ""
        )
        given = options.get("timeout", self.settings.timeout)
        timeout = None if given is None else min(given, LONGEST_S)
        return {"timeout": timeout, "metadata": metadata}, str(dict(metadata)[REQUEST_ID])


class Caller(BaseCaller[grpc.Channel]):
    """Makes blocking calls."""

    def call(
        self, method: Any, request: Any, options: Options, result: Callable[[Any, CallInfo], R]
    ) -> R:
        """Makes a call that has one answer.

        Args:
            method: method of a generated stub.
            request: the request, or an iterator of requests.
            options: options of the call.
            result: builds the result from the answer and the information about its call.

        Raises:
            CallError: the call ended with a status other than OK.
            ClientClosedError: the client is closed.
        """
        arguments, request_id = self.prepare(options)
        log = CallLog(request, arguments)
        try:
            reply, call = method.with_call(request, **arguments)
        except grpc.RpcError as error:
            log.failed(error)
            raise errors.from_rpc(error, request_id) from error
        trailers = call.trailing_metadata()
        log.ended(trailers)
        return result(reply, CallInfo.read(trailers, request_id))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
        resumption: Resumption | None = None,
    ) -> Stream[E, R]:
        """Begins a call that has a stream of answers.

        Args:
            method: method of a generated stub.
            request: the request, or an iterator of requests.
            options: options of the call.
            accumulator: adds up the answers.
            check: raises the cause of a gRPC error, if it knows one.
            resumption: how the stream continues after it broke off; None if it does not.
        """
        arguments, request_id = self.prepare(options)
        log = CallLog(request, arguments)
        call = method(request, **arguments)
        if resumption:
            resumption.start(arguments, self)
            return ResumingStream(call, accumulator, request_id, log, resumption)
        return Stream(call, accumulator, request_id, log, check)


class AsyncCaller(BaseCaller[aio.Channel]):
    """Makes asynchronous calls."""

    async def call(
        self, method: Any, request: Any, options: Options, result: Callable[[Any, CallInfo], R]
    ) -> R:
        """See `Caller.call`."""
        arguments, request_id = self.prepare(options)
        log = CallLog(request, arguments)
        call = method(request, **arguments)
        final = FinalStatus(call)
        try:
            reply = await call
            trailers = await call.trailing_metadata()
        except grpc.RpcError as raised:
            error = await final.of(raised)
            if error.code() is grpc.StatusCode.OK:
                error = raised  # the answer is lost
            log.failed(error)
            raise errors.from_rpc(error, request_id) from error
        except asyncio.CancelledError as error:
            log.failed(error)
            if is_cancelled():
                raise
            raise errors.cancelled("the client was closed", request_id) from error
        log.ended(trailers)
        return result(reply, CallInfo.read(trailers, request_id))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
        resumption: Resumption | None = None,
    ) -> AsyncStream[E, R]:
        """See `Caller.stream`."""
        arguments, request_id = self.prepare(options)
        log = CallLog(request, arguments)
        call = method(request, **arguments)
        if resumption:
            resumption.start(arguments, self)
            return AsyncResumingStream(call, accumulator, request_id, log, resumption)
        return AsyncStream(call, accumulator, request_id, log, check)


class Resource:
    """Blocking calls of one service."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller


class AsyncResource:
    """Asynchronous calls of one service."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller
