"""Dispatch: sends a call to one of its replicas, and retries it on another if that is safe."""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence, Set
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import TypeVar

from penstock_server.fleet import adaptation, affinity
from penstock_server.fleet.balancing import least_loaded
from penstock_server.fleet.directory import Directory
from penstock_server.fleet.hedging import hedged
from penstock_server.fleet.lease import error_type
from penstock_server.fleet.policy import Affinity
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.request import Begun, Opened, ReplicaRequest
from penstock_server.fleet.retry import Clock, Retries, RetryRules
from penstock_server.fleet.routing import Routes
from penstock_server.fleet.sleep import asleep, require_awake
from penstock_server.fleet.stored import Holders
from penstock_server.upstream import (
    NATIVE_RESPONSE,
    Attempts,
    Body,
    Call,
    Form,
    JsonObject,
    Operation,
    StreamContract,
    UpstreamFailure,
)

T = TypeVar("T")


class Dispatcher:
    """Sends the requests of calls.

    Attributes:
        directory: the routes of calls.
        rules: rules for retries.
        affinity: the key that keeps calls on one replica.
        retries: the number of requests sent because an earlier one had failed, by the name of the
            upstream that failed.
        hedges: the number of requests sent because an earlier one was late, by the name of the
            late upstream.
    """

    def __init__(
        self,
        directory: Directory,
        rules: RetryRules,
        affinity: Affinity,
        clock: Clock,
        chance: Random,
    ) -> None:
        """Creates a dispatcher.

        Args:
            directory: the routes of calls.
            rules: rules for retries.
            affinity: the key that keeps calls on one replica.
            clock: returns the time in seconds.
            chance: the source of random choices.
        """
        self.directory = directory
        self.rules = rules
        self.affinity = affinity
        self.retries = Counter[str]()
        self.hedges = Counter[str]()
        self._clock = clock
        self._chance = chance

    async def answer(
        self, operation: Operation, body: Body, call: Call, choices: int | None
    ) -> JsonObject:
        """Returns the answer to a unary request; see `Fleet.call`.

        Raises:
            UpstreamFailure: no replica fits, or the last one failed.
        """
        requests = _Requests(self, operation, body, call)
        return await requests.until_sent(
            lambda request: request.answer(operation, choices), _nothing_to_end
        )

    async def begin(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> Begun:
        """Returns a stream once its first event has arrived.

        Args:
            operation: the operation.
            body: the request.
            call: the call.
            contract: decides when the stream is complete.

        Raises:
            UpstreamFailure: no replica fits, or the last one failed.
        """
        # Each of two simultaneous requests needs its own contract.
        second = deepcopy(contract) if self.rules.hedge_after_s else contract
        requests = _Requests(self, operation, body, call)
        return await requests.until_sent(
            lambda request: request.begin(operation, second if request.hedges else contract),
            Begun.end,
        )

    async def open(self, operation: Operation, opening: Body, call: Call) -> Opened:
        """Returns a session that is open; see `Fleet.live`.

        Raises:
            UpstreamFailure: no replica fits, or the last one failed.
        """
        requests = _Requests(self, operation, opening, call)
        return await requests.until_sent(lambda request: request.open(operation), Opened.end)

    def pick(
        self,
        routes: Routes,
        tried: Sequence[Replica] = (),
        key: bytes = b"",
        *,
        only_once: bool = False,
    ) -> Replica:
        """Returns the replica to ask.

        Args:
            routes: the replicas to choose from.
            tried: the replicas that were asked before; another one is preferred.
            key: the key of the call's affinity; empty for none.
            only_once: whether the request cannot be retried; then a replica that is on trial
                is avoided.
        """
        if len(routes) == 1:
            return next(iter(routes))
        now = self._clock()
        fit = [replica for replica in routes if replica.available]
        if only_once:
            fit = [replica for replica in fit if not replica.ejection.trying] or fit
        if not fit:
            fit = [replica for replica in routes if replica.wakeable] or _least_unfit(routes)
        if tried:
            fit = [replica for replica in fit if replica not in tried] or fit
        if key and not tried:
            return affinity.preferred(fit, key, now)
        return least_loaded(fit, now, self._chance)


def _least_unfit(routes: Routes) -> list[Replica]:
    """Returns the replicas to try if none is available.

    An attempt is better than none: the known state may be wrong or outdated. A request to an engine
    that is asleep would only wait.
    """
    awake = [replica for replica in routes if not replica.known.asleep]
    return [replica for replica in awake if replica.known.alive] or awake or list(routes)


def _require_asked(others: Sequence[Replica]) -> None:
    """Raises why one of the replicas cannot be asked, if one cannot."""
    for replica in others:
        if replica.known.down:
            raise replace(replica.known.down)
        if replica.known.asleep:
            raise asleep(replica)


async def _nothing_to_end(answer: JsonObject) -> None:
    pass


class _Requests:
    """The requests of one call, one after the other."""

    def __init__(
        self, dispatcher: Dispatcher, operation: Operation, body: Body, call: Call
    ) -> None:
        self._dispatcher = dispatcher
        self._operation = operation
        self._body = body
        self._call = call
        self._retries = Retries(dispatcher.rules, call.deadline, operation.repeatable)
        self._tried: list[Replica] = []
        self._sent: dict[str, int] = {}  # by upstream
        self._failure: UpstreamFailure | None = None
        document = None if isinstance(body, Form) else body
        native = document if operation is NATIVE_RESPONSE else None
        continued = native.get("previous_response_id") if native else None
        self._holders = Holders(dispatcher.directory, str(continued), call) if continued else None
        self._only_once = isinstance(body, Form) and body.only_once
        self._key = affinity.key(dispatcher.affinity, call, document)
        once = self._only_once or not operation.repeatable
        self._hedge_after_s = 0.0 if once else dispatcher.rules.hedge_after_s

    async def until_sent(
        self,
        send: Callable[[ReplicaRequest], Awaitable[T]],
        discard: Callable[[T], Awaitable[None]],
    ) -> T:
        """Sends one request after the other until one succeeds; returns its result.

        Args:
            send: returns the result of a request.
            discard: ends a result that is not needed after all.

        Raises:
            UpstreamFailure: none succeeded, and no other is to be sent.
        """
        if isinstance(self._body, Form):
            await self._body.file.begin()
        while True:
            request = await self._next()
            try:
                if self._hedge_after_s:
                    return await self._hedged(request, send, discard)
                return await send(request)
            except UpstreamFailure as failure:
                await self._failed(failure)

    async def _next(self) -> ReplicaRequest:
        """Returns the request to send next."""
        routes = await (self._open_routes() if self._tried else self._routes())
        replica, body = self._choose(routes)
        if replica.known.asleep:
            await require_awake(replica)
        self._count(replica)
        self._call.attempts.model = routes[replica].public
        return ReplicaRequest(
            replica, self._dispatcher.directory, routes[replica], body, self._call
        )

    def _count(self, replica: Replica) -> None:
        self._tried.append(replica)
        name = replica.upstream.name
        self._sent[name] = self._sent.get(name, 0) + 1
        self._retries.sent += 1

    async def _hedged(
        self,
        request: ReplicaRequest,
        send: Callable[[ReplicaRequest], Awaitable[T]],
        discard: Callable[[T], Awaitable[None]],
    ) -> T:
        """Sends a request, and a second one if it is late; returns the first result."""
        late = self._dispatcher.rules.sleep(self._hedge_after_s)
        winner, result = await hedged(request, late, self._another, send, discard)
        attempts = self._call.attempts
        if winner.hedges:
            attempts.adopt(winner.call.attempts)
        else:
            attempts.upstream = winner.replica.upstream.name
        return result

    async def _another(self) -> ReplicaRequest | None:
        """Returns the request to send in addition to a late one; None without another replica."""
        self._hedge_after_s = 0.0
        try:
            routes = await self._untried_routes()
            if not routes or self._retries.sent >= max(map(self._limit, routes)):
                return None
            replica, body = self._choose(routes)
        except UpstreamFailure:
            return None
        if not self._dispatcher.rules.budget.spend():
            return None
        self._dispatcher.hedges[self._tried[-1].upstream.name] += 1
        self._count(replica)
        attempts = self._call.attempts
        attempts.add(replica.upstream.name)
        if observer := self._call.observer:
            observer.record_hedge(replica.upstream.name)
        call = replace(self._call, attempts=Attempts())
        peers = self._dispatcher.directory
        return ReplicaRequest(replica, peers, routes[replica], body, call, hedges=attempts)

    async def _untried_routes(self) -> Routes:
        """Returns the available replicas that the call has not been sent to."""
        return {
            replica: target
            for replica, target in (await self._open_routes()).items()
            if replica not in self._tried and replica.available and not replica.ejection.trying
        }

    def _choose(self, routes: Routes) -> tuple[Replica, Body]:
        """Returns the replica to ask, and the request adapted to its version.

        Raises:
            UpstreamFailure: all are too old for a field of the request.
        """
        replica = self._pick(routes)
        try:
            return replica, self._adapted(replica.known.version)
        except UpstreamFailure as refusal:
            others = {one.known.version for one in routes} - {replica.known.version}
            bodies = self._adapted_to(others)
            fit = {one: target for one, target in routes.items() if one.known.version in bodies}
            if not fit:
                raise self._failure or refusal from None
        replica = self._pick(fit)
        return replica, bodies[replica.known.version]

    def _pick(self, routes: Routes) -> Replica:
        return self._dispatcher.pick(routes, self._tried, self._key, only_once=self._only_once)

    def _adapted(self, version: str) -> Body:
        return adaptation.adapted(self._operation, self._body, version)

    def _adapted_to(self, versions: Set[str]) -> dict[str, Body]:
        """Returns the request adapted to each version that has all of its fields."""
        bodies: dict[str, Body] = {}
        for version in versions:
            with contextlib.suppress(UpstreamFailure):
                bodies[version] = self._adapted(version)
        return bodies

    async def _failed(self, failure: UpstreamFailure) -> None:
        """Waits until another request is to be sent.

        Raises:
            UpstreamFailure: the failure, if no other request is to be sent.
        """
        self._failure = failure
        if failure.response_missing:
            # A search is not an attempt: the last of many replicas may have the response.
            self._sent[failure.upstream] -= 1
            self._retries.sent -= 1
        gone = isinstance(self._body, Form) and not self._body.resendable
        if gone or not self._retries.possible(failure):
            raise failure
        routes = await self._open_routes()
        if not routes:
            raise failure
        self._retries.most = max(map(self._limit, routes))
        others = [replica for replica in routes if replica not in self._tried]
        elsewhere = any(replica.available for replica in others)
        if failure.response_missing and not elsewhere:
            # One that cannot be asked may have the response.
            _require_asked(others)
        await self._retries.wait(failure, elsewhere=elsewhere)
        if observer := self._call.observer:
            observer.record_retry(failure.upstream, error_type(failure))
        if not failure.response_missing:
            self._dispatcher.retries[failure.upstream] += 1

    async def _open_routes(self) -> Routes:
        """Returns the replicas whose upstreams allow another request of the call."""
        routes = await self._routes()
        return {
            replica: target
            for replica, target in routes.items()
            if self._sent.get(replica.upstream.name, 0) < self._limit(replica)
        }

    def _limit(self, replica: Replica) -> int:
        return replica.upstream.config.max_attempts or self._dispatcher.rules.max_attempts

    async def _routes(self) -> Routes:
        directory = self._dispatcher.directory
        try:
            if self._holders:
                return await self._holders.among(await directory.storing(self._call))
            return await directory.routes(self._operation, self._call)
        except UpstreamFailure as no_route:
            # The failure of a request is more informative than that a reload left no replica.
            raise self._failure or no_route from None
