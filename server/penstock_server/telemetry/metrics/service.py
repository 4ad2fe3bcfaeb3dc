"""Metrics of the service itself: its configuration, its log, its build."""

import platform
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from penstock_server.telemetry import log
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.families import counter_family, gauge_family


class ServiceMetrics(Collector):
    """The metrics of one process.

    Attributes:
        reloads_refused: the number of reloads that were refused.
    """

    def __init__(
        self, registry: CollectorRegistry, version: str, generation: Callable[[], int]
    ) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            version: the version of the service.
            generation: returns the number of the configuration in force.
        """
        self.reloads_refused = 0
        self._version = version
        self._generation = generation
        registry.register(self)

    def collect(self) -> Iterator[Family]:
        """Yields the metrics."""
        generation = gauge_family(names.CONFIGURATION_GENERATION)
        generation.add_metric((), self._generation())
        yield generation
        for metric, count in (
            (names.RELOADS_REFUSED, self.reloads_refused),
            (names.LOG_LINES_DROPPED, log.lines_dropped()),
        ):
            counted = counter_family(metric)
            counted.add_metric((), count)
            yield counted
        build = gauge_family(names.BUILD_INFO)
        build.add_metric((self._version, platform.python_version()), 1)
        yield build
