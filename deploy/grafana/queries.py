"""Queries of the dashboards: every one selects by the variables `job` and `instance`."""

from penstock_server.telemetry.metrics.names import Metric

_SELECTED = ('job=~"$job"', 'instance=~"$instance"')


def values(name: Metric | str, *matchers: str) -> str:
    """Returns the selector of a metric.

    Args:
        name: the metric, or the name of one of its series.
        matchers: further matchers of labels.
    """
    name = name if isinstance(name, str) else name.name
    return f"{name}{{{', '.join((*_SELECTED, *matchers))}}}"


def rate(name: Metric | str, by: str, *matchers: str) -> str:
    """Returns the query for the increase of a counter per second.

    Args:
        name: the counter, or the name of one of its series.
        by: the labels that stay, separated by commas; empty for none.
        matchers: further matchers of labels.
    """
    return f"sum{_by(by)}(rate({values(name, *matchers)}[$__rate_interval]))"


def total(metric: Metric, by: str, *matchers: str) -> str:
    """Returns the query for the sum of a gauge."""
    return f"sum{_by(by)}({values(metric, *matchers)})"


def most(metric: Metric, by: str, *matchers: str) -> str:
    """Returns the query for the largest value of a gauge."""
    return f"max{_by(by)}({values(metric, *matchers)})"


def quantile(share: float, histogram: Metric, by: str, *matchers: str) -> str:
    """Returns the query for a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram.name}_bucket', labels, *matchers)})"


def either(first: str, second: str) -> str:
    """Returns the query for the first metric of two that has values."""
    return f"{first}\nor\n{second}"


def share(part: str, whole: str) -> str:
    """Returns the query for a part as a share of the whole."""
    return f"{part}\n/\n{whole}"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
