"""The tables of the cases that must fail with older dialects, or through routers."""

from importlib import import_module

from routers.losses import LOSSES

from .dialects import IMPOSSIBLE, ONCE


def test_every_case_that_is_named_exists() -> None:
    older = [since.cases for since in IMPOSSIBLE]
    routed = [loss.cases for losses in LOSSES.values() for loss in losses]
    for cases in (ONCE, *older, *routed):
        for module, names in cases.items():
            loaded = import_module(f"{__package__}.{module}")
            functions = {name.partition("[")[0] for name in names}
            assert [name for name in functions if not hasattr(loaded, name)] == []
