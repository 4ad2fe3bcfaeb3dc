"""All upstreams together: each call goes to a replica that can serve it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from random import Random
from time import monotonic
from typing import Any

import httpx

from penstock_server.fleet.adapters import AdapterState, has_adapter, load, states, unload
from penstock_server.fleet.directory import Directory
from penstock_server.fleet.discovery import Resolve
from penstock_server.fleet.dispatch import Dispatcher
from penstock_server.fleet.engines import Outcome, on_each, reset_caches
from penstock_server.fleet.kept_adapters import Adapter, KeptAdapters
from penstock_server.fleet.listing import ModelListing, list_models
from penstock_server.fleet.membership import Membership
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.probe import responds_natively
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.replica_state import ReplicaState
from penstock_server.fleet.retry import Clock, Resendable, RetryBudget, RetryRules, Sleep
from penstock_server.fleet.routing import unknown_model
from penstock_server.fleet.sleep import fall_asleep, wake_up
from penstock_server.fleet.stored import StoredEvents, ask
from penstock_server.upstream import (
    NATIVE_RESPONSE,
    RESPONSE,
    Body,
    Call,
    Form,
    JsonObject,
    Kind,
    Method,
    NativeResponses,
    Operation,
    Stage,
    StreamContract,
    UpstreamConfig,
    UpstreamFailure,
)
from penstock_server.upstream.http import resolve
from penstock_server.upstream.live import LiveSession

_DEFAULTS = Policy()
_NO_ALIASES: Mapping[str, str] = {}


def _never(failure: UpstreamFailure, elsewhere: bool) -> bool:
    return False


def _described(body: Body) -> Mapping[str, Any]:
    return dict(body.fields) if isinstance(body, Form) else body


class Fleet:
    """The upstreams behind one service.

    Attributes:
        budget: the running calls, and the number of retries that they may have.
    """

    def __init__(
        self,
        configs: Sequence[UpstreamConfig],
        policy: Policy = _DEFAULTS,
        *,
        aliases: Mapping[str, str] = _NO_ALIASES,
        default_model: str = "",
        resendable: Resendable = _never,
        resolve: Resolve = resolve,
        clock: Clock = monotonic,
        sleep: Sleep = asyncio.sleep,
        chance: Random | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        kept: KeptAdapters | None = None,
    ) -> None:
        """Creates the replicas; opens no connection yet. Requires a running event loop.

        Args:
            configs: the upstreams.
            policy: how replicas are treated.
            aliases: other names of models, each with the model's public name.
            default_model: the public name of the model for calls that name none; may be empty.
            resendable: whether a request with such a failure can safely be retried, given
                whether that would be to another replica.
            resolve: returns the addresses of a host name.
            clock: returns the time that deadlines of calls are given in.
            sleep: waits for a number of seconds.
            chance: the source of random choices and jitter.
            transport: sends all requests, and is not closed; None for connections of the fleet's
                own.
            kept: the LoRA adapters that replicas must have; None for none at first.
        """
        self._policy = policy
        self.budget = RetryBudget(policy.retry_budget, clock)
        chance = chance or Random()
        rules = RetryRules(
            policy.max_attempts, resendable, self.budget, clock, sleep, chance, policy.hedge_after
        )
        self._kept = kept or KeptAdapters()
        self._members = Membership(policy, resolve, clock, self._kept, transport)
        self._directory = Directory(self._members)
        self._dispatcher = Dispatcher(self._directory, rules, policy.affinity, clock, chance)
        self.reload(configs, aliases, default_model)

    # Replicas

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas, in the order of their upstreams."""
        return self._members.replicas

    def reload(
        self,
        configs: Sequence[UpstreamConfig],
        aliases: Mapping[str, str] = _NO_ALIASES,
        default_model: str = "",
    ) -> None:
        """Applies another configuration, or fails and changes nothing.

        Upstreams at the same place keep their replicas and the known state. The
        replicas of the others finish their running calls and receive no new ones.
        """
        self._members.reload(configs)
        self._directory.reload(aliases, default_model)

    async def watch(self, listener: Callable[[], None]) -> None:
        """Probes all replicas forever.

        Args:
            listener: called after every probe and every other change.
        """
        await self._members.watch(listener)

    async def probed(self) -> None:
        """Waits until every replica has been probed; `watch` must be running."""
        await self._directory.probed()

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        self._members.close()

    def healthy(self, operation: Operation | None = None) -> bool | None:
        """Returns whether any replica is healthy and serves the operation, if one is given.

        None: none is known to, and some have not been probed yet.
        """
        serving = [r for r in self.replicas if operation is None or r.serves(operation)]
        if any(replica.healthy for replica in serving):
            return True
        return None if any(replica.known.alive is None for replica in serving) else False

    def snapshot(self) -> list[ReplicaState]:
        """Returns the state of each replica now."""
        return [replica.snapshot() for replica in self.replicas]

    @property
    def retries(self) -> Mapping[str, int]:
        """The number of requests sent because one to the upstream of this name had failed."""
        return self._dispatcher.retries

    @property
    def hedges(self) -> Mapping[str, int]:
        """The number of requests sent because one to the upstream of this name was late."""
        return self._dispatcher.hedges

    # Calls

    async def call(
        self, operation: Operation, body: Body, call: Call, choices: int | None = None
    ) -> JsonObject:
        """Sends a unary request to a replica that serves it; returns the answer.

        Args:
            operation: the operation.
            body: the request.
            call: the call.
            choices: the number of choices that the answer must contain; None for any.

        Raises:
            UpstreamFailure: no replica fits, or the last one failed.
        """
        if call.observer:
            call.observer.describe("POST", operation.path, _described(body))
        self.budget.begin()
        try:
            return await self._dispatcher.answer(operation, body, call, choices)
        except UpstreamFailure as failure:
            raise self._with_names(failure, operation, call) from failure
        finally:
            self.budget.end()

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Opens a stream on a replica that serves it; yields its events after the first arrived.

        Raises:
            UpstreamFailure: no replica fits, or the last one failed.
        """
        if call.observer:
            call.observer.describe("POST", operation.path, _described(body))
        self.budget.begin()
        try:
            begun = await self._dispatcher.begin(operation, body, call, contract)
            # The prompt may be long, and the stream may last.
            del body
            async with begun.stack:
                yield begun.events
        except UpstreamFailure as failure:
            raise self._with_names(failure, operation, call) from failure
        finally:
            self.budget.end()

    @contextlib.asynccontextmanager
    async def live(
        self, operation: Operation, opening: Body, call: Call
    ) -> AsyncIterator[LiveSession]:
        """Opens a session on a replica that serves it, where it stays; leaving closes it.

        Args:
            operation: the operation.
            opening: the first event to send.
            call: the call.

        Raises:
            UpstreamFailure: no replica fits, or the session failed.
        """
        if call.observer:
            call.observer.describe("GET", operation.path, _described(opening))
        self.budget.begin()
        try:
            opened = await self._dispatcher.open(operation, opening, call)
            async with opened.stack:
                yield opened.session
        except UpstreamFailure as failure:
            raise self._with_names(failure, operation, call) from failure
        finally:
            self.budget.end()

    async def stored(self, method: Method, path: str, call: Call) -> JsonObject:
        """Requests a stored response, or an action on it, from the replica that has it.

        Raises:
            UpstreamFailure: no replica has it, or one that might have it failed.
        """
        if call.observer:
            call.observer.describe(method, f"{NATIVE_RESPONSE.path}/{{response_id}}", {})
        self.budget.begin()
        try:
            routes = self._directory.table.storing(call)
            return (await ask(routes, self._directory, method, path, call)).response
        except UpstreamFailure as failure:
            raise self._with_names(failure, NATIVE_RESPONSE, call) from failure
        finally:
            self.budget.end()

    @contextlib.asynccontextmanager
    async def stored_events(
        self, path: str, received: int | None, call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Opens the stream of the events of a stored response on the replica that has it.

        The stream begins with the last event received, or with an earlier one.

        Args:
            path: the path of the response.
            received: the number of the last event that the caller has; None for none.
            call: the call.
            contract: decides when the stream is complete.

        Raises:
            UpstreamFailure: no replica has its events, or one that might have them failed.
        """
        if call.observer:
            call.observer.describe("GET", f"{NATIVE_RESPONSE.path}/{{response_id}}", {})
        self.budget.begin()
        try:
            routes = self._directory.table.storing(call)
            events = StoredEvents(routes, self._directory, path, call, contract)
            begun = await events.begin(received)
            async with begun.stack:
                yield begun.events
        except UpstreamFailure as failure:
            raise self._with_names(failure, NATIVE_RESPONSE, call) from failure
        finally:
            self.budget.end()

    def _with_names(
        self, failure: UpstreamFailure, operation: Operation, call: Call
    ) -> UpstreamFailure:
        """Returns a failure with the names of operation and model that the caller uses."""
        missing = failure.model_missing
        message = self._directory.table.missing(call) if missing else failure.message
        return replace(failure, operation=operation.name, message=message)

    # Engines

    @property
    def upstreams(self) -> Sequence[str]:
        """The names of the upstreams, sorted."""
        return sorted({replica.upstream.name for replica in self.replicas})

    async def sleep(
        self, upstreams: Collection[str], call: Call, level: int, mode: str
    ) -> Sequence[Outcome]:
        """Puts the engines of upstreams to sleep.

        Args:
            upstreams: the names of the upstreams.
            call: the call.
            level: how deeply.
            mode: vLLM's word for how to treat running calls.
        """
        return await on_each(
            self._of(upstreams), lambda replica: fall_asleep(replica, call, level, mode)
        )

    async def wake_up(
        self, upstreams: Collection[str], call: Call, tags: Sequence[str]
    ) -> Sequence[Outcome]:
        """Wakes the engines of upstreams, or the parts of them that tags name."""
        return await on_each(self._of(upstreams), lambda replica: wake_up(replica, call, tags))

    async def reset_caches(
        self, upstreams: Collection[str], call: Call, routes: Sequence[str]
    ) -> Sequence[Outcome]:
        """Empties the caches of the engines of upstreams, by the routes that empty each."""
        return await on_each(
            self._of(upstreams), lambda replica: reset_caches(replica, call, routes)
        )

    def _of(self, upstreams: Collection[str]) -> Sequence[Replica]:
        return [replica for replica in self.replicas if replica.upstream.name in upstreams]

    # Adapters

    @property
    def adapters(self) -> Sequence[AdapterState]:
        """The LoRA adapters that replicas list or must have, sorted by name."""
        return states(self.replicas, self._kept.all())

    def base_model(self, name: str) -> tuple[str, str]:
        """Returns the public name of a listed model, and of its base model if it is an adapter.

        Raises:
            UpstreamFailure: no replica lists it.
        """
        public = self._directory.table.listed(name)
        entries = [one.known.models for one in self.replicas if one.known.models]
        for models in entries:
            if public in models:
                return public, str(models[public].get("parent") or "")
        raise unknown_model(name, {listed for models in entries for listed in models})

    def is_other_model(self, name: str, model: str) -> bool:
        """Returns whether a name is in use, other than for an adapter of a model.

        Args:
            name: the name.
            model: the public name of the model.
        """
        public = self._directory.table.listed(name)
        listing = [one for one in self.replicas if public and public in (one.known.models or {})]
        return public not in ("", name) or not all(
            has_adapter(one, name) and model in (one.known.models or {}) for one in listing
        )

    async def load_adapter(self, adapter: Adapter, call: Call) -> Sequence[Outcome]:
        """Loads an adapter on all replicas of its model, which must have it from then on.

        If it cannot be loaded on any, they need not have it.
        """
        found = [one for one in self.replicas if adapter.model in (one.known.models or {})]
        outcomes = await on_each(found, lambda replica: load(replica, adapter, call))
        if not all(one.failure for one in outcomes):
            self._kept.keep(adapter)
        return outcomes

    async def unload_adapter(self, name: str, call: Call) -> Sequence[Outcome]:
        """Unloads an adapter from all replicas that have it, which no longer must have it.

        Raises:
            UpstreamFailure: no replica has it, or must have it.
        """
        kept = self._kept.all().get(name)
        self._kept.forget(name)
        found = [
            one
            for one in self.replicas
            if has_adapter(one, name) or (kept and kept.model in (one.known.models or {}))
        ]
        if not found and not kept:
            message = f"no replica has the adapter {name}"
            raise UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.CONNECT)
        return await on_each(found, lambda replica: unload(replica, name, call))

    # The state that servicers read

    async def responds_natively(self, call: Call, *, continues: bool = False) -> bool:
        """Returns whether a response is requested from an upstream's own Responses API.

        Args:
            call: the call.
            continues: whether it continues a stored response, which any upstream may have.

        Raises:
            UpstreamFailure: no upstream fits.
        """
        if continues or self._all_native:
            return await self.may_store(call)
        replica = self._dispatcher.pick(await self._directory.routes(RESPONSE, call))
        return await responds_natively(replica, self._policy.probe_timeout)

    async def may_store(self, call: Call) -> bool:
        """Returns whether any upstream may have stored a response; asks each of them once.

        One that could not be asked may have.

        Raises:
            UpstreamFailure: no upstream fits.
        """
        if self._all_native:
            return True
        await self._directory.routes(RESPONSE, call)
        replicas = self._directory.table.everywhere(RESPONSE, call)
        timeout_s = self._policy.probe_timeout
        await asyncio.gather(*(responds_natively(replica, timeout_s) for replica in replicas))
        return any(replica.may_store for replica in replicas)

    @property
    def _all_native(self) -> bool:
        wanted = {config.native_responses for config in self._members.configs}
        return wanted == {NativeResponses.ALWAYS}

    async def list_models(self, call: Call) -> ModelListing:
        """Returns the models of all upstreams.

        Raises:
            UpstreamFailure: none answered, and nothing is known of any.
        """
        return await list_models(self.replicas, call, self._policy.probe_timeout)

    def listed_model(self, name: str) -> str:
        """Returns the public name of a model that an upstream lists; empty for other names."""
        return self._directory.table.listed(name)

    def public_model(self, call: Call) -> str:
        """Returns the public name of the model that a call names; else of the default, if any.

        Raises:
            UpstreamFailure: the caller may not use the default.
        """
        return self._directory.table.public_model(call)
