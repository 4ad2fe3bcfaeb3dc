"""Streams of events that continue by themselves after they broke off."""

import asyncio
import random
import time
from typing import Any, NoReturn, Protocol

import grpc

from penstock import errors
from penstock._base.call_log import CallLog
from penstock._base.stream import Accumulator, AsyncStream, BaseStream, E, R, Stream

_MOST = 5
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 2.0
_FINAL = frozenset({"ENGINE_DEAD", "GENERATION_ABORTED"})
"""Reasons of UNAVAILABLE after which the answer cannot become complete."""


class Progress(Protocol):
    """How much of an answer has been received."""

    @property
    def request(self) -> Any:
        """The request for the messages that follow; None before that is known."""

    def follows(self, message: Any) -> bool | None:
        """Records the next message.

        Returns:
            Whether it is new; None if messages between it and the last one are missing.
        """


class Owner(Protocol):
    """The client of a stream."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""


class Resumption:
    """How one stream continues after it broke off.

    Args:
        method: method of a generated stub that continues an answer.
        progress: how much of the answer has been received.
    """

    def __init__(self, method: Any, progress: Progress) -> None:
        self._method = method
        self._progress = progress
        self._deadline: float | None = None
        self._broke: Any = None  # why it broke off, until the next new message
        self._attempts = 0  # since the last new message

    def start(self, arguments: dict[str, Any], owner: Owner) -> None:
        """Records the gRPC arguments of the first call, which later ones repeat, and its client."""
        self._arguments = arguments
        self._owner = owner
        if arguments["timeout"] is not None:
            self._deadline = time.monotonic() + arguments["timeout"]

    def is_new(self, message: Any) -> bool:
        """Records a message; returns whether it is new.

        Raises:
            grpc.RpcError: why the stream broke off, if resuming it has skipped messages.
        """
        new = self._progress.follows(message)
        if new is None and self._broke:
            raise self._broke
        if new is not False:
            self._broke, self._attempts = None, 0
        return new is not False

    def delay(self, error: grpc.RpcError) -> float:
        """Returns the seconds to wait until the next attempt.

        Raises:
            grpc.RpcError: why the stream broke off, if there is to be no other attempt.
        """
        self._broke = self._broke or error
        delay = min(_FIRST_DELAY_S * 2.0**self._attempts, _LONGEST_DELAY_S) * random.uniform(0.5, 1)
        late = self._deadline is not None and time.monotonic() + delay >= self._deadline
        if late or not self._may_resume(error):
            self._give_up(error)
        self._attempts += 1
        return delay

    def begin(self) -> tuple[Any, CallLog]:
        """Begins the call that continues the stream.

        Raises:
            grpc.RpcError: why the stream broke off, if the client is closed.
        """
        if self._owner.closed:
            raise self._broke
        if self._deadline is not None:
            self._arguments["timeout"] = max(0.0, self._deadline - time.monotonic())
        request = self._progress.request
        log = CallLog(request, self._arguments)
        return self._method(request, **self._arguments), log

    def _may_resume(self, error: Any) -> bool:
        if self._attempts >= _MOST or self._progress.request is None or self._owner.closed:
            return False
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            return False
        return errors.from_rpc(error, "").reason not in _FINAL

    def _give_up(self, error: grpc.RpcError) -> NoReturn:
        if self._broke is error:
            raise error
        raise self._broke from error


class Resuming(BaseStream[E, R]):
    """Base of both kinds of stream that continue after they broke off.

    Args:
        call: the running call.
        accumulator: adds up its messages.
        request_id: request id that was sent with the call.
        log: the log of the call.
        resumption: how the stream continues.
    """

    def __init__(
        self,
        call: Any,
        accumulator: Accumulator[E, R],
        request_id: str,
        log: CallLog,
        resumption: Resumption,
    ) -> None:
        super().__init__(call, accumulator, request_id, log)
        self._resumption = resumption
        self._closed = False

    def _delay(self, error: grpc.RpcError) -> float:
        """Returns the seconds to wait until the stream continues; raises why it does not."""
        if self._closed:
            raise error
        delay = self._resumption.delay(error)
        self._log.failed(error)
        return delay

    def _continue(self) -> None:
        self._call, self._log = self._resumption.begin()
        if self._closed:
            self._call.cancel()


class ResumingStream(Resuming[E, R], Stream[E, R]):
    """A stream that continues after it broke off."""

    def _receive(self) -> Any:
        while True:
            try:
                message = super()._receive()
            except grpc.RpcError as error:
                time.sleep(self._delay(error))
                self._continue()
            else:
                if self._resumption.is_new(message):
                    return message

    def close(self) -> None:
        """See `Stream.close`."""
        self._closed = True
        super().close()


class AsyncResumingStream(Resuming[E, R], AsyncStream[E, R]):
    """Asynchronous counterpart of `ResumingStream`."""

    async def _receive(self) -> Any:
        while True:
            try:
                message = await super()._receive()
            except grpc.RpcError as error:
                await asyncio.sleep(self._delay(error))
                self._continue()
                self._messages = None
            else:
                if self._resumption.is_new(message):
                    return message

    async def close(self) -> None:
        """See `Stream.close`."""
        self._closed = True
        await super().close()
