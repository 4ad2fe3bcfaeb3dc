"""Which of these tests run: those of the program that `--router` names."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the tests that put another program before Penstock, or none."""
    needed = "envoy" if collection_path.name.startswith("test_") else ""
    return True if needed and config.getoption("--router") != needed else None
