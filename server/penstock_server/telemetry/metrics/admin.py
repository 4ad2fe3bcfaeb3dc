"""Metrics of the calls of operators."""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.families import counter_family

_OK = "OK"


class AdminCalls(Collector):
    """The number of calls of AdminService by method and status code."""

    def __init__(self, methods: Iterable[str]) -> None:
        """Starts without calls.

        Args:
            methods: the names of the methods; each is exported from the start.
        """
        # The increase of a counter includes its first count only if it was exported before.
        self._counts = Counter({(method, _OK): 0 for method in methods})

    def count(self, method: str, code: str) -> None:
        """Counts a call."""
        self._counts[method, code] += 1

    def collect(self) -> Iterator[Family]:
        """Yields the metric."""
        calls = counter_family(names.ADMIN_CALLS)
        for labels, count in self._counts.items():
            calls.add_metric(labels, count)
        yield calls
