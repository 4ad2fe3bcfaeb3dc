"""The examples need compilers of five languages, so only `make test-examples` collects them."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leaves this folder out unless a command line names it."""
    named = [(config.invocation_params.dir / one.split("::")[0]).resolve() for one in config.args]
    return None if any(path.is_relative_to(HERE) for path in named) else True
