"""The table of what older dialects leave out."""

from importlib import import_module

from .dialects import IMPOSSIBLE


def test_every_case_that_is_left_out_exists() -> None:
    for since in IMPOSSIBLE:
        for module, cases in since.cases.items():
            loaded = import_module(f"{__package__}.{module}")
            assert [case for case in cases if not hasattr(loaded, case)] == []
