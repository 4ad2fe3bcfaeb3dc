"""Folders of tests that need installed programs, so that `make test` leaves them out."""

from pathlib import Path

import pytest


def unless_named(folder: Path, config: pytest.Config) -> bool | None:
    """Returns the answer of `pytest_ignore_collect`: unless named, a folder is left out."""
    named = [(config.invocation_params.dir / one.split("::")[0]).resolve() for one in config.args]
    return None if any(path.is_relative_to(folder) for path in named) else True
