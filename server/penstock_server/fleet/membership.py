"""All replicas: they come and go with what is configured, and are probed all the time."""

import asyncio
from collections.abc import Callable, Sequence

from penstock_server.fleet.discovery import Resolve
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Others, Replica
from penstock_server.fleet.replica_set import ReplicaSet
from penstock_server.upstream.config import UpstreamConfig


class Membership:
    """The replicas of all upstreams."""

    def __init__(
        self,
        policy: Policy,
        resolve: Resolve,
        clock: Callable[[], float],
        changed: Callable[[], None],
        others: Others,
    ) -> None:
        """Takes the rules; there are no replicas yet.

        Args:
            policy: how to deal with replicas.
            resolve: returns the addresses of a host name.
            clock: tells the time, in seconds.
            changed: called whenever a replica comes or goes or what it serves changes.
            others: see `Replica`.
        """
        self._policy = policy
        self._resolve = resolve
        self._clock = clock
        self._on_change = changed
        self._others = others
        self._sets: list[ReplicaSet] = []
        self._watches: dict[ReplicaSet, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._told: Callable[[], None] | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def configs(self) -> Sequence[UpstreamConfig]:
        """What is configured of each upstream."""
        return [one.config for one in self._sets]

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas, in the order of their upstreams."""
        return [replica for one in self._sets for replica in one.replicas.values()]

    @property
    def watched(self) -> bool:
        """Whether news are to come."""
        return self._tasks is not None

    async def news(self) -> None:
        """Returns once something about the replicas has changed."""
        await self._news.wait()

    def reload(self, configs: Sequence[UpstreamConfig]) -> None:
        """Takes other upstreams.

        Those that are where they were keep their replicas and all that is known of them. The
        others' replicas finish the calls that are under way.
        """
        before, sets = list(self._sets), []
        for config in configs:
            if kept := _kept(config, before):
                before.remove(kept)
            sets.append(kept or ReplicaSet(config, self._replica, self._changed))
        # From here on nothing fails.
        for config, one in zip(configs, sets, strict=True):
            if one.config != config:
                one.configure(config)
        self._sets = sets
        self._watch_sets()
        self._changed()
        for gone in before:
            gone.close()

    async def watch(self, told: Callable[[], None]) -> None:
        """Probes all replicas for ever; tells after each probe, and of what else changes."""
        self._told = told
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._watch_sets()
                await asyncio.Event().wait()
        finally:
            self._tasks = self._told = None
            self._watches.clear()
            self._changed()

    def close(self) -> None:
        """Closes all connections, those in use once they are no more."""
        for one in self._sets:
            one.close()

    def _replica(self, config: UpstreamConfig, address: str) -> Replica:
        return Replica(config, address, self._policy, self._clock, self._changed, self._others)

    def _changed(self) -> None:
        self._on_change()
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._told:
            self._told()

    def _watch_sets(self) -> None:
        if not self._tasks or not self._told:
            return
        for gone in self._watches.keys() - set(self._sets):
            self._watches.pop(gone).cancel()
        for one in self._sets:
            if one not in self._watches:
                watch = one.watch(self._policy, self._resolve, self._told)
                self._watches[one] = self._tasks.create_task(watch)


def _kept(config: UpstreamConfig, before: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """Returns what is where a configuration leads; first that which was made of it."""
    there = [one for one in before if one.config.same_place(config)]
    there.sort(key=lambda one: (one.config != config, one.config.name != config.name))
    return there[0] if there else None
