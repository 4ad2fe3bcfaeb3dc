"""`help()` of the classes of options."""

import importlib
import pkgutil
from typing import Any, is_typeddict

import pytest

import penstock


def options() -> dict[str, Any]:
    """Returns the classes of options, by name."""
    modules = (
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(penstock.__path__, "penstock.")
        if not found.name.startswith(("penstock.v1", "penstock.__main__"))
    )
    return {
        name: one
        for module in modules
        for name, one in vars(module).items()
        if is_typeddict(one) and not name.startswith("_")
    }


@pytest.mark.parametrize("kind", options().values(), ids=lambda kind: str(kind.__name__))
def test_every_option_is_described_once(kind: Any) -> None:
    described = [
        line.partition(":")[0].strip()
        for line in kind.__doc__.partition("Attributes:")[2].splitlines()
        if line.startswith("    ") and not line.startswith(" " * 8)
    ]
    assert sorted(described) == sorted(kind.__annotations__)


def test_an_inherited_description_is_whole() -> None:
    described = options()["ChatOptions"].__doc__
    assert "never. Overrides\n        the client's timeout.\n" in described


def test_options_of_one_name_have_their_own_description() -> None:
    """Prompts and inputs of pooling models may both be truncated."""
    assert "number of prompt tokens" in options()["ChatOptions"].__doc__
    assert "tokens of each input" in options()["PoolOptions"].__doc__
