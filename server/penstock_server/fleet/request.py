"""One request of a call to one replica, and the events of its stream."""

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple, Self

from penstock_server.fleet import renaming
from penstock_server.fleet.lease import Lease, Peers
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.routing import Target
from penstock_server.upstream import (
    Attempts,
    Body,
    Call,
    Form,
    JsonObject,
    Operation,
    StreamContract,
)
from penstock_server.upstream.live import LiveSession


class Begun(NamedTuple):
    """A stream that has begun: the stack that ends it, and its events."""

    stack: contextlib.AsyncExitStack
    events: AsyncIterator[JsonObject]

    async def end(self) -> None:
        """Ends the stream."""
        await self.stack.aclose()


async def begun(
    stack: contextlib.AsyncExitStack,
    lease: Lease,
    stream: contextlib.AbstractAsyncContextManager[AsyncIterator[JsonObject]],
    target: Target,
) -> Begun:
    """Returns a stream once its first event has arrived.

    Args:
        stack: holds the lease; what it holds moves to the stream.
        lease: the request.
        stream: opens the stream.
        target: the model, under the name that callers use.
    """
    events = await stack.enter_async_context(stream)
    first = await anext(events, None)
    lease.record_answer()
    return Begun(stack.pop_all(), _Events(target, first, events))


class Opened(NamedTuple):
    """A session that is open, and the stack that ends it."""

    stack: contextlib.AsyncExitStack
    session: LiveSession

    async def end(self) -> None:
        """Ends the session."""
        await self.stack.aclose()


class ReplicaRequest:
    """One request of a call to one replica.

    Attributes:
        replica: the replica that it goes to.
        target: the model to request.
        body: the request with the replica's name for the model.
        call: the call.
        hedges: the attempts of the call, if another of its requests is under way; else None.
    """

    def __init__(
        self,
        replica: Replica,
        peers: Peers,
        target: Target,
        body: Body,
        call: Call,
        hedges: Attempts | None = None,
    ) -> None:
        """Creates a request that is not sent yet.

        Args:
            replica: the replica that it goes to.
            peers: compares the replica with the others.
            target: the model to request.
            body: the request.
            call: the call.
            hedges: see the attribute.
        """
        self.replica = replica
        self.target = target
        self.body = renaming.with_served_name(target, body)
        self.call = call
        self.hedges = hedges
        self._lease = Lease(replica, peers, call, target.served, hedge=hedges is not None)

    def lose(self) -> None:
        """Records that a request that was sent later was answered earlier."""
        self._lease.lose()

    async def answer(self, operation: Operation, choices: int | None) -> JsonObject:
        """Returns the answer to a unary request."""
        upstream = self.replica.upstream
        has_model = bool(operation.fallbacks) and self.replica.known.lists(self.target.served)
        with self._lease as lease:
            answer = await upstream.call(
                operation, self.body, lease.call, choices, has_model=has_model
            )
            return renaming.with_public_name(self.target, answer)

    async def begin(self, operation: Operation, contract: StreamContract) -> Begun:
        """Returns a stream that has begun."""
        async with contextlib.AsyncExitStack() as opened:
            lease = opened.enter_context(self._lease)
            stream = self.replica.upstream.stream(operation, self.body, lease.call, contract)
            made = await begun(opened, lease, stream, self.target)
            if self.hedges:
                events = _HedgedEvents(made.events, self.call.attempts, self.hedges)
                made = made._replace(events=events)
            return made

    async def open(self, operation: Operation) -> Opened:
        """Returns a session that is open; the request is its first event."""
        assert not isinstance(self.body, Form)
        async with contextlib.AsyncExitStack() as opened:
            lease = opened.enter_context(self._lease)
            live = self.replica.upstream.live(operation, dict(self.body), lease.call)
            session = await opened.enter_async_context(live)
            lease.record_answer()
            return Opened(opened.pop_all(), session)


class _Events:
    """The events of a stream, with the model's public name."""

    def __init__(
        self, target: Target, first: JsonObject | None, rest: AsyncIterator[JsonObject]
    ) -> None:
        self._target = target
        self._first = first
        self._rest = rest

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JsonObject:
        event = self._first
        if event is None:
            event = await anext(self._rest)
        else:
            self._first = None
        return renaming.with_public_name(self._target, event)


class _HedgedEvents:
    """The events of a stream whose request was sent in addition to another one of its call.

    The attempts of the call record the progress of this exchange.
    """

    def __init__(
        self, events: AsyncIterator[JsonObject], attempts: Attempts, of_call: Attempts
    ) -> None:
        self._events = events
        self._attempts = attempts
        self._of_call = of_call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JsonObject:
        try:
            return await anext(self._events)
        finally:
            self._of_call.adopt(self._attempts)
