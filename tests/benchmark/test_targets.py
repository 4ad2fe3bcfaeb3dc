"""Verdicts on targets."""

import pytest

from bench import guard, targets
from bench.stats import Results
from bench.targets import Target

from .measurements import measurement

UNARY, LITELLM, FIRST, MEMORY = (targets.ALL[i] for i in (0, 3, 5, 6))


def unary(penstock: float, again: float, noop: float = 100, litellm: float = 10_000) -> Results:
    rows = {"penstock": penstock, "again": again, "noop": noop, "litellm": litellm}
    return Results([measurement("unary", row, value) for row, value in rows.items()])


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (unary(150, 150), "met"),
        (unary(300, 300), "not met"),
        (unary(190, 210), "within the spread"),
        (unary(180, 200), "within the spread"),
        (Results([]), "not measured"),
    ],
)
def test_at_most(results: Results, verdict: str) -> None:
    assert UNARY.verdict(results) == verdict


@pytest.mark.parametrize(("penstock", "verdict"), [(500, "met"), (1000, "not met")])
def test_at_least(penstock: float, verdict: str) -> None:
    assert LITELLM.verdict(unary(penstock, penstock)) == verdict


def test_slack_loosens_both_kinds() -> None:
    results = unary(300, 300, litellm=3000)
    assert UNARY.verdict(results, 2) == "met"
    assert LITELLM.verdict(results, 2) == "met"
    assert UNARY.verdict(unary(450, 450), 2) == "not met"


def test_delay_added_to_the_first_chunk() -> None:
    rows = {"direct": 0.2, "penstock": 1.1, "again": 1.1}
    taken = [measurement("first", r, 100, chunks=10, first_ms=ms) for r, ms in rows.items()]
    assert FIRST.measured(Results(taken)) == pytest.approx(0.9)


def test_memory() -> None:
    taken = [measurement("thousand", "penstock", 100, chunks=10, peak_mb=151)]
    assert MEMORY.measured(Results(taken)) == 151
    assert MEMORY.verdict(Results(taken)) == "not met"


@pytest.mark.parametrize("target", targets.ALL, ids=lambda target: target.title)
def test_the_guard_reports_exceeded_limits(target: Target) -> None:
    assert guard.exceeds(Results([]), target) == ""


def test_the_guard_has_slack() -> None:
    assert guard.exceeds(unary(390, 390), UNARY) == ""
    assert "bound 4x" in guard.exceeds(unary(410, 410), UNARY)


def test_the_guard_detects_a_busy_machine() -> None:
    def taken(penstock: float, noop: float) -> Results:
        rows = {"direct": 0.1, "penstock": penstock, "again": penstock, "noop": noop}
        return Results(
            [measurement("first", r, 100, chunks=10, first_ms=ms) for r, ms in rows.items()]
        )

    assert guard.exceeds(taken(1.9, 0.3), FIRST) == ""
    assert "bound 2 ms" in guard.exceeds(taken(3.0, 0.3), FIRST)
    assert guard.exceeds(taken(3.0, 1.1), FIRST) == ""


def test_the_guard_fails_on_errors_and_without_answers() -> None:
    wrong = measurement("unary", "penstock", 100, errors={"gRPC status 14: gone": 3})
    silent = measurement("paced", "penstock", 0, calls=0)
    well = measurement("rerank", "penstock", 100)
    assert guard.content_failures([wrong, silent, well]) == [
        "unary on penstock: {'gRPC status 14: gone': 3}",
        "paced on penstock: no answers",
    ]
