"""Metrics of the table in the form that prometheus-client has for them."""

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from penstock_server.telemetry.metrics.names import Metric

# Each would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]


def counter_family(metric: Metric) -> CounterMetricFamily:
    """Returns the family of a counter, without values."""
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)


def gauge_family(metric: Metric) -> GaugeMetricFamily:
    """Returns the family of a gauge, without values."""
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """Returns a counter that keeps its values itself."""
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
