"""Selection of the tests for the router that `--router` names."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignores the tests for a program that `--router` does not name."""
    needed = "envoy" if collection_path.name.startswith("test_") else ""
    return True if needed and config.getoption("--router") != needed else None
