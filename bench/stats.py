"""Medians over repeats, and the significance of differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.measure import Measurement

Metric = Callable[[Measurement], float | None]


def cpu_us(taken: Measurement) -> float | None:
    """CPU time of the server per call or chunk, in microseconds."""
    return taken.cpu_s / taken.units * 1e6 if taken.units else None


def rate(taken: Measurement) -> float | None:
    """Calls or chunks per second."""
    return taken.units / taken.window.seconds if taken.window.seconds else None


def peak_mb(taken: Measurement) -> float | None:
    """Largest resident size, in megabytes of 10^6 bytes."""
    return taken.peak_bytes / 1e6


def messages_per_chunk(taken: Measurement) -> float | None:
    """Messages or events per chunk of the upstream; None for unary calls."""
    return taken.window.messages / taken.window.chunks if taken.window.chunks else None


def errors(taken: Measurement) -> float | None:
    """Failed calls."""
    return float(taken.errors)


def time_ms(kind: str, share: str) -> Metric:
    """Returns the metric of a time (latency, first or delay) at p50, p90, p99 or max."""

    def metric(taken: Measurement) -> float | None:
        times: Mapping[str, float] = getattr(taken.window, kind)
        return times[share] / 1000 if share in times else None

    return metric


@dataclass(frozen=True)
class Results:
    """All measurements of a run."""

    taken: Sequence[Measurement]

    def values(self, scenario: str, row: str, metric: Metric) -> list[float]:
        """Returns the value of each repeat."""
        found = (metric(t) for t in self.taken if (t.scenario, t.row) == (scenario, row))
        return [value for value in found if value is not None]

    def middle(self, scenario: str, row: str, metric: Metric) -> float | None:
        """Returns the median of the repeats; None without values."""
        values = self.values(scenario, row, metric)
        return median(values) if values else None

    def ratio(self, scenario: str, row: str, other: str, metric: Metric) -> float | None:
        """Returns one server's median in multiples of another's."""
        one, two = self.middle(scenario, row, metric), self.middle(scenario, other, metric)
        return one / two if one is not None and two else None

    def spread(self, scenario: str, metric: Metric, one: str, same: str) -> float | None:
        """Returns the relative difference between two runs of the same server; 0.1 is ten percent.

        It is the larger of two: the difference of the medians, and the typical difference within
        one repeat.
        """
        pairs = zip(
            self.values(scenario, one, metric), self.values(scenario, same, metric), strict=False
        )
        apart = [difference(a, b) for a, b in pairs]
        first, second = self.middle(scenario, one, metric), self.middle(scenario, same, metric)
        if not apart or first is None or second is None:
            return None
        return max(difference(first, second), median(apart))


def difference(one: float, two: float) -> float:
    """Returns the difference of two values relative to the smaller one."""
    smaller, larger = sorted((one, two))
    if smaller <= 0:
        return 0.0 if larger <= 0 else float("inf")
    return larger / smaller - 1


def ranks(values: Mapping[str, float], spread: float) -> list[list[str]]:
    """Returns names in groups of values without significant differences, smallest value first.

    The values of a group are within the spread of its smallest value.
    """
    groups: list[list[str]] = []
    for name in sorted(values, key=lambda n: values[n]):
        if groups and difference(values[groups[-1][0]], values[name]) <= spread:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def names(taken: Iterable[Measurement]) -> tuple[list[str], list[str]]:
    """Returns the measured scenarios and servers, in the order of appearance."""
    scenarios: dict[str, None] = {}
    rows: dict[str, None] = {}
    for one in taken:
        scenarios.setdefault(one.scenario)
        rows.setdefault(one.row)
    return list(scenarios), list(rows)
