"""Only `make test-observability` collects these: they need the Prometheus that it unpacks."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiers import unless_named

from observability.load import Load
from observability.stack import BINARIES, JOB, Prometheus, Stack, running

BOUND_S = 240
"""Longest wait for a value that the load produces within a few seconds."""


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leaves this folder out unless a command line names it."""
    return unless_named(Path(__file__).parent, config)


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool."""
    return str(BINARIES / "promtool")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service under load, and the Prometheus that scrapes it."""
    with (
        running(tmp_path_factory.mktemp("stack")) as started,
        Load(started),
    ):
        eventually(
            lambda: started.prometheus.values(f'up{{job="{JOB}"}} == 1'),
            why=started.prometheus.scrape_errors,
        )
        yield started


@pytest.fixture(scope="session")
def prometheus(stack: Stack) -> Prometheus:
    """The Prometheus of the stack."""
    return stack.prometheus


def eventually(
    condition: Callable[[], object],
    seconds: float = BOUND_S,
    why: Callable[[], object] = lambda: "",
) -> None:
    """Returns once a condition holds that nothing announces; `why` explains why it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come true: {why()}"
        time.sleep(0.1)
