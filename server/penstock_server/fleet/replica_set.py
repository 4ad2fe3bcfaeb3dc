"""The replicas of one configured upstream: one for each server behind its host name."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import httpx

from penstock_server.fleet.changes import ChangeSignal
from penstock_server.fleet.discovery import Addresses, Resolve, servers
from penstock_server.fleet.kept_adapters import KeptAdapters
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.probe import keep_probing
from penstock_server.fleet.replica import Replica
from penstock_server.telemetry import events
from penstock_server.upstream import UpstreamConfig


class ReplicaSet:
    """The replicas of one configured upstream.

    Attributes:
        config: the upstream.
        replicas: the replicas by their addresses; one without any until the name is resolved.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        policy: Policy,
        clock: Callable[[], float],
        changes: ChangeSignal,
        kept: KeptAdapters,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Creates the first replica.

        Args:
            config: the upstream.
            policy: how replicas are treated.
            clock: returns the time in seconds.
            changes: sent when a replica is added, removed or changed.
            kept: the LoRA adapters that all replicas of their models must have.
            transport: sends all requests; None for one with its own connections per upstream.
        """
        self.config = config
        self._policy = policy
        self._clock = clock
        self._changes = changes
        self._kept = kept
        self._transport = transport
        self.replicas: dict[Addresses, Replica] = {(): self._replica("")}

    def configure(self, config: UpstreamConfig) -> None:
        """Applies another configuration of the same server."""
        self.config = config
        for replica in self.replicas.values():
            replica.configure(config)

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        for replica in self.replicas.values():
            replica.close()

    async def watch(self, resolve: Resolve) -> None:
        """Resolves the name and probes the replicas, forever."""
        probing: dict[Replica, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.resolve(resolve)
                present = set(self.replicas.values())
                for replica in probing.keys() - present:
                    probing.pop(replica).cancel()
                for replica in present - probing.keys():
                    task = keep_probing(replica, self._policy, self._changes)
                    probing[replica] = tasks.create_task(task)
                await asyncio.sleep(self._policy.probe_interval)

    async def resolve(self, resolve: Resolve) -> None:
        """Adds and removes replicas according to the name; all stay if it cannot be resolved."""
        with contextlib.suppress(OSError, UnicodeError):
            self._place(set(await servers(self.config.url, resolve)))

    def _place(self, found: set[Addresses]) -> None:
        resolved = () not in self.replicas
        new = sorted(found - self.replicas.keys())
        for server in new:
            # If a server has several addresses, the system chooses one that works.
            self.replicas[server] = self._replica(server[0] if len(server) == 1 else "")
        gone = [self.replicas.pop(server) for server in self._to_leave(found)]
        if resolved:
            self._log([self.replicas[server] for server in new], gone)
        if new or gone:
            self._changes.send()
        for replica in gone:
            replica.close()

    def _log(self, new: Sequence[Replica], gone: Sequence[Replica]) -> None:
        for event, replicas in ((events.UPSTREAM_FOUND, new), (events.UPSTREAM_GONE, gone)):
            for replica in replicas:
                event.log(upstream=replica.upstream.name, address=replica.address)

    def _replica(self, address: str) -> Replica:
        return Replica(
            self.config,
            address,
            self._policy,
            self._clock,
            self._changes,
            self._kept,
            self._transport,
        )

    def _to_leave(self, found: set[Addresses]) -> list[Addresses]:
        """Returns the servers whose replicas are removed.

        A replica that is up stays until one of the others is, or all have been probed.
        """
        others = [self.replicas[server].known.alive for server in found]
        known = any(others) or None not in others
        absent = self.replicas.keys() - found
        return [server for server in absent if known or not self.replicas[server].known.alive]
