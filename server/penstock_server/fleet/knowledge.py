"""The knowledge about one replica: its health, and its models, routes and version."""

from collections.abc import Mapping, Sequence

from penstock_server.fleet.model_names import published
from penstock_server.upstream import (
    NATIVE_RESPONSE,
    JsonObject,
    Kind,
    NativeResponses,
    Operation,
    Stage,
    UpstreamFailure,
)
from penstock_server.vllm_fields import WHOLE_RESPONSES, numbers

_LONGEST_ERROR = 200
_MOST_MISSES = 2
_ROUTES_S = 60.0

_UNHEALTHY = frozenset((500, 503))


class Knowledge:
    """The knowledge about one replica.

    Attributes:
        changed: whether there are changes that were not reported yet.
        alive: whether its last probe succeeded; None before the first.
        down: why it is down; None while it is not.
        engine_died: whether its engine was last seen dead.
        asleep: whether its engine was last seen asleep or paused.
        last_error: the last error, of a probe or of a request.
        listing: its model list; None before the first.
        oddities: description of oddities in the list, in one line; empty without any.
        models: the entries of the models that may be used, by their public names.
        paths: the routes it serves; None if it does not publish them.
        version: its version; empty if it reports none.
        native: whether it has a Responses API; None before it was asked.
    """

    def __init__(self, now: float) -> None:
        """Creates the knowledge before the first probe.

        Args:
            now: the time, in seconds.
        """
        self.changed = False
        self.alive: bool | None = None
        self.down: UpstreamFailure | None = None
        self.engine_died = False
        self.asleep = False
        self.last_error = ""
        self.listing: Sequence[JsonObject] | None = None
        self.oddities = ""
        self.models: Mapping[str, JsonObject] | None = None
        self.paths: frozenset[str] | None = None
        self.version = ""
        self.native: bool | None = None
        self._misses = 0
        self._routes_until = now

    # Reading

    def lists(self, served: str) -> bool:
        """Returns whether its last list has a model, by the replica's own name for it."""
        return any(entry["id"] == served for entry in self.listing or ())

    def serves(self, operation: Operation, native: NativeResponses) -> bool:
        """Returns whether a route of the operation exists, to our knowledge.

        Args:
            operation: the operation.
            native: whether its Responses API is to be used.
        """
        if operation is NATIVE_RESPONSE and native != NativeResponses.ALWAYS:
            return native == NativeResponses.AUTO and self.responds_natively
        return self.paths is None or not self.paths.isdisjoint(operation.listed)

    @property
    def responds_natively(self) -> bool:
        """Whether it has a Responses API that is complete, to our knowledge."""
        return bool(self.native) and self.may_respond_natively

    @property
    def may_respond_natively(self) -> bool:
        """Whether it has such an API, or has not answered whether it does."""
        version = numbers(self.version)
        return self.native is not False and (version is None or version >= WHOLE_RESPONSES)

    def routes_are_old(self, now: float) -> bool:
        """Returns whether its routes and its version should be requested again."""
        return now >= self._routes_until

    # Recording

    def record_error(self, error: UpstreamFailure | str) -> None:
        """Records the last error."""
        self.last_error = str(error)[:_LONGEST_ERROR]

    def record_models(
        self, listing: Sequence[JsonObject], oddities: str, names: Mapping[str, str]
    ) -> None:
        """Records its model list.

        Args:
            listing: the list.
            oddities: description of oddities in it.
            names: the public names, each with the replica's own; empty for all models as they are.
        """
        self.oddities = oddities
        if not _equal(listing, self.listing):
            self.listing = listing
            self.rename_models(names)

    def rename_models(self, names: Mapping[str, str]) -> None:
        """Applies other public names to its models; see `record_models`."""
        if self.listing is not None:
            self.models = published(self.listing, names)
            self.changed = True

    def record_routes(
        self, paths: frozenset[str] | None, version: str, now: float, *, complete: bool
    ) -> None:
        """Records its routes and its version.

        Args:
            paths: the routes it publishes; None if it does not.
            version: the version.
            now: the time, in seconds.
            complete: whether both are current; if not, they are requested again soon.
        """
        self._routes_until = now + (_ROUTES_S if complete else 0.0)
        if (paths, version) != (self.paths, self.version):
            self.paths, self.version, self.changed = paths, version, True

    def record_native(self, native: bool | None, version: str = "") -> None:
        """Records whether it has a Responses API, None if that is unknown; and a known version."""
        self.native, self.version, self.changed = native, version or self.version, True

    def record_sleep(self, *, asleep: bool) -> None:
        """Records whether its engine is asleep."""
        self.changed = self.changed or asleep is not self.asleep
        self.asleep = asleep

    def record_success(self) -> None:
        """Records that a probe succeeded."""
        if self.alive is False:
            # It may be another server.
            self.record_native(None)
        self._misses, self.down, self.engine_died = 0, None, False
        self._record_alive(alive=True)

    def record_failure(self, failure: UpstreamFailure, health_path: str) -> bool:
        """Records that a probe failed; returns whether the replica counts as down now.

        One that was up is down after a second failure in a row, or if nothing listens there.

        Args:
            failure: the failure.
            health_path: the route of its health check.
        """
        self.record_error(failure)
        # The health of a vLLM fails only once its engine is dead.
        unhealthy = failure.path == health_path and failure.status in _UNHEALTHY
        self.engine_died = self.engine_died or (unhealthy and bool(self.version))
        self._misses += 1
        if self.alive and self._misses < _MOST_MISSES and not _refused(failure):
            return False
        self.down = failure
        self._record_alive(alive=False)
        return True

    def _record_alive(self, *, alive: bool) -> None:
        self.changed = self.changed or alive is not self.alive
        self.alive = alive


def _refused(failure: UpstreamFailure) -> bool:
    connecting = failure.kind is Kind.CONNECT and failure.stage is Stage.CONNECT
    return connecting and failure.limit != "connect_timeout"


def _equal(listing: Sequence[JsonObject], other: Sequence[JsonObject] | None) -> bool:
    try:
        return listing == other
    except RecursionError:
        # Values from an upstream may be nested deeper than Python compares.
        return False
