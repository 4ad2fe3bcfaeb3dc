"""How calls are made: with deadline, metadata and typed errors. One caller for each client."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import grpc
from grpc import aio

from penstock import errors
from penstock._base.call_info import CallInfo
from penstock._base.settings import Settings
from penstock._base.stream import Accumulator, AsyncStream, Event, Stream, do_nothing

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
    """

    def __init__(self, channel: C, settings: Settings) -> None:
        """Takes both."""
        self.channel = channel
        self.settings = settings

    def arguments(self, options: Options) -> dict[str, Any]:
        """Returns gRPC's arguments for one call."""
        return {
            "timeout": options.get("timeout", self.settings.timeout),
            "metadata": self.settings.call_metadata(
                options.get("metadata") or (), options.get("request_id") or ""
            ),
        }


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
        """
        try:
            reply, call = method.with_call(request, **self.arguments(options))
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error
        return result(reply, CallInfo.read(call.trailing_metadata()))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
    ) -> Stream[E, R]:
        """Begins a call with many answers; `check` raises what is behind an error of gRPC."""
        return Stream(method(request, **self.arguments(options)), accumulator, check)


class AsyncCaller(BaseCaller[aio.Channel]):
    """Makes calls that are awaited."""

    async def call(
        self, method: Any, request: Any, options: Options, result: Callable[[Any, CallInfo], R]
    ) -> R:
        """As `Caller.call`."""
        call = method(request, **self.arguments(options))
        try:
            reply = await call
            trailers = await call.trailing_metadata()
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error
        return result(reply, CallInfo.read(trailers))

    def stream(
        self,
        method: Any,
        request: Any,
        options: Options,
        accumulator: Accumulator[E, R],
        check: Callable[[], None] = do_nothing,
    ) -> AsyncStream[E, R]:
        """As `Caller.stream`."""
        return AsyncStream(method(request, **self.arguments(options)), accumulator, check)


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
