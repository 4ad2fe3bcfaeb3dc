"""The directory: the current routes of calls."""

import contextlib
from collections.abc import Mapping

from penstock_server.fleet.membership import Membership
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.routing import Routes, RoutingTable
from penstock_server.upstream import NATIVE_RESPONSE, Call, Operation, UpstreamFailure


class Directory:
    """Keeps a routing table that is valid for the current replicas."""

    def __init__(self, members: Membership) -> None:
        """Creates a directory.

        Args:
            members: the replicas.
        """
        self._members = members
        self._changes = members.changes
        self._aliases: Mapping[str, str] = {}
        self._default_model = ""
        self._version = -1
        self._table: RoutingTable

    def reload(self, aliases: Mapping[str, str], default_model: str) -> None:
        """Replaces the names of models.

        Args:
            aliases: other names of models, each with the public name.
            default_model: the public name of the model for calls that name none; may be empty.
        """
        self._aliases, self._default_model = dict(aliases), default_model
        self._version = -1

    @property
    def table(self) -> RoutingTable:
        """The routing table, rebuilt after a change."""
        if self._version != self._changes.version:
            configs = self._members.configs
            self._version = self._changes.version
            self._table = RoutingTable(
                self._members.replicas,
                self._aliases,
                self._default_model,
                open_to_all=len(configs) == 1 and not configs[0].models,
            )
        return self._table

    async def routes(self, operation: Operation, call: Call) -> Routes:
        """Returns the replicas for a call, and what to request from each.

        Waits for the first probes if the model may be on a replica that has not been probed.

        Raises:
            UpstreamFailure: there are none; see `RoutingTable.find`.
        """
        table = self.table
        while table.unprobed and self._members.watched and not table.knows(operation, call):
            await self._changes.wait()
            table = self.table
        return table.find(operation, call)

    async def storing(self, call: Call) -> Routes:
        """Returns the replicas that may have the response that a call continues.

        Waits as `routes` does.

        Raises:
            UpstreamFailure: there are none; see `RoutingTable.find`.
        """
        with contextlib.suppress(UpstreamFailure):
            await self.routes(NATIVE_RESPONSE, call)
        return self.table.storing(call)

    async def probed(self) -> None:
        """Waits until every replica has been probed; they must be watched."""
        while self.table.unprobed:
            await self._changes.wait()

    def can_replace(self, replica: Replica) -> bool:
        """Returns whether others can serve all models of a replica."""
        return self.table.can_replace(replica)

    def can_outperform(self, replica: Replica) -> bool:
        """Returns whether others can serve all models of a replica, and fail much less often."""
        return self.table.can_outperform(replica)
