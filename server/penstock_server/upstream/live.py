"""A live session over a websocket: events both ways, until it is complete or has failed."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from time import monotonic
from typing import Self

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from penstock_server.upstream.answer import malformed, observe, reported
from penstock_server.upstream.call import Attempts
from penstock_server.upstream.completeness import LiveTranscript
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.limits import TOTAL, Limit, Limits
from penstock_server.upstream.merging import JsonObject

_CONFIGURES = "session.update"
_COMMIT = "input_audio_buffer.commit"


class LiveSession:
    """One live transcription; an asynchronous iterator over the events of the upstream.

    It ends normally only when everything has been sent and every utterance has ended. Both
    directions wait for their slower side: sending for the upstream, and the upstream for the
    reader of the events.
    """

    def __init__(self, socket: ClientConnection, limits: Limits, attempts: Attempts) -> None:
        """Creates a session over an open websocket.

        Args:
            socket: the websocket.
            limits: the time limits, which have begun.
            attempts: the record of the call's requests.
        """
        self._socket = socket
        self._limits = limits
        self._attempts = attempts
        self._contract = LiveTranscript()
        self._idle = limits.event(first=True)
        self._owed = True
        self._ending = False  # whether the open utterance, if there is one, gets no more audio
        self._timer: asyncio.Timeout | None = None
        self._first: JsonObject | None = None
        self._started = False
        self._all_sent = False
        self._error: Exception | None = None
        attempts.status = 101

    async def open(self, opening: JsonObject) -> None:
        """Sends the first event, and waits for the first one of the upstream.

        Raises:
            UpstreamFailure: the session failed.
        """
        await self._send(opening)
        self._first = await self._event()
        self._attempts.answered()
        self._attempts.stage = Stage.STREAM
        self._started = True

    @contextlib.asynccontextmanager
    async def sending(self, events: AsyncIterator[JsonObject]) -> AsyncIterator[None]:
        """Sends events while the block runs; what they raise, the iteration of this raises."""
        sender = asyncio.create_task(self._send_all(events))
        try:
            yield
        finally:
            sender.cancel()
            await asyncio.wait((sender,))

    async def aclose(self) -> None:
        """Closes the websocket."""
        if self._complete:
            await self._socket.close()
        else:
            self._socket.transport.abort()
            await self._socket.wait_closed()

    @property
    def _complete(self) -> bool:
        return self._all_sent and self._contract.complete

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JsonObject:
        event, self._first = self._first, None
        while not event:
            if self._complete:
                raise StopAsyncIteration
            event = await self._event()
        return event

    # Sending

    async def _send_all(self, events: AsyncIterator[JsonObject]) -> None:
        try:
            async for event in events:
                if event["type"] == _COMMIT:
                    await self._commit(final=event["final"])
                await self._send(event)
            self._all_sent = True
            if self._contract.complete:
                await self._socket.close()
        except Exception as error:
            self._error = error
            self._expire()

    async def _commit(self, *, final: bool) -> None:
        """Waits until an utterance may begin, if one does."""
        if not final:
            # vLLM discards audio that arrives before the utterance before it has ended.
            await self._contract.idle.wait()
            self._contract.begin()
        self._ending = final

    async def _send(self, event: JsonObject) -> None:
        if not self._owed and event["type"] != _CONFIGURES:
            self._owed = True
            self._idle = self._limits.event(first=False)
            self._expire()
        try:
            await self._socket.send(orjson.dumps(event).decode())
        except ConnectionClosed as closed:
            raise self._closed(closed) from closed

    # Receiving

    async def _event(self) -> JsonObject:
        """Returns the next event; empty if it adds nothing.

        Raises:
            UpstreamFailure: the session failed.
        """
        event = _parsed(await self._received())
        observe(self._contract, event, Stage.STREAM)
        self._owed = self._ending and not self._contract.complete
        self._idle = self._limits.event(first=False)
        if self._contract.failure:
            raise reported(self._contract.failure, Stage.STREAM)
        return event

    async def _received(self) -> str | bytes:
        try:
            async with asyncio.timeout(None) as self._timer:
                self._expire()
                return await self._socket.recv()
        except TimeoutError:
            if self._error:
                raise self._error from None
            raise self._late() from None
        except ConnectionClosed as closed:
            if self._error:
                raise self._error from closed
            if self._complete:
                raise StopAsyncIteration from closed
            raise self._closed(closed) from closed
        finally:
            self._timer = None

    @property
    def _limit(self) -> Limit:
        """The limit of the next event; nothing is due while the upstream has heard nothing new."""
        return self._idle if self._owed else self._limits.total()

    def _expire(self) -> None:
        """Applies the limit to the running wait, if there is one, or ends it after an error."""
        if self._timer is None or self._timer.expired():
            return
        left_s = 0.0 if self._error else self._limit.until - monotonic()
        now = asyncio.get_running_loop().time()
        self._timer.reschedule(None if left_s == math.inf else now + max(0.0, left_s))

    def _late(self) -> UpstreamFailure:
        limit = self._limit
        broke = self._started and limit.option != TOTAL
        kind = Kind.INTERRUPTED if broke else Kind.TIMEOUT
        return UpstreamFailure(kind, limit.missed, self._attempts.stage, limit=limit.option)

    def _closed(self, closed: ConnectionClosed) -> UpstreamFailure:
        """Returns the failure for a websocket that the upstream closed, or that broke."""
        # An upstream that closes gets its own code back.
        refused = closed.sent if not closed.rcvd_then_sent else None
        if refused and refused.code == CloseCode.MESSAGE_TOO_BIG:
            return malformed("an event is too large", Stage.STREAM)
        kind = Kind.INTERRUPTED if self._started else Kind.CLOSED
        message = f"the upstream's websocket closed early: {self._contract.missing}"
        return UpstreamFailure(kind, message, self._attempts.stage)


def _parsed(data: str | bytes) -> JsonObject:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        event = None
    if type(event) is not dict:
        raise malformed("an event is not a JSON object", Stage.STREAM)
    return event
