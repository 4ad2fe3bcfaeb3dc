"""Histograms of our own against those of prometheus-client."""

import random

from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Theirs
from prometheus_client.openmetrics.exposition import generate_latest

from penstock_server.telemetry.metrics.distribution import Histogram
from penstock_server.telemetry.metrics.names import BY_NAME, Kind, Metric


def exported(registry: CollectorRegistry) -> list[str]:
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return sorted(text.decode().splitlines())


def test_the_same_values_give_the_same_export() -> None:
    chance = random.Random(7)
    for metric in BY_NAME.values():
        if metric.kind is Kind.HISTOGRAM:
            low, high = metric.buckets[0], metric.buckets[-1]
            drawn = [chance.uniform(low / 2, high * 1.1) for _ in range(50)]
            # A bound belongs to its bucket.
            assert_equal(metric, [*metric.buckets, *drawn, 0.0, high * 2])


def assert_equal(metric: Metric, values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    labels = [f"value of {label}" for label in metric.labels]
    known = Histogram(metric, ours)
    oracle = Theirs(
        metric.name, metric.help, metric.labels, registry=theirs, buckets=metric.buckets
    )
    for number, value in enumerate(values):
        known.of(*labels).observe(value)
        oracle.labels(*labels).observe(value)
        if number % 3:
            known.count()
    assert exported(ours) == exported(theirs)
