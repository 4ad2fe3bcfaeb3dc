"""The replicas of one configured upstream: they come and go with the addresses of its name."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from penstock_server.fleet.discovery import Addresses, Resolve, probe, servers
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Replica
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

_log = logging.getLogger("penstock.fleet")

_LEAST_GAP_S = 0.1
"""Between two probes of a replica, however often its calls fail."""


class ReplicaSet:
    """The replicas of one configured upstream.

    Attributes:
        config: the upstream.
        replicas: the replicas by their addresses; one without any until the name has been resolved.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        make: Callable[[UpstreamConfig, str], Replica],
        changed: Callable[[], None],
    ) -> None:
        """Takes the upstream.

        Args:
            config: the upstream.
            make: returns a replica at an address.
            changed: called when replicas came or went.
        """
        self.config = config
        self.replicas: dict[Addresses, Replica] = {(): make(config, "")}
        self._make = make
        self._changed = changed

    def configure(self, config: UpstreamConfig) -> None:
        """Takes another configuration of the same server."""
        self.config = config
        for replica in self.replicas.values():
            replica.configure(config)

    def close(self) -> None:
        """Closes the connections of all, those in use once they are no more."""
        for replica in self.replicas.values():
            replica.close()

    async def watch(self, policy: Policy, resolve: Resolve, probed: Callable[[], None]) -> None:
        """Resolves the name again and again, and probes the replicas; calls after each probe."""
        probing: dict[Replica, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.resolve(resolve)
                present = set(self.replicas.values())
                for replica in probing.keys() - present:
                    probing.pop(replica).cancel()
                for replica in present - probing.keys():
                    probing[replica] = tasks.create_task(_keep_probing(replica, policy, probed))
                await asyncio.sleep(policy.probe_interval)

    async def resolve(self, resolve: Resolve) -> None:
        """Has a replica for each server of the name; all stay where it cannot be resolved."""
        with contextlib.suppress(OSError, UnicodeError):
            self._place(set(await servers(self.config.url, resolve)))

    def _place(self, found: set[Addresses]) -> None:
        new = sorted(found - self.replicas.keys())
        for server in new:
            # Which of several addresses works is left to the system.
            pinned = server[0] if len(server) == 1 else ""
            self.replicas[server] = self._make(self.config, pinned)
        gone = [self.replicas.pop(server) for server in self._to_leave(found)]
        if new or gone:
            self._changed()
        for replica in gone:
            replica.close()

    def _to_leave(self, found: set[Addresses]) -> list[Addresses]:
        """Returns where no replica is any longer.

        Those that are well stay until one of the others is, or all have been heard.
        """
        others = [self.replicas[server].alive for server in found]
        known = any(others) or None not in others
        absent = self.replicas.keys() - found
        return [server for server in absent if known or not self.replicas[server].alive]


async def _keep_probing(replica: Replica, policy: Policy, probed: Callable[[], None]) -> None:
    gap_s = min(_LEAST_GAP_S, policy.probe_interval)
    told = ""
    while True:
        replica.suspected.clear()
        try:
            await probe(replica, policy.probe_timeout)
            told = ""
        except Exception as error:
            # A bug, which some strange answer brings out. It must not end all probing.
            told = _note(replica, error, told)
        probed()
        await asyncio.sleep(gap_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(replica.probe_again_in(policy.probe_interval - gap_s)):
                await replica.suspected.wait()


def _note(replica: Replica, error: Exception, told: str) -> str:
    """Takes note that a probe broke off; logs why, once. Returns what has been logged."""
    reason = f"the probe broke off: {error!r}"
    if reason != told:
        fields = {"upstream": replica.upstream.name}
        _log.error("probe broke off", exc_info=error, extra={"fields": fields})
    replica.found_down(UpstreamFailure(Kind.MISCONFIGURED, reason, Stage.CONNECT))
    return reason
