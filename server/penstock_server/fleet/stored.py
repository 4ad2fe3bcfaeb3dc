"""Stored responses: the replica that has one, and the events of one."""

import asyncio
import contextlib
from typing import NamedTuple

from penstock_server.fleet import renaming
from penstock_server.fleet.lease import Lease, Peers
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.request import Begun, begun
from penstock_server.fleet.routing import Routes
from penstock_server.fleet.sleep import require_awake
from penstock_server.routes import stored_response
from penstock_server.upstream import (
    Call,
    JsonObject,
    Kind,
    Method,
    Stage,
    StreamContract,
    UpstreamFailure,
)

_RUNNING = ("queued", "in_progress")
_AT_ONCE_S = 5.0
"""Seconds in which an event that exists arrives; otherwise, all events are read."""


class Found(NamedTuple):
    """A stored response, and the replica that has it."""

    replica: Replica
    response: JsonObject


async def ask(routes: Routes, peers: Peers, method: Method, path: str, call: Call) -> Found:
    """Requests a stored response from one replica after the other, until one has it.

    The HTTP server of a replica answers, also while its engine is asleep.

    Args:
        routes: the replicas that may have it.
        peers: compares a replica with the others.
        method: GET; or POST for an action on the response.
        path: the path of the response, or of the action.
        call: the call.

    Raises:
        UpstreamFailure: no replica has it, or one that might have it failed.
    """
    failures: list[UpstreamFailure] = []
    for replica in sorted(routes, key=lambda replica: not replica.available):
        try:
            with Lease(replica, peers, call) as lease:
                answer = await replica.upstream.stored(method, path, lease.call)
                return Found(replica, renaming.with_public_name(routes[replica], answer))
        except UpstreamFailure as failure:
            failures.append(failure)
    raise min(failures, key=_missing_last)


def _missing_last(failure: UpstreamFailure) -> tuple[bool, bool]:
    """Sorts failures that report a missing response last, and missing routes after them."""
    return failure.status == 404 or failure.route_missing, not failure.response_missing


class Holders:
    """Finds the replicas that may have the response that a call continues.

    Those that are asleep are asked, for which their engines need not be woken.
    """

    def __init__(self, peers: Peers, response_id: str, call: Call) -> None:
        """Prepares the search; requests nothing yet.

        Args:
            peers: compares a replica with the others.
            response_id: the id of the response.
            call: the call.
        """
        self._peers = peers
        self._path = stored_response(response_id)
        self._call = call
        self._found: dict[Replica, bool] = {}  # whether replicas that were asked have it

    async def among(self, routes: Routes) -> Routes:
        """Returns the replicas that may have the response; only one of them if that has it.

        Raises:
            UpstreamFailure: none has it.
        """
        refusal: UpstreamFailure | None = None
        for replica in routes:
            if replica.known.asleep and replica not in self._found:
                refusal = await self._ask(routes, replica) or refusal
        if having := {one: routes[one] for one in routes if self._found.get(one)}:
            return having
        left = {one: routes[one] for one in routes if one not in self._found}
        if refusal and not left:
            raise refusal
        return left

    async def _ask(self, routes: Routes, replica: Replica) -> UpstreamFailure | None:
        """Asks a replica for the response; returns the failure if it does not have it."""
        try:
            await ask({replica: routes[replica]}, self._peers, "GET", self._path, self._call)
        except UpstreamFailure as failure:
            if not failure.response_missing:
                return None
            self._found[replica] = False
            return failure
        self._found[replica] = True
        return None


class StoredEvents:
    """Streams the events of a stored response.

    vLLM stores the events of a response only if it was requested as a stream in the background. It
    closes a stream of other responses without an event, and keeps a stream open without an event
    that begins after the last one.
    """

    def __init__(
        self, routes: Routes, peers: Peers, path: str, call: Call, contract: StreamContract
    ) -> None:
        """Prepares the stream; requests nothing yet.

        Args:
            routes: the replicas that may have the response.
            peers: compares a replica with the others.
            path: the path of the response.
            call: the call.
            contract: decides when the stream is complete.
        """
        self._routes = routes
        self._peers = peers
        self._path = path
        self._call = call
        self._contract = contract

    async def begin(self, received: int | None) -> Begun:
        """Returns the stream once its first event has arrived, which is one received before.

        Args:
            received: the number of the last event that the caller has; None for none.

        Raises:
            UpstreamFailure: no replica has the events, or one that might have them failed.
        """
        found = await ask(self._routes, self._peers, "GET", self._path, self._call)
        status = found.response.get("status")
        if found.response.get("background") is not True:
            raise self._missing(found.replica, "was not generated in the background")
        if status == "cancelled":
            raise self._missing(found.replica, "was cancelled")
        if found.replica.known.asleep and status in _RUNNING:
            await require_awake(found.replica)
        return await self._from_received(found.replica, received)

    async def _from_received(self, replica: Replica, received: int | None) -> Begun:
        """Begins with the received event, which arrives at once if it exists, or else the first."""
        with contextlib.suppress(TimeoutError):
            try:
                async with asyncio.timeout(_AT_ONCE_S if received else None):
                    return await self._opened(replica, received - 1 if received else None)
            except UpstreamFailure as failure:
                if failure.kind is not Kind.NOT_STREAMED:
                    raise
        # A stored stream always has a first event, so closing again is no accident.
        return await self._opened(replica, None)

    async def _opened(self, replica: Replica, starting_after: int | None) -> Begun:
        async with contextlib.AsyncExitStack() as stack:
            lease = stack.enter_context(Lease(replica, self._peers, self._call))
            events = replica.upstream.stored_events(
                self._path, starting_after, lease.call, self._contract
            )
            try:
                return await begun(stack, lease, events, self._routes[replica])
            except UpstreamFailure as failure:
                if failure.kind is Kind.CLOSED and failure.stage is Stage.STREAM:
                    # The lease must not count it against the replica.
                    raise self._missing(replica, "was not generated as a stream") from failure
                raise

    def _missing(self, replica: Replica, why: str) -> UpstreamFailure:
        message = f"the upstream does not have all events of the response, which {why}"
        return UpstreamFailure(
            Kind.NOT_STREAMED, message, Stage.BODY, upstream=replica.upstream.name, path=self._path
        )
