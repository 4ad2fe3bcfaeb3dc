"""Metrics of upstreams, read from the state of the fleet at a scrape."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.families import counter_family, gauge_family


class Replica(Protocol):
    """The state of one replica: see `fleet.ReplicaState`."""

    @property
    def upstream(self) -> str:
        """The name of the configured upstream."""

    @property
    def address(self) -> str:
        """Its address."""

    @property
    def state(self) -> Any:
        """A member of an enumeration of states."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def outstanding(self) -> int:
        """The number of its requests that are running."""

    @property
    def connections(self) -> int:
        """The number of connections in use."""

    @property
    def requests(self) -> int:
        """The number of requests so far."""

    @property
    def errors(self) -> int:
        """The number of failed requests."""

    @property
    def ejections(self) -> int:
        """The number of ejections."""

    @property
    def adapters_restored(self) -> int:
        """The number of LoRA adapters that were loaded again."""

    @property
    def adapters_failed(self) -> int:
        """The number of attempts to do so that failed."""

    @property
    def latency_ms(self) -> float | None:
        """The time until the headers of an answer."""


class Fleet(Protocol):
    """The reports of the fleet."""

    @property
    def retries(self) -> Mapping[str, int]:
        """The number of retries, by upstream."""

    @property
    def hedges(self) -> Mapping[str, int]:
        """The number of hedges, by upstream."""

    def snapshot(self) -> Sequence[Replica]:
        """Returns the state of each replica."""


_COUNTERS: Sequence[tuple[names.Metric, Callable[[Replica], float]]] = (
    (names.UPSTREAM_REQUESTS, lambda replica: replica.requests),
    (names.UPSTREAM_ERRORS, lambda replica: replica.errors),
    (names.UPSTREAM_EJECTIONS, lambda replica: replica.ejections),
    (names.UPSTREAM_ADAPTERS_RESTORED, lambda replica: replica.adapters_restored),
    (names.UPSTREAM_ADAPTERS_FAILED, lambda replica: replica.adapters_failed),
)
_GAUGES: Sequence[tuple[names.Metric, Callable[[Replica], float]]] = (
    (names.UPSTREAM_OUTSTANDING, lambda replica: replica.outstanding),
    (names.UPSTREAM_CONNECTIONS, lambda replica: replica.connections),
)


class UpstreamMetrics(Collector):
    """The metrics of all upstreams.

    Attributes:
        names: the names of the upstreams at the last refresh.
    """

    def __init__(self, registry: CollectorRegistry, fleet: Fleet) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            fleet: the upstreams.
        """
        self._fleet = fleet
        self.names: Collection[str] = ()
        self._replicas: Sequence[Replica] = ()
        self._retries: Mapping[str, int] = {}
        self._hedges: Mapping[str, int] = {}
        registry.register(self)

    def refresh(self) -> None:
        """Reads the state of the fleet; runs on the event loop, unlike the scrape that follows."""
        self._replicas = self._fleet.snapshot()
        upstreams = dict.fromkeys((replica.upstream for replica in self._replicas), 0)
        self.names = upstreams.keys()
        self._retries = upstreams | dict(self._fleet.retries)
        self._hedges = upstreams | dict(self._fleet.hedges)

    def collect(self) -> Iterator[Family]:
        """Yields the metrics as of the last refresh."""
        for metric, read in _COUNTERS:
            counts = counter_family(metric)
            for replica in self._replicas:
                counts.add_metric(_place(replica), read(replica))
            yield counts
        for metric, read in _GAUGES:
            values = gauge_family(metric)
            for replica in self._replicas:
                values.add_metric(_place(replica), read(replica))
            yield values
        for metric, sent in (
            (names.UPSTREAM_RETRIES, self._retries),
            (names.UPSTREAM_HEDGES, self._hedges),
        ):
            counts = counter_family(metric)
            for upstream, count in sent.items():
                counts.add_metric((upstream,), count)
            yield counts
        yield from self._states()

    def _states(self) -> Iterator[Family]:
        states = gauge_family(names.UPSTREAM_STATE)
        latency = gauge_family(names.UPSTREAM_LATENCY)
        info = gauge_family(names.UPSTREAM_INFO)
        for replica in self._replicas:
            place = _place(replica)
            for state in type(replica.state):
                states.add_metric((*place, state.value), state is replica.state)
            if replica.latency_ms is not None:
                latency.add_metric(place, replica.latency_ms / 1000)
            info.add_metric((*place, replica.version), 1)
        yield states
        yield latency
        yield info


def _place(replica: Replica) -> tuple[str, str]:
    return replica.upstream, replica.address
