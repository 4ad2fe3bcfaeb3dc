"""Cases of the acceptance suite that are known to fail against some programs.

They run and must fail: a listed case that passes fails the run.
"""

from collections.abc import Generator, Mapping

import pytest

from penstock_server.simulator.dialects.versions import NEWEST

Cases = Mapping[str, tuple[str, ...]]
"""Names of functions, with or without their parameters, by module."""


def is_among(item: pytest.Item, cases: Cases) -> bool:
    """Returns whether a case is among the listed ones."""
    function, _, rest = item.nodeid.rpartition("::")[2].partition("[")
    parameters = rest.removesuffix("]").removeprefix(dialect_of(item) + "-")
    names = {function, f"{function}[{parameters}]"}
    return not names.isdisjoint(cases.get(item.path.stem, ()))


def mark(
    item: pytest.Item, cases: Cases, why: str, fixture_raises: type[Exception] | None = None
) -> None:
    """Marks a case that must fail if it is among the listed ones.

    Args:
        item: the case.
        cases: the listed cases.
        why: the reason.
        fixture_raises: the error with which a fixture fails, so that the case cannot run.
    """
    if is_among(item, cases):
        item.add_marker(pytest.mark.xfail(reason=why, strict=True, raises=fixture_raises))


def dialect_of(item: pytest.Item) -> str:
    """Returns the dialect of a simulated upstream, which is a parameter of the case."""
    call = getattr(item, "callspec", None)
    return str(call.params.get("dialect", NEWEST)) if call else NEWEST


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports a fixture that fails as an error: the case that must fail has not been run."""
    report = yield
    if call.when != "call" and hasattr(report, "wasxfail") and not _is_listed(item, call):
        del report.wasxfail
        report.outcome = "failed"
    return report


def _is_listed(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Returns whether a fixture failed with the error that the list names."""
    named = [mark.kwargs.get("raises") for mark in item.iter_markers("xfail")]
    raised = call.excinfo.value if call.excinfo else None
    return any(isinstance(raised, error) for error in named if error)
