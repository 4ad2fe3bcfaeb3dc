"""Membership: the replicas, from the configuration and from host names."""

import asyncio
from collections.abc import Callable, Sequence

import httpx

from penstock_server.fleet.changes import ChangeSignal
from penstock_server.fleet.discovery import Resolve
from penstock_server.fleet.kept_adapters import KeptAdapters
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.replica_set import ReplicaSet
from penstock_server.upstream import UpstreamConfig


class Membership:
    """The replicas of all upstreams.

    Attributes:
        changes: sent when a replica is added, removed or changed.
    """

    def __init__(
        self,
        policy: Policy,
        resolve: Resolve,
        clock: Callable[[], float],
        kept: KeptAdapters,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Creates a membership without replicas.

        Args:
            policy: how replicas are treated.
            resolve: returns the addresses of a host name.
            clock: returns the time in seconds.
            kept: the LoRA adapters that all replicas of their models must have.
            transport: sends all requests; None for one with its own connections per upstream.
        """
        self.changes = ChangeSignal()
        self._policy = policy
        self._resolve = resolve
        self._clock = clock
        self._kept = kept
        self._transport = transport
        self._sets: list[ReplicaSet] = []
        self._watches: dict[ReplicaSet, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def configs(self) -> Sequence[UpstreamConfig]:
        """The configuration of each upstream."""
        return [one.config for one in self._sets]

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas, in the order of their upstreams."""
        return [replica for one in self._sets for replica in one.replicas.values()]

    @property
    def watched(self) -> bool:
        """Whether the replicas are being probed."""
        return self._tasks is not None

    def reload(self, configs: Sequence[UpstreamConfig]) -> None:
        """Replaces the upstreams.

        Upstreams at the same place keep their replicas and the known state. The
        replicas of the others finish the requests that are under way.
        """
        before, sets = list(self._sets), []
        for config in configs:
            if kept := _kept(config, before):
                before.remove(kept)
            sets.append(kept or self._replica_set(config))
        # Nothing fails from here on.
        for config, one in zip(configs, sets, strict=True):
            if one.config != config:
                one.configure(config)
        self._sets = sets
        self._watch_sets()
        self.changes.send()
        for gone in before:
            gone.close()

    def _replica_set(self, config: UpstreamConfig) -> ReplicaSet:
        return ReplicaSet(
            config, self._policy, self._clock, self.changes, self._kept, self._transport
        )

    async def watch(self, listener: Callable[[], None]) -> None:
        """Probes all replicas forever.

        Args:
            listener: called after every probe and every other change.
        """
        self.changes.listener = listener
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._watch_sets()
                await asyncio.Event().wait()
        finally:
            self._tasks = self.changes.listener = None
            self._watches.clear()
            self.changes.send()

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        for one in self._sets:
            one.close()

    def _watch_sets(self) -> None:
        if not self._tasks:
            return
        for gone in self._watches.keys() - set(self._sets):
            self._watches.pop(gone).cancel()
        for one in self._sets:
            if one not in self._watches:
                self._watches[one] = self._tasks.create_task(one.watch(self._resolve))


def _kept(config: UpstreamConfig, before: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """Returns the set at the place of a configuration; first one with the same configuration."""
    there = [one for one in before if one.config.same_place(config)]
    there.sort(key=lambda one: (one.config != config, one.config.name != config.name))
    return there[0] if there else None
