"""Histograms whose values cost little to record.

A histogram of prometheus-client acquires two locks for each value and compares it with one bucket
after the other, which takes four times as long, five times a call. Here values are recorded on the
event loop only, so no lock is needed; they become metrics at a scrape.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from time import time

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import INF, floatToGoString

from penstock_server.telemetry.metrics.names import Metric


class Distribution:
    """The values of one series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Starts without values.

        Args:
            bounds: the upper bounds of the buckets; there is another bucket above them.
        """
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, trace_id: str = "") -> None:
        """Records a value, and the trace that it comes from, if there is one."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        if trace_id:
            self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Adds the values so far to a family, under their labels."""
        total = 0
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for number, bound in enumerate((*self._bounds, INF)):
            total += self._counts[number]
            name: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
            exemplar = self._exemplars.get(number)
            buckets.append((name, total, exemplar) if exemplar else (name, total))
        family.add_metric(labels, buckets, self._sum)


class Histogram(Collector):
    """A histogram of the table."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        """Registers the histogram, without series."""
        self._metric = metric
        self._series: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def of(self, *labels: str) -> Distribution:
        """Returns the series with these labels; callers that record often keep it."""
        if labels not in self._series:
            self._series[labels] = Distribution(self._metric.buckets)
        return self._series[labels]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yields the values so far."""
        metric = self._metric
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        # A copy: scrapes run on a thread of their own.
        for labels, values in list(self._series.items()):
            values.add_to(family, labels)
        yield family
