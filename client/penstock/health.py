"""Health of the service, by gRPC's standard health checking protocol.

The protocol's stubs are in a package that callers may not have. On the wire, its request is
equivalent to a StringValue and its response to an Int32Value.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any, Unpack

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from penstock import errors
from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, BaseCaller, Caller, Resource
from penstock._base.options import CallOptions
from penstock._base.stream import is_cancelled

DEFAULT_WAIT_S = 30.0

_SERVING = 1
_STATES = {_SERVING: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_PAUSE_S = 0.1
_CHECK, _WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
_CODEC: dict[str, Any] = {
    "request_serializer": StringValue.SerializeToString,
    "response_deserializer": Int32Value.FromString,
}


class Health(Resource):
    """Health of the service."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._check = caller.channel.unary_unary(_CHECK, **_CODEC)
        self._watch = caller.channel.unary_stream(_WATCH, **_CODEC)

    def __call__(self, service: str = "", **options: Unpack[CallOptions]) -> bool:
        """Returns whether the server, or one of its services, is serving.

            >>> client.health(), client.health("penstock.v1.ChatCompletionService")
            (True, True)

        Raises:
            NotFoundError: the server has no such service.
            CallError: the call ended with a status other than OK.
        """
        return self._caller.call(self._check, StringValue(value=service), options, _is_serving)

    def wait(self, timeout: float | None = DEFAULT_WAIT_S, service: str = "") -> None:
        """Waits until the server, or one of its services, is serving.

            >>> client.health.wait(10, "penstock.v1.ChatCompletionService")

        Raises:
            DeadlineExceededError: `timeout` seconds passed; the message contains the cause.
            CallError: the target does not support the protocol, or rejects this caller.
        """
        waiting = _Waiting(self._caller, timeout)
        while True:
            watch = self._watch(StringValue(value=service), **waiting.arguments())
            try:
                for answer in watch:
                    if waiting.is_over(answer):
                        return
            except grpc.RpcError as error:
                waiting.failed(error)
            finally:
                watch.cancel()
            time.sleep(_PAUSE_S)


class AsyncHealth(AsyncResource):
    """Asynchronous counterpart of `Health`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._check = caller.channel.unary_unary(_CHECK, **_CODEC)
        self._watch = caller.channel.unary_stream(_WATCH, **_CODEC)

    async def __call__(self, service: str = "", **options: Unpack[CallOptions]) -> bool:
        """See `Health`."""
        request = StringValue(value=service)
        return await self._caller.call(self._check, request, options, _is_serving)

    async def wait(self, timeout: float | None = DEFAULT_WAIT_S, service: str = "") -> None:  # noqa: ASYNC109
        """See `Health.wait`."""
        waiting = _Waiting(self._caller, timeout)
        while True:
            watch = self._watch(StringValue(value=service), **waiting.arguments())
            try:
                async for answer in watch:
                    if waiting.is_over(answer):
                        return
            except grpc.RpcError as error:
                waiting.failed(error)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
            finally:
                watch.cancel()
            await asyncio.sleep(_PAUSE_S)


class _Waiting:
    """A wait for a service: its deadline, and the last reported state."""

    def __init__(self, caller: BaseCaller[Any], timeout: float | None) -> None:
        self._caller, self._timeout = caller, timeout
        self._until = None if timeout is None else time.monotonic() + timeout
        self._last = "no response"
        self._request_id = ""

    def arguments(self) -> dict[str, Any]:
        """Returns the gRPC arguments for the next attempt."""
        arguments, self._request_id = self._caller.prepare({"timeout": self._remaining()})
        return arguments

    def is_over(self, answer: Int32Value) -> bool:
        """Records an answer; returns whether the wait is over."""
        self._last = f"it reports {_STATES.get(answer.value, answer.value)}"
        return _is_serving(answer)

    def failed(self, error: grpc.RpcError) -> None:
        """Records a failed attempt.

        Raises:
            CallError: another attempt cannot succeed.
            DeadlineExceededError: the timeout has passed.
        """
        made = errors.from_rpc(error, self._request_id)
        if isinstance(made, errors.UnavailableError):
            self._last = str(made)
        elif not isinstance(made, errors.DeadlineExceededError):
            raise made from error
        if self._remaining() == 0:
            what = f"{self._caller.name} is not ready after {self._timeout:g} s: {self._last}"
            over = replace(made.status, code=grpc.StatusCode.DEADLINE_EXCEEDED, message=what)
            raise errors.DeadlineExceededError(over) from error

    def _remaining(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())


def _is_serving(answer: Int32Value, call: CallInfo = NO_CALL) -> bool:
    return answer.value == _SERVING
