"""The events of one streaming answer, until it is complete or has failed."""

import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from penstock_server.upstream.answer import JsonObject, document, malformed, observe, stated
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.transport import Response
from penstock_server.upstream.limits import TOTAL, Limit, Limits, end
from penstock_server.upstream.sse import EventDecoder, EventTooLarge

_DONE = b"[DONE]"


async def events(
    response: Response, contract: StreamContract, limits: Limits
) -> AsyncGenerator[JsonObject, None]:
    """Yields the events of a stream; ends normally only when the stream is complete.

    Raises:
        UpstreamFailure: the stream broke off (INTERRUPTED; CLOSED or TIMEOUT before its first
            event), was not complete in its total time (TIMEOUT), stated an
            error (HTTP_ERROR) or broke the contract (MALFORMED).
    """
    reader = _EventReader(response)
    started, limit = False, limits.event(first=True)
    try:
        while (data := await _next(reader, contract, started, limit)) is not None:
            response.attempts.offset = reader.offset
            event = _event(data, contract, reader.offset)
            yield event
            started = True
            if contract.failure:
                raise stated(contract.failure, Stage.STREAM)
            if _goes_on(event):
                limit = limits.event(first=False)
        if not contract.complete:
            raise _incomplete(contract, reader.done, started)
    finally:
        await reader.close()


async def _next(
    reader: "_EventReader", contract: StreamContract, started: bool, limit: Limit
) -> bytes | None:
    if reader.waiting:
        return await reader.next()
    try:
        await reader.fill(end() if contract.complete else limit)
        return await reader.next()
    except UpstreamFailure as failure:
        if contract.complete and failure.kind in (Kind.TIMEOUT, Kind.CLOSED):
            return None
        broke = failure.kind in (Kind.TIMEOUT, Kind.CLOSED) and failure.limit != TOTAL
        if started and broke:
            failure.kind = Kind.INTERRUPTED
        raise


def _goes_on(event: JsonObject) -> bool:
    """Whether an event tells anything; those that do not are signs of life, like comments."""
    return bool(event.get("choices") or event.get("usage") or "type" in event)


def _event(data: bytes, contract: StreamContract, offset: int) -> JsonObject:
    """Returns the event whose data begins at that byte of the stream."""
    try:
        event = document(data, Stage.STREAM)
    except UpstreamFailure as failure:
        failure.offset = offset if failure.kind is Kind.MALFORMED else None
        raise
    observe(contract, event, Stage.STREAM, offset)
    return event


def _incomplete(contract: StreamContract, done: bool, started: bool) -> UpstreamFailure:
    if done:
        return malformed(f"it ended although {contract.missing}", Stage.STREAM)
    kind = Kind.INTERRUPTED if started else Kind.CLOSED
    message = f"the upstream's stream broke off: {contract.missing}"
    return UpstreamFailure(kind, message, Stage.STREAM)


class _EventReader:
    """Reads the data of one event at a time from an open answer.

    Attributes:
        done: whether `[DONE]` has come.
        offset: at which byte of the stream the data of the last event begins.
    """

    def __init__(self, response: Response) -> None:
        self.done = False
        self.offset = 0
        self._response = response
        self._blocks = response.blocks()
        self._decoder = EventDecoder()
        self._ready: deque[bytes] = deque()

    async def close(self) -> None:
        await self._blocks.aclose()

    @property
    def waiting(self) -> bool:
        """Whether an event is here that has not been read."""
        return bool(self._ready)

    async def fill(self, limit: Limit) -> None:
        """Waits for an event or the end of the stream.

        Raises:
            UpstreamFailure: TIMEOUT, it is not here in time; or the stream broke.
        """
        self._response.wait_until(limit)
        async for block in self._blocks:
            try:
                self._ready.extend(self._decoder.feed(block))
            except EventTooLarge as error:
                raise malformed(str(error), Stage.STREAM, self._decoder.position) from error
            if self._ready:
                return

    async def next(self) -> bytes | None:
        """Returns the data of the event that is here; None at the end of the stream."""
        if not self._ready:
            return None
        data, self.offset = self._ready.popleft(), self._decoder.offsets.popleft()
        if data == _DONE:
            self.done = True
            await self._drain()
            return None
        return data

    async def _drain(self) -> None:
        # Only a body read to its end leaves the connection fit for another request.
        self._response.wait_until(end())
        with contextlib.suppress(UpstreamFailure):
            async for _ in self._blocks:
                pass
