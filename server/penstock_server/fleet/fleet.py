"""All upstreams together: every call goes to a replica that can take it, and on to another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from time import monotonic
from types import TracebackType

from penstock_server.fleet.discovery import Resolve, probe_call
from penstock_server.fleet.dispatch import Dispatcher
from penstock_server.fleet.listing import ModelListing, list_models
from penstock_server.fleet.membership import Membership
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.replica_state import ReplicaState
from penstock_server.fleet.retry import Clock, Resendable, RetryBudget, RetryRules, Sleep
from penstock_server.fleet.routing import Routes, RoutingTable
from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.config import NativeResponses, UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.http.address import resolve
from penstock_server.upstream.operations import NATIVE_RESPONSE, RESPONSE, Method, Operation
from penstock_server.upstream.upstream import Body

_DEFAULTS = Policy()
_NO_ALIASES: Mapping[str, str] = {}


def _never(failure: UpstreamFailure, elsewhere: bool) -> bool:
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
        resendable: Resendable = _never,
        resolve: Resolve = resolve,
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
            resendable: whether a request that failed so can safely be sent again, given whether
                that would be to another replica.
            resolve: returns the addresses of a host name.
            clock: tells the time that deadlines of calls are given in.
            sleep: waits.
            chance: where ties and jitter come from.
        """
        self._policy = policy
        self._budget = RetryBudget(policy.retry_budget, clock)
        self._under_way = 0
        chance = chance or Random()
        rules = RetryRules(
            policy.max_attempts,
            resendable,
            self._budget,
            clock,
            sleep,
            chance,
            policy.hedge_after,
        )
        self._dispatcher = Dispatcher(self._routes, rules, policy.affinity, clock, chance)
        self._members = Membership(policy, resolve, clock, self._forget_table, self)
        self._kept_table: RoutingTable | None = None
        self.reload(configs, aliases, default_model)

    # What there is

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
        """Takes another configuration, or fails and changes nothing.

        Upstreams that are where they were keep their replicas and all that is known of them. The
        others' replicas finish the calls that are under way and are asked no more.
        """
        self._members.reload(configs)
        self._aliases, self._default_model = dict(aliases), default_model
        self._forget_table()

    async def watch(self, told: Callable[[], None]) -> None:
        """Probes all replicas for ever; tells after each probe, and of what else changes."""
        await self._members.watch(told)

    async def heard(self) -> None:
        """Returns once every replica has been probed; `watch` must be running."""
        while self._table.unheard:
            await self._members.news()

    def close(self) -> None:
        """Closes the connections to all upstreams, those in use once they are no more."""
        self._members.close()

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

    async def call(
        self, operation: Operation, body: Body, call: Call, choices: int | None = None
    ) -> JsonObject:
        """Sends a unary request to a replica that serves it; returns the answer.

        It must have so many choices, if any.

        Raises:
            UpstreamFailure: no replica fits, or the last one asked failed.
        """
        with self._counted(operation, call):
            return await self._dispatcher.answer(operation, body, call, choices)

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
        if self._all_native:
            return True
        replica = self._dispatcher.pick(await self._routes(RESPONSE, call))
        return await replica.responds_natively(self._policy.probe_timeout, probe_call())

    async def may_store(self, call: Call) -> bool:
        """Whether any upstream may have stored a response; asks all that were not asked yet.

        Raises:
            UpstreamFailure: no upstream fits.
        """
        if self._all_native:
            return True
        await self._routes(RESPONSE, call)
        replicas = self._table.everywhere(RESPONSE, call)
        timeout_s = self._policy.probe_timeout
        asked = (replica.responds_natively(timeout_s, probe_call()) for replica in replicas)
        return any(await asyncio.gather(*asked))

    @property
    def _all_native(self) -> bool:
        wanted = {config.native_responses for config in self._members.configs}
        return wanted == {NativeResponses.ALWAYS}

    async def stored(self, method: Method, path: str, call: Call) -> JsonObject:
        """Asks for a stored response, or for something to be done to it, wherever it is.

        Raises:
            UpstreamFailure: no upstream has it, or one that might have it failed.
        """
        with self._counted(NATIVE_RESPONSE, call):
            routes = self._table.everywhere(NATIVE_RESPONSE, call)
            return await self._dispatcher.stored(routes, method, path, call)

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
        members = self._members
        while self._table.unheard and members.watched and not self._table.knows(operation, call):
            # The model may be where nobody has asked yet.
            await members.news()
        return self._table.find(operation, call)

    @property
    def _table(self) -> RoutingTable:
        if self._kept_table is None:
            configs = self._members.configs
            self._kept_table = RoutingTable(
                self.replicas,
                self._aliases,
                self._default_model,
                open_to_all=len(configs) == 1 and not configs[0].models,
            )
        return self._kept_table

    def _forget_table(self) -> None:
        self._kept_table = None

    def outdo(self, replica: Replica) -> bool:
        """Whether others can take the calls of all models of a replica, and fare much better."""
        return self._table.outdo(replica)

    def spare(self, replica: Replica) -> bool:
        """Whether others can take the calls of all models of a replica."""
        return self._table.spare(replica)

    def _counted(self, operation: Operation, call: Call) -> "_Counted":
        return _Counted(self, operation, call)

    def _begin(self) -> None:
        self._under_way += 1
        self._budget.earn(self._under_way)

    def _end(self) -> None:
        self._under_way -= 1

    def _named(self, failure: UpstreamFailure, operation: Operation, call: Call) -> UpstreamFailure:
        """Returns a failure with the names that its caller knows."""
        message = self._table.missing(call) if failure.model_missing else failure.message
        return replace(failure, operation=operation.name, message=message)


class _Counted:
    """A call under way; a context manager, which tells failures what they are of."""

    __slots__ = ("_call", "_fleet", "_operation")

    def __init__(self, fleet: Fleet, operation: Operation, call: Call) -> None:
        self._fleet = fleet
        self._operation = operation
        self._call = call

    def __enter__(self) -> None:
        self._fleet._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fleet._end()
        if isinstance(error, UpstreamFailure):
            raise self._fleet._named(error, self._operation, self._call) from error
