"""All upstreams together: every call goes to a replica that can take it, and on to another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from random import Random
from time import monotonic

from penstock_server.fleet import renaming
from penstock_server.fleet.discovery import (
    Resolve,
    probe_call,
    system_resolve,
)
from penstock_server.fleet.dispatch import Dispatcher
from penstock_server.fleet.listing import ModelListing, list_models
from penstock_server.fleet.membership import Membership
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.replica_state import ReplicaState
from penstock_server.fleet.retry import Clock, RetryBudget, RetryRules, Sleep
from penstock_server.fleet.routing import Routes, RoutingTable
from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.operations import NATIVE_RESPONSE, RESPONSE, Method, Operation
from penstock_server.upstream.upstream import Body

_DEFAULTS = Policy()
_NO_ALIASES: Mapping[str, str] = {}


def _never(failure: UpstreamFailure) -> bool:
    return False


class Fleet:
    """The upstreams behind one service."""

    def __init__(
        self,
        configs: Sequence[UpstreamConfig],
        policy: Policy = _DEFAULTS,
        *,
        aliases: Mapping[str, str] = _NO_ALIASES,
        default_model: str = "",
        resendable: Callable[[UpstreamFailure], bool] = _never,
        resolve: Resolve = system_resolve,
        clock: Clock = monotonic,
        sleep: Sleep = asyncio.sleep,
        chance: Random | None = None,
    ) -> None:
        """Takes what is configured; opens nothing yet. Needs a running event loop.

        Args:
            configs: the upstreams.
            policy: how to deal with them.
            aliases: other names of models, each with the model's public name.
            default_model: the public name of the model for calls that name none; may be empty.
            resendable: whether a request that failed so can safely be sent again.
            resolve: returns the addresses of a host name.
            clock: tells the time that deadlines of calls are given in.
            sleep: waits.
            chance: where ties and jitter come from.
        """
        self._policy = policy
        self._resolve = resolve
        self._clock = clock
        self._budget = RetryBudget(policy.retry_budget, clock)
        rules = RetryRules(
            policy.max_attempts, resendable, self._budget, clock, sleep, chance or Random()
        )
        self._dispatcher = Dispatcher(self._routes, rules, policy.affinity)
        self._memberships: list[Membership] = []
        self._aliases: Mapping[str, str] = {}
        self._default_model = ""
        self._kept_table: RoutingTable | None = None
        self._under_way = 0
        self._news = asyncio.Event()
        self._tell: Callable[[], None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._watching: dict[Membership, asyncio.Task[None]] = {}
        self.reload(configs, aliases, default_model)

    # What there is

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas, in the order of their upstreams."""
        return [
            replica for membership in self._memberships for replica in membership.replicas.values()
        ]

    def reload(
        self,
        configs: Sequence[UpstreamConfig],
        aliases: Mapping[str, str] = _NO_ALIASES,
        default_model: str = "",
    ) -> None:
        """Takes another configuration.

        Upstreams that are where they were keep their replicas and all that is known of them. The
        others' replicas finish the calls that are under way and are asked no more.
        """
        before, memberships = list(self._memberships), []
        for config in configs:
            if kept := _kept(config, before):
                before.remove(kept)
            made = kept or Membership(config, self._replica, self._changed)
            memberships.append(made)
        # From here on nothing fails.
        for config, membership in zip(configs, memberships, strict=True):
            if membership.config != config:
                membership.configure(config)
        self._memberships = memberships
        self._aliases, self._default_model = dict(aliases), default_model
        self._watch_memberships()
        self._changed()
        for gone in before:
            gone.close()

    async def watch(self, changed: Callable[[], None]) -> None:
        """Probes all replicas for ever; tells after each probe, and when one comes or goes."""
        self._tell = changed
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._watch_memberships()
                await asyncio.Event().wait()
        finally:
            self._tasks = self._tell = None
            self._watching.clear()
            self._changed()

    async def heard(self) -> None:
        """Returns once every replica has been probed; `watch` must be running."""
        while self._table.unheard:
            await self._news.wait()

    def close(self) -> None:
        """Closes the connections to all upstreams, those in use once they are no more."""
        for replica in self.replicas:
            replica.close()

    def healthy(self, operation: Operation | None = None) -> bool | None:
        """Whether any replica is well and, if an operation is named, serves it.

        None: none is known to, and some have not been heard yet.
        """
        serving = [r for r in self.replicas if operation is None or r.serves(operation)]
        if any(replica.healthy for replica in serving):
            return True
        return None if any(replica.alive is None for replica in serving) else False

    def snapshot(self) -> list[ReplicaState]:
        """Returns what is known of each replica now."""
        return [replica.snapshot() for replica in self.replicas]

    # Calls

    async def call(self, operation: Operation, body: Body, call: Call) -> JsonObject:
        """Sends a unary request to a replica that serves it; returns the answer.

        Raises:
            UpstreamFailure: no replica fits, or the last one asked failed.
        """
        with self._counted(operation, call):
            return await self._dispatcher.answer(operation, body, call)

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Opens a stream on a replica that serves it; yields its events once the first is here.

        Raises:
            UpstreamFailure: no replica fits, or the last one asked failed.
        """
        with self._counted(operation, call):
            async with contextlib.AsyncExitStack() as stack:
                yield await self._dispatcher.begin(stack, operation, body, call, contract)

    async def responds_natively(self, call: Call) -> bool:
        """Whether a response is asked for by an upstream's own Responses API.

        Raises:
            UpstreamFailure: no upstream fits.
        """
        if all(membership.config.native_responses == "always" for membership in self._memberships):
            return True
        replica = self._dispatcher.pick(await self._routes(RESPONSE, call))
        return await replica.responds_natively(self._policy.probe_timeout, probe_call())

    async def stored(self, method: Method, path: str, call: Call) -> JsonObject:
        """Asks for a stored response, or for something to be done to it, wherever it is.

        Raises:
            UpstreamFailure: no upstream has it, or one that might have it failed.
        """
        failures: list[UpstreamFailure] = []
        with self._counted(NATIVE_RESPONSE, call):
            routes = self._table.everywhere(NATIVE_RESPONSE, call)
            for replica in sorted(routes, key=lambda replica: not replica.available):
                try:
                    with replica.asked():
                        answer = await replica.upstream.stored(method, path, call)
                        return renaming.published(routes[replica], answer)
                except UpstreamFailure as failure:
                    failures.append(failure)
            raise min(failures, key=lambda failure: failure.status == 404)

    async def list_models(self, call: Call) -> ModelListing:
        """Returns the models of all upstreams.

        Raises:
            UpstreamFailure: none could be asked, and nothing is known of any.
        """
        return await list_models(self.replicas, call, self._policy.probe_timeout)

    def meant(self, call: Call) -> str:
        """Returns the public name of the model that a call names; else of the default, if any.

        Raises:
            UpstreamFailure: the default is not for the caller.
        """
        return self._table.meant(call)

    # Choosing

    async def _routes(self, operation: Operation, call: Call) -> Routes:
        while self._table.unheard and self._tasks and not self._table.knows(operation, call):
            # The model may be where nobody has asked yet.
            await self._news.wait()
        return self._table.find(operation, call)

    @property
    def _table(self) -> RoutingTable:
        if self._kept_table is None:
            only = self._memberships[0] if len(self._memberships) == 1 else None
            self._kept_table = RoutingTable(
                self.replicas,
                self._aliases,
                self._default_model,
                open_to_all=only is not None and not only.config.models,
            )
        return self._kept_table

    @contextlib.contextmanager
    def _counted(self, operation: Operation, call: Call) -> Iterator[None]:
        self._under_way += 1
        self._budget.earn(self._under_way)
        try:
            yield
        except UpstreamFailure as failure:
            failure.operation = operation.name
            if failure.model_missing:
                failure.message = self._table.missing(call)
            raise
        finally:
            self._under_way -= 1

    # Coming and going

    def _replica(self, config: UpstreamConfig, address: str) -> Replica:
        return Replica(config, address, self._policy, self._clock, self._changed, self._outdone)

    def _outdone(self, replica: Replica) -> bool:
        return self._table.outdone(replica)

    def _changed(self) -> None:
        self._kept_table = None
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._tell:
            self._tell()

    def _watch_memberships(self) -> None:
        if not self._tasks or not self._tell:
            return
        for membership in self._watching.keys() - set(self._memberships):
            self._watching.pop(membership).cancel()
        for membership in self._memberships:
            if membership not in self._watching:
                watch = membership.watch(self._policy, self._resolve, self._tell)
                self._watching[membership] = self._tasks.create_task(watch)


def _kept(config: UpstreamConfig, before: Sequence[Membership]) -> Membership | None:
    """Returns whose server is where a configuration leads; first the one that it was made of."""
    there = [membership for membership in before if membership.config.same_place(config)]
    there.sort(key=lambda one: (one.config != config, one.config.name != config.name))
    return there[0] if there else None
