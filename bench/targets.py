"""The targets of Penstock, each as a ratio within one run."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import stats
from bench.stats import Metric, Results

ONE, SAME = "penstock", "again"
_MILLISECONDS, _TIMES, _MB = " ms", "x", " MB"


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        title: description of the comparison.
        bound: upper bound, or lower bound if `at_least`.
        unit: unit of the values.
        at_least: whether more is better.
        value: reads the value from results; None if it was not measured.
        scenario: scenario whose A/A spread is the uncertainty.
        metric: metric of the spread.
    """

    title: str
    bound: float
    unit: str
    value: Callable[[Results, str], float | None]
    scenario: str
    metric: Metric = stats.cpu_us
    at_least: bool = False

    @property
    def is_time(self) -> bool:
        """Whether the value is a time, which is longer on a busy machine."""
        return self.unit == _MILLISECONDS

    def measured(self, results: Results) -> float | None:
        """Returns the mean of the two runs of Penstock; None if it was not measured."""
        values = [self.value(results, row) for row in (ONE, SAME)]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def verdict(self, results: Results, slack: float = 1.0) -> str:
        """Returns "met", "not met", "within the spread" of neither, or "not measured".

        Args:
            results: results of a run.
            slack: factor by which the bound is relaxed, for guards.
        """
        value = self.measured(results)
        if value is None:
            return "not measured"
        bound = self.bound / slack if self.at_least else self.bound * slack
        spread = results.spread(self.scenario, self.metric, ONE, SAME) or 0.0
        if stats.difference(max(value, 0.0), bound) <= spread:
            return "within the spread"
        return "met" if (value >= bound) == self.at_least else "not met"


def _over(scenario: str, other: str) -> Callable[[Results, str], float | None]:
    return lambda results, row: results.ratio(scenario, row, other, stats.cpu_us)


def _under(scenario: str, other: str) -> Callable[[Results, str], float | None]:
    return lambda results, row: results.ratio(scenario, other, row, stats.cpu_us)


def _added_first(results: Results, row: str) -> float | None:
    first = stats.time_ms("first", "p50")
    through, direct = (results.middle("first", name, first) for name in (row, "direct"))
    return through - direct if through is not None and direct is not None else None


def _peak(results: Results, row: str) -> float | None:
    return results.middle("thousand", row, stats.peak_mb)


ALL = (
    Target("CPU of a unary chat, to the no-op's", 2.0, _TIMES, _over("unary", "noop"), "unary"),
    Target("CPU of a paced chunk, to the no-op's", 1.5, _TIMES, _over("paced", "noop"), "paced"),
    Target(
        "CPU of 64 x 4096 embeddings, to an Envoy hop's",
        3.0,
        _TIMES,
        _over("embed-64x4096", "envoy"),
        "embed-64x4096",
    ),
    Target(
        "CPU of LiteLLM per unary chat, to Penstock's",
        15.0,
        _TIMES,
        _under("unary", "litellm"),
        "unary",
        at_least=True,
    ),
    Target(
        "CPU of LiteLLM per paced chunk, to Penstock's",
        6.0,
        _TIMES,
        _under("paced", "litellm"),
        "paced",
        at_least=True,
    ),
    Target(
        "time added to the first token at 4 in flight, p50",
        1.0,
        _MILLISECONDS,
        _added_first,
        "first",
        stats.time_ms("first", "p50"),
    ),
    Target("memory with 1,000 open streams", 120.0, _MB, _peak, "thousand", stats.peak_mb),
    Target(
        "CPU of a paced chunk, to vllm-router's",
        1.0,
        _TIMES,
        _over("paced", "vllm-router"),
        "paced",
    ),
    Target("CPU of a paced chunk, to smg's", 1.0, _TIMES, _over("paced", "smg"), "paced"),
)
