"""The table of the cases that older dialects fail."""

from importlib import import_module

from .dialects import IMPOSSIBLE, ONCE


def test_every_case_that_is_named_exists() -> None:
    for cases in (ONCE, *(since.cases for since in IMPOSSIBLE)):
        for module, names in cases.items():
            loaded = import_module(f"{__package__}.{module}")
            functions = {name.partition("[")[0] for name in names}
            assert [name for name in functions if not hasattr(loaded, name)] == []
