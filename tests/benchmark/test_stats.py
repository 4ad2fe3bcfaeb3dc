"""Medians, the A/A spread, and significant differences."""

import pytest

from bench import stats
from bench.stats import Results

from .measurements import measurement


def results(**cpu_us: list[float]) -> Results:
    return Results(
        [measurement("unary", row, value) for row, values in cpu_us.items() for value in values]
    )


def test_the_middle_of_the_repeats() -> None:
    found = results(penstock=[300, 900, 310])
    assert found.middle("unary", "penstock", stats.cpu_us) == pytest.approx(310)
    assert found.middle("paced", "penstock", stats.cpu_us) is None


def test_costs_of_streams_are_per_chunk() -> None:
    taken = measurement("paced", "penstock", 100, calls=10, chunks=1000)
    assert stats.cpu_us(taken) == pytest.approx(100)
    assert stats.rate(taken) == 1000
    assert stats.messages_per_chunk(taken) == 1


def test_no_answers() -> None:
    taken = measurement("unary", "penstock", 0, calls=0)
    assert stats.cpu_us(taken) is None


def test_a_ratio_needs_both() -> None:
    found = results(penstock=[500], noop=[250])
    assert found.ratio("unary", "penstock", "noop", stats.cpu_us) == pytest.approx(2)
    assert found.ratio("unary", "penstock", "envoy", stats.cpu_us) is None


def test_the_spread_is_of_the_medians_or_of_the_pairs() -> None:
    apart = results(penstock=[100, 100, 100], again=[120, 120, 120])
    assert apart.spread("unary", stats.cpu_us, "penstock", "again") == pytest.approx(0.2)
    # Equal medians, but the two differ in every repeat.
    crossed = results(penstock=[100, 150, 120], again=[150, 100, 120])
    assert crossed.spread("unary", stats.cpu_us, "penstock", "again") == pytest.approx(0.5)
    assert apart.spread("unary", stats.cpu_us, "penstock", "noop") is None


def test_a_difference_is_of_the_smaller() -> None:
    assert stats.difference(100, 150) == stats.difference(150, 100) == pytest.approx(0.5)
    assert stats.difference(0, 0) == 0
    assert stats.difference(0, 1) == float("inf")


def test_nothing_is_ranked_below_the_spread() -> None:
    values = {"c": 300.0, "a": 100.0, "b": 109.0}
    assert stats.ranks(values, 0.1) == [["a", "b"], ["c"]]
    assert stats.ranks(values, 0.05) == [["a"], ["b"], ["c"]]
    assert stats.ranks({"a": 100.0, "b": 109.0, "c": 118.0}, 0.1) == [["a", "b"], ["c"]]
