"""How calls are made: with deadline, metadata and typed errors. One caller for each client."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import grpc
from grpc import aio

from penstock import errors
from penstock._base.call_info import CallInfo
from penstock._base.settings import LONGEST_S, REQUEST_ID, Settings
from penstock._base.stream import Accumulator, AsyncStream, Event, Stream, do_nothing, is_cancelled

C = TypeVar("C")
E = TypeVar("E", bound=Event)
R = TypeVar("R")

Options = Mapping[str, Any]
"""Any options; those of calls are read, others are not."""


class BaseCaller(Generic[C]):
    """What both kinds of caller share.

    Attributes:
        channel: the channel.
        settings: the settings of the client.
        name: what is called, for people.
        closed: whether there can be no more calls.
    """

    def __init__(self, channel: C, settings: Settings, name: str) -> None:
        """Takes all three."""
        self.channel = channel
        self.settings = settings
        self.name = name
        self.closed = False

    def prepare(self, options: Options) -> tuple[dict[str, Any], str]:
        """Returns gRPC's arguments for one call, and its request id.

        Raises:
            ClientClosedError: there can be no more calls.
            ValueError: a pair of the metadata cannot be sent.
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
    """Makes calls that block."""

    def call(
        self, method: Any, request: Any, options: Options, result: Callable[[Any, CallInfo], R]
    ) -> R:
        """Makes a call with one answer.

        Args:
            method: of a generated stub.
            request: the request, or an iterator of requests.
            options: options of the call.
            result: makes the result of the answer and of what is known of its call.

        Raises:
            CallError: the call ended with another status than OK.
            ClientClosedError: there can be no more calls.
        """
        arguments, request_id = self.prepare(options)
        try:
            reply, call = method.with_call(request, **arguments)
        except grpc.RpcError as error:
            raise errors.from_rpc(error, request_id) from error
        return result(reply, CallInfo.read(call.trailing_metadata(), request_id))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
    ) -> Stream[E, R]:
        """Begins a call with many answers; `check` raises what is behind an error of gRPC."""
        arguments, request_id = self.prepare(options)
        return Stream(method(request, **arguments), accumulator, request_id, check)


class AsyncCaller(BaseCaller[aio.Channel]):
    """Makes calls that are awaited."""

    async def call(
        self, method: Any, request: Any, options: Options, result: Callable[[Any, CallInfo], R]
    ) -> R:
        """As `Caller.call`."""
        arguments, request_id = self.prepare(options)
        call = method(request, **arguments)
        try:
            reply = await call
            trailers = await call.trailing_metadata()
        except grpc.RpcError as error:
            raise errors.from_rpc(error, request_id) from error
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise errors.cancelled("the client was closed", request_id) from error
        return result(reply, CallInfo.read(trailers, request_id))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
    ) -> AsyncStream[E, R]:
        """As `Caller.stream`."""
        arguments, request_id = self.prepare(options)
        return AsyncStream(method(request, **arguments), accumulator, request_id, check)


class Resource:
    """Calls of one service that block."""

    def __init__(self, caller: Caller) -> None:
        """Takes what makes the calls."""
        self._caller = caller


class AsyncResource:
    """Calls of one service that are awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        """Takes what makes the calls."""
        self._caller = caller
