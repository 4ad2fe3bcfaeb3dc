"""Histograms whose values cost little to record.

A histogram of prometheus-client acquires two locks for each value and compares it with one bucket
after the other, five times a call. Here a value is only appended to others; their buckets are found
for many values at once, and before a scrape.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from time import time

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import INF, floatToGoString

from penstock_server.telemetry.metrics.names import Metric


class Distribution:
    """The values of one series of a histogram.

    Attributes:
        observe: records a value.
    """

    __slots__ = ("_bounds", "_counts", "_exemplars", "_lock", "_new", "_sum", "observe")

    observe: Callable[[float], None]

    def __init__(self, bounds: Sequence[float]) -> None:
        """Starts without values.

        Args:
            bounds: the upper bounds of the buckets; there is another bucket above them.
        """
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = Lock()
        self._new: list[float] = []
        # The method itself: a function around it would take most of the time.
        self.observe = self._new.append

    def exemplify(self, value: float, trace_id: str) -> None:
        """Makes a value, recorded or not, the example of its bucket, with the trace of its call."""
        bucket = bisect_left(self._bounds, value)
        self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time())

    def count(self) -> None:
        """Counts new values; otherwise they would accumulate until a scrape."""
        # Scrapes run on a thread of their own; values may arrive meanwhile.
        with self._lock:
            values = self._new[:]
            del self._new[: len(values)]
            for value in values:
                self._counts[bisect_left(self._bounds, value)] += 1
                self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Adds the values so far to a family, under their labels."""
        self.count()
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

    def count(self) -> None:
        """Counts the new values of all series."""
        for values in self._series.values():
            values.count()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yields the values so far."""
        metric = self._metric
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        # A copy: scrapes run on a thread of their own.
        for labels, values in list(self._series.items()):
            values.add_to(family, labels)
        yield family
