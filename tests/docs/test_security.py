"""docs/security.md: it names options that exist, and their defaults."""

import re
from pathlib import Path

from penstock_server.configuration import CallerTable, Settings, UpstreamTable
from penstock_server.options import options

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")


def test_options_exist() -> None:
    known = {*options(Settings), *options(UpstreamTable), *options(CallerTable)}
    named = set(re.findall(r"`(\w+)(?: = [^`]+)?`", PAGE))
    assert {name for name in named if "_" in name} <= known
    assert len(named & known) > 20


def test_defaults() -> None:
    defaults = Settings()
    assert set(re.findall(r"at `(\w*listen)` \(`([^`]+)`\)", PAGE)) == {
        ("listen", defaults.addresses[0]),
        ("admin_listen", defaults.admin_listen),
        ("metrics_listen", defaults.metrics_listen),
    }
    assert defaults.reflection
    assert defaults.max_failed_logins
    closed = ("callers_file", "debug_info", "health_listen", "insecure", "metrics_by_caller")
    assert not any(getattr(defaults, name) for name in closed)
