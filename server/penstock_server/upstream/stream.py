"""The events of one streaming answer, until it is complete or has failed."""

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable

from penstock_server.upstream.allowance import TOTAL, Allowance
from penstock_server.upstream.answer import JsonObject, document, malformed, stated
from penstock_server.upstream.completeness import ContractBroken, StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.sse import EventDecoder, EventTooLarge
from penstock_server.upstream.transport import Response, limit

_DONE = b"[DONE]"
# How long a stream that is complete may take to say so.
_END_GRACE_S = 1.0


async def events(
    response: Response, contract: StreamContract, allowance: Allowance
) -> AsyncGenerator[JsonObject, None]:
    """Yields the events of a stream; ends normally only when the stream is complete.

    Raises:
        UpstreamFailure: the stream broke off (INTERRUPTED; CLOSED or TIMEOUT before its first
            event), was not complete in its total time (TIMEOUT), stated an
            error (HTTP_ERROR) or broke the contract (MALFORMED).
    """
    reader = _EventReader(response)
    started = False
    try:
        while (data := await _next(reader, contract, started, allowance)) is not None:
            event = document(data, Stage.STREAM)
            _observe(contract, event)
            yield event
            started = True
        if not contract.complete:
            raise _incomplete(contract, reader.done, started)
        if contract.failure:
            raise stated(contract.failure, Stage.STREAM)
    finally:
        await reader.close()


async def _next(
    reader: "_EventReader", contract: StreamContract, started: bool, allowance: Allowance
) -> bytes | None:
    def bound() -> contextlib.AbstractAsyncContextManager[None]:
        return limit(_END_GRACE_S) if contract.complete else allowance.event(first=not started)

    try:
        return await reader.next(bound)
    except UpstreamFailure as failure:
        if contract.complete and failure.kind in (Kind.TIMEOUT, Kind.CLOSED):
            return None
        broke = failure.kind in (Kind.TIMEOUT, Kind.CLOSED) and failure.limit != TOTAL
        if started and broke:
            failure.kind = Kind.INTERRUPTED
        raise


def _observe(contract: StreamContract, event: JsonObject) -> None:
    try:
        contract.observe(event)
    except (ContractBroken, AttributeError, TypeError) as error:
        raise malformed(str(error), Stage.STREAM) from error


def _incomplete(contract: StreamContract, done: bool, started: bool) -> UpstreamFailure:
    if done:
        return malformed(f"it ended although {contract.missing}", Stage.STREAM)
    kind = Kind.INTERRUPTED if started else Kind.CLOSED
    message = f"the upstream's stream broke off: {contract.missing}"
    return UpstreamFailure(kind, message, Stage.STREAM)


class _EventReader:
    """Reads the data of one event at a time from an open answer."""

    def __init__(self, response: Response) -> None:
        self.done = False
        self._blocks = response.blocks()
        self._decoder = EventDecoder()
        self._ready: deque[bytes] = deque()

    async def close(self) -> None:
        await self._blocks.aclose()

    async def next(
        self, bound: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    ) -> bytes | None:
        """Returns the next event's data; None at the end of the stream.

        The bound is made only if there is something to wait for.
        """
        if not self._ready:
            async with bound():
                await self._fill()
        data = self._ready.popleft() if self._ready else None
        if data == _DONE:
            self.done = True
            await self._drain()
            return None
        return data

    async def _fill(self) -> None:
        async for block in self._blocks:
            try:
                self._ready.extend(self._decoder.feed(block))
            except EventTooLarge as error:
                raise malformed(str(error), Stage.STREAM) from error
            if self._ready:
                return

    async def _drain(self) -> None:
        # Only a body read to its end leaves the connection fit for another request.
        with contextlib.suppress(UpstreamFailure):
            async with limit(_END_GRACE_S):
                async for _ in self._blocks:
                    pass
