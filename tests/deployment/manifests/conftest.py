"""Only `make test-mesh` collects these: they need what `install.sh` installs."""

from pathlib import Path

import pytest
from tiers import unless_named


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leaves this folder out unless a command line names it."""
    return unless_named(Path(__file__).parent, config)
