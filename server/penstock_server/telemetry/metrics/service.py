"""Metrics of the service itself: its configuration, its log, its build."""

import platform
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from penstock_server.telemetry import log
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.families import counter_family, gauge_family


class Certificate(Protocol):
    """The certificate of a server.

    Attributes:
        expires: when it expires.
        problem: why its files cannot be used as they are now; empty while they are in use.
    """

    expires: datetime
    problem: str


class ServiceMetrics(Collector):
    """The metrics of one process.

    Attributes:
        reloads_refused: the number of reloads that were refused.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        version: str,
        generation: Callable[[], int],
        certificate: Certificate | None = None,
    ) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            version: the version of the service.
            generation: returns the number of the configuration in force.
            certificate: the certificate that callers see; None without TLS.
        """
        self.reloads_refused = 0
        self._version = version
        self._generation = generation
        self._certificate = certificate
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
        if self._certificate:
            yield from _certified(self._certificate)
        build = gauge_family(names.BUILD_INFO)
        build.add_metric((self._version, platform.python_version()), 1)
        yield build


def _certified(certificate: Certificate) -> Iterator[Family]:
    for metric, value in (
        (names.CERTIFICATE_EXPIRY, certificate.expires.timestamp()),
        (names.CERTIFICATE_REFUSED, float(bool(certificate.problem))),
    ):
        family = gauge_family(metric)
        family.add_metric((), value)
        yield family
