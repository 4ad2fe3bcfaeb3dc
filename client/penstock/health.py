"""Whether the service serves, by the standard health protocol of gRPC.

The protocol's own stubs are a package that callers need not have. On the wire, its request is a
StringValue and its response an Int32Value.
"""

import asyncio
import time
from typing import Any, Unpack

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from penstock import errors
from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.options import CallOptions

DEFAULT_WAIT_S = 30.0

_SERVING = 1
_PAUSE_S = 0.1
_CHECK, _WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
_CODEC: dict[str, Any] = {
    "request_serializer": StringValue.SerializeToString,
    "response_deserializer": Int32Value.FromString,
}


class Health(Resource):
    """Whether the service serves."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._check = caller.channel.unary_unary(_CHECK, **_CODEC)
        self._watch = caller.channel.unary_stream(_WATCH, **_CODEC)

    def __call__(self, service: str = "", **options: Unpack[CallOptions]) -> bool:
        """Tells whether the server serves, or one of its services.

            >>> client.health(), client.health("penstock.v1.ChatCompletionService")
            (True, True)

        Raises:
            NotFoundError: the server has no such service.
            CallError: the call ended with another status than OK.
        """
        return self._caller.call(self._check, StringValue(value=service), options, _is_serving)

    def wait(self, timeout: float | None = DEFAULT_WAIT_S, service: str = "") -> None:
        """Returns as soon as the server serves, or one of its services.

        Raises:
            DeadlineExceededError: it does not within so many seconds.
            CallError: there is no such service, or no health protocol.
        """
        until = None if timeout is None else time.monotonic() + timeout
        arguments = self._caller.arguments({})
        while True:
            arguments["timeout"] = _remaining(until)
            watch = self._watch(StringValue(value=service), wait_for_ready=True, **arguments)
            try:
                for answer in watch:
                    if _is_serving(answer):
                        return
            except grpc.RpcError as error:
                _raise_if_final(error)
            finally:
                watch.cancel()
            time.sleep(_PAUSE_S)


class AsyncHealth(AsyncResource):
    """As `Health`, awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._check = caller.channel.unary_unary(_CHECK, **_CODEC)
        self._watch = caller.channel.unary_stream(_WATCH, **_CODEC)

    async def __call__(self, service: str = "", **options: Unpack[CallOptions]) -> bool:
        """As `Health`."""
        request = StringValue(value=service)
        return await self._caller.call(self._check, request, options, _is_serving)

    async def wait(self, timeout: float | None = DEFAULT_WAIT_S, service: str = "") -> None:  # noqa: ASYNC109
        """As `Health.wait`."""
        until = None if timeout is None else time.monotonic() + timeout
        arguments = self._caller.arguments({})
        while True:
            arguments["timeout"] = _remaining(until)
            watch = self._watch(StringValue(value=service), wait_for_ready=True, **arguments)
            try:
                async for answer in watch:
                    if _is_serving(answer):
                        return
            except grpc.RpcError as error:
                _raise_if_final(error)
            finally:
                watch.cancel()
            await asyncio.sleep(_PAUSE_S)


def _is_serving(answer: Int32Value, call: CallInfo = NO_CALL) -> bool:
    return answer.value == _SERVING


def _remaining(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _raise_if_final(error: grpc.RpcError) -> None:
    """Lets the caller watch again when the server went away; that waits until it is back."""
    made = errors.from_rpc(error)
    if not isinstance(made, errors.UnavailableError):
        raise made from error
