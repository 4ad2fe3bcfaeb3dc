"""The events of one streaming answer, until it is complete or has failed."""

import contextlib
import math
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import takewhile
from time import monotonic
from typing import NamedTuple

import orjson

from penstock_server.upstream.answer import (
    document,
    malformed,
    observe,
    reported,
    require_own,
)
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.limits import TOTAL, Limit, Limits, end
from penstock_server.upstream.merging import BegunTexts, JsonObject
from penstock_server.upstream.response import Response
from penstock_server.upstream.sse import EventDecoder, EventTooLarge

_DONE = b"[DONE]"
_NOTHING = frozenset({b"", b"null", b'""', b"[]"})
# With this many events waiting, the reader counts as slow.
_BACKLOG = 32
# The number of events that are then merged into one.
_MERGED_AT_ONCE = 4
# The limit of a wait that ends with a window and is not a failure.
_WINDOW = "window"


async def events(
    response: Response, contract: StreamContract, limits: Limits, window_s: float = 0.0
) -> AsyncGenerator[JsonObject, None]:
    """Yields the events of a stream; ends normally only when the stream is complete.

    If many events wait because their reader is slow, several are merged into one, without loss.

    Args:
        response: the answer.
        contract: decides when the stream is complete.
        limits: the time limits of the exchange.
        window_s: the seconds within which events that continue a text are merged, too; 0 for none.

    Raises:
        UpstreamFailure: the stream broke off (INTERRUPTED; CLOSED or TIMEOUT before its first
            event), was not complete in its total time (TIMEOUT), reported an error (HTTP_ERROR),
            was given up (ABORTED) or broke the contract (MALFORMED).
    """
    if window_s:
        reader: _EventReader = _WindowReader(response, contract, limits, window_s)
    else:
        reader = _EventReader(response, contract, limits)
    event = await reader.next()
    response.attempts.answered()
    if event is not None:
        require_own(response, event.get("id") or event.get("request_id"))
    while event is not None:
        # Before another event is parsed.
        follower, failure, failed = None, None, contract.failure
        response.attempts.offset = reader.offset
        if reader.is_behind:
            event, follower, failure = await reader.merged(event)
        yield event
        if failure:
            raise failure
        if failed:
            raise reported(failed, Stage.STREAM)
        reader.progress(event)
        event = await reader.next() if follower is None else follower


class Merged(NamedTuple):
    """An event with those that were merged into it.

    Attributes:
        event: the event.
        follower: the next event, if it was read and could not be merged.
        failure: how reading the next event failed, if it did.
    """

    event: JsonObject
    follower: JsonObject | None
    failure: UpstreamFailure | None


class _EventReader:
    """Reads one event at a time from an open answer, and checks them against their contract.

    Attributes:
        offset: byte offset in the stream at which the data of the last event begins.
    """

    def __init__(self, response: Response, contract: StreamContract, limits: Limits) -> None:
        self._response = response
        self._contract = contract
        self._limits = limits
        self._limit = limits.event(first=True)
        self._decoder = EventDecoder()
        # The last is the next one. Many streams wait at once, and a deque takes ten times as much
        # memory as a list.
        self._ready: list[bytes] = []
        self._started = False
        self._done = False
        self._over = False  # whether everything has been received
        self._end: Limit | None = None
        self.offset = 0

    @property
    def is_behind(self) -> bool:
        """Whether the reader does not keep up with the events."""
        return len(self._ready) >= _BACKLOG

    async def next(self) -> JsonObject | None:
        """Returns the next event; None after the last one of a complete stream.

        Raises:
            UpstreamFailure: see `events`.
        """
        while self._ready or not self._over:
            if not self._ready:
                await self._fill()
            if (event := self.waiting()) is not None:
                return event
        if not self._contract.complete:
            raise self._incomplete()
        await self._drain()
        return None

    def waiting(self) -> JsonObject | None:
        """Returns the next event if it has arrived; None if not, or at the end."""
        while self._ready:
            data = self._ready.pop()
            self.offset = self._decoder.offsets.pop()
            if data == _DONE:
                self._finish()
            elif event := self._event(data, self.offset):
                return event
        return None

    async def merged(self, event: JsonObject) -> Merged:
        """Merges an event with those that wait.

        Few at once, so that neither this nor other streams wait long for the last of them.
        """
        for _ in range(_MERGED_AT_ONCE):
            try:
                follower = self.waiting()
            except UpstreamFailure as failure:
                return Merged(event, None, failure)
            both = None if follower is None else self._contract.merged(event, follower)
            if both is None:
                return Merged(event, follower, None)
            event = both
        return Merged(event, None, None)

    def progress(self, event: JsonObject) -> None:
        """Records that an event was delivered; the limit of the next one starts."""
        self._started = True
        # Events without content do not restart the limit, like comments.
        if event.get("choices") or event.get("usage") or "type" in event:
            self._limit = self._limits.event(first=False)

    def _event(self, data: bytes, offset: int) -> JsonObject | None:
        """Returns the event in data; None for one that adds nothing."""
        try:
            event = document(data, Stage.STREAM)
        except UpstreamFailure as failure:
            if self._passes(data, offset):
                return None
            if failure.kind is Kind.MALFORMED:
                raise replace(failure, offset=offset) from failure
            if failure.kind is Kind.INTERRUPTED and not self._started:
                raise replace(failure, kind=Kind.CLOSED) from failure
            raise
        observe(self._contract, event, Stage.STREAM, offset)
        return event

    def _passes(self, data: bytes, offset: int) -> bool:
        """Returns whether data that is not an ordinary event can be read otherwise, or ignored."""
        bare = data.strip()
        if bare == _DONE:
            self._finish()
        elif b"\n" in bare and (events := _lines(bare)):
            # The blank lines between events are missing.
            self._ready.extend(reversed(events))
            self._decoder.offsets.extend([offset] * len(events))
        elif bare not in _NOTHING:
            # The answer was complete before this event, whatever it reports.
            return self._contract.complete
        return True

    def _finish(self) -> None:
        """Ends the stream at its `[DONE]`; what follows is ignored."""
        self._done = self._over = True
        self._ready.clear()
        self._contract.ended()

    async def _fill(self) -> None:
        """Waits for an event, or the end of the stream."""
        complete = self._contract.complete
        if complete and not self._end:
            self._end = end()
        self._response.wait_until(self._end or self._limit)
        try:
            while not self._ready:
                block = await self._response.block()
                if not block:
                    self._over = True
                    self._take_pending()
                    return
                self._decode(block)
        except UpstreamFailure as failure:
            if complete:
                self._over = True
                return
            broke = failure.kind in (Kind.TIMEOUT, Kind.CLOSED)
            if self._started and broke and failure.limit != TOTAL:
                raise replace(failure, kind=Kind.INTERRUPTED) from failure
            raise

    def _decode(self, block: bytes) -> None:
        try:
            self._ready = self._decoder.feed(block)
        except EventTooLarge as error:
            raise malformed(str(error), Stage.STREAM, self._decoder.position) from error
        if len(self._ready) > 1:
            self._ready.reverse()
            self._decoder.offsets.reverse()

    def _take_pending(self) -> None:
        """Adds an event that lacks only its line ends, unless it may have been cut."""
        if not self._response.delimited or (data := self._decoder.pending()) is None:
            return
        offset = self._decoder.offsets.pop()
        events = [data] if _is_whole(data) else _lines(data, cut=True)
        self._ready.extend(reversed(events))
        self._decoder.offsets.extend([offset] * len(events))

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
            await self._response.skip()


class _WindowReader(_EventReader):
    """Also merges events that arrive within a window of time.

    The window begins when its first event arrives, and ends early at anything else than a piece of
    a text. The first piece of each text is not delayed.
    """

    def __init__(
        self, response: Response, contract: StreamContract, limits: Limits, window_s: float
    ) -> None:
        super().__init__(response, contract, limits)
        self._window_s = window_s
        self._texts = BegunTexts()
        self._arrived = self._delivered = -math.inf

    @property
    def is_behind(self) -> bool:
        return True

    async def next(self) -> JsonObject | None:
        # If it waits already, it may have arrived at any time since the last event was delivered.
        waits = self._ready or self._response.has_waiting
        earliest = self._delivered if waits else math.inf
        event = await super().next()
        self._arrived = min(earliest, monotonic())
        return event

    async def merged(self, event: JsonObject) -> Merged:
        """Merges an event with those that arrive in the window that begins with it."""
        follower, failure = None, None
        if self._texts.continued_by(self._contract.pieces(event)):
            until = self._arrived + self._window_s
            try:
                while (follower := await self._next_until(until)) is not None:
                    both = self._contract.merged(event, follower)
                    if both is None:
                        break
                    self.progress(follower)
                    event = both
                    if not self._texts.continued_by(self._contract.pieces(follower)):
                        follower = None
                        break
            except UpstreamFailure as error:
                failure = error
        self._arrived = self._delivered = monotonic()
        return Merged(event, follower, failure)

    async def _next_until(self, until: float) -> JsonObject | None:
        """Returns the next event if it arrives by a time; None if not, or at the end."""
        while (event := self.waiting()) is None and not self._over:
            limit = self._limit
            try:
                self._limit = Limit(min(until, limit.until), 0, _WINDOW, "event")
                await self._fill()
            except UpstreamFailure as failure:
                if failure.limit == _WINDOW:
                    return None
                raise
            finally:
                self._limit = limit
        return event


def _is_whole(data: bytes) -> bool:
    """Returns whether data is a whole event: an object, or the end."""
    try:
        return data.strip() == _DONE or isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def _lines(data: bytes, *, cut: bool = False) -> list[bytes]:
    """Returns the lines of data, if each is a whole event; if it may be cut, those before the cut.

    The lines of one event that is spread over several are not.
    """
    lines = [line for line in data.split(b"\n") if line.strip()]
    whole = list(takewhile(_is_whole, lines))
    return whole if cut or len(whole) == len(lines) else []
