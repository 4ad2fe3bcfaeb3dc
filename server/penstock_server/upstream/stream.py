"""The events of one streaming answer, until it is complete or has failed."""

import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from penstock_server.upstream.answer import JsonObject, document, malformed, observe, stated
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.response import Response
from penstock_server.upstream.limits import TOTAL, Limits, end
from penstock_server.upstream.sse import EventDecoder, EventTooLarge

_DONE = b"[DONE]"
# A model that is much faster than its reader is this far ahead at once; any other never is.
_MANY = 32
# How many more events one message then tells.
_MORE = 4


async def events(
    response: Response, contract: StreamContract, limits: Limits
) -> AsyncGenerator[JsonObject, None]:
    """Yields the events of a stream; ends normally only when the stream is complete.

    When many events wait because their reader is slow, they are told in one, where nothing is lost
    by it.

    Raises:
        UpstreamFailure: the stream broke off (INTERRUPTED; CLOSED or TIMEOUT before its first
            event), was not complete in its total time (TIMEOUT), stated an
            error (HTTP_ERROR), was given up (ABORTED) or broke the contract (MALFORMED).
    """
    reader = _EventReader(response, contract, limits)
    event = await reader.next()
    while event is not None:
        # Before another is looked at.
        follower, begins, failed = None, reader.offset, contract.failure
        try:
            # Few at once: neither these nor other streams are to wait long for the last of them.
            for _ in range(_MORE if reader.is_behind else 0):
                follower = reader.waiting()
                both = None if follower is None else contract.merged(event, follower)
                if both is None:
                    break
                event, follower = both, None
        except UpstreamFailure:
            response.attempts.offset = begins
            yield event
            raise
        response.attempts.offset = begins
        yield event
        if failed:
            raise stated(failed, Stage.STREAM)
        reader.progress(event)
        event = await reader.next() if follower is None else follower


class _EventReader:
    """Reads one event at a time from an open answer, and holds them to their contract.

    Attributes:
        offset: at which byte of the stream the data of the last event begins.
    """

    def __init__(self, response: Response, contract: StreamContract, limits: Limits) -> None:
        self._response = response
        self._contract = contract
        self._limits = limits
        self._limit = limits.event(first=True)
        self._decoder = EventDecoder()
        self._ready: deque[bytes] = deque()
        self._started = False
        self._done = False
        self.offset = 0

    @property
    def is_behind(self) -> bool:
        """Whether so many events wait that their reader does not keep up."""
        return len(self._ready) >= _MANY

    async def next(self) -> JsonObject | None:
        """Returns the next event; None when there are no more, and all is complete.

        Raises:
            UpstreamFailure: see `events`.
        """
        if not self._ready and not self._done:
            await self._fill()
        if (event := self.waiting()) is not None:
            return event
        if not self._contract.complete:
            raise self._incomplete()
        await self._drain()
        return None

    def waiting(self) -> JsonObject | None:
        """Returns the next event if it is here; None if not, or at the end."""
        if not self._ready or self._done:
            return None
        data = self._ready.popleft()
        self.offset = self._decoder.offsets.popleft()
        if data == _DONE:
            self._done = True
            return None
        return self._event(data, self.offset)

    def progress(self, event: JsonObject) -> None:
        """Takes note that an event was told, after which the next one is waited for."""
        self._started = True
        # Events that tell nothing are signs of life, like comments.
        if event.get("choices") or event.get("usage") or "type" in event:
            self._limit = self._limits.event(first=False)

    def _event(self, data: bytes, offset: int) -> JsonObject:
        try:
            event = document(data, Stage.STREAM)
        except UpstreamFailure as failure:
            failure.offset = offset if failure.kind is Kind.MALFORMED else None
            if failure.kind is Kind.INTERRUPTED and not self._started:
                failure.kind = Kind.CLOSED
            raise
        observe(self._contract, event, Stage.STREAM, offset)
        return event

    async def _fill(self) -> None:
        """Waits for an event, or the end of the stream."""
        complete = self._contract.complete
        self._response.wait_until(end() if complete else self._limit)
        try:
            await self._receive()
        except UpstreamFailure as failure:
            broke = failure.kind in (Kind.TIMEOUT, Kind.CLOSED)
            if complete and broke:
                return
            if self._started and broke and failure.limit != TOTAL:
                failure.kind = Kind.INTERRUPTED
            raise

    async def _receive(self) -> None:
        while not self._ready and (block := await self._response.block()):
            try:
                self._ready.extend(self._decoder.feed(block))
            except EventTooLarge as error:
                raise malformed(str(error), Stage.STREAM, self._decoder.position) from error

    def _incomplete(self) -> UpstreamFailure:
        missing = self._contract.missing
        if self._done:
            return malformed(f"it ended although {missing}", Stage.STREAM)
        kind = Kind.INTERRUPTED if self._started else Kind.CLOSED
        message = f"the upstream's stream broke off: {missing}"
        return UpstreamFailure(kind, message, Stage.STREAM)

    async def _drain(self) -> None:
        # Only a body read to its end leaves the connection fit for another request.
        self._response.wait_until(end())
        with contextlib.suppress(UpstreamFailure):
            while await self._response.block():
                pass
