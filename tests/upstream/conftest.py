"""Fixtures for tests of exchanges with an upstream."""

import pytest

from . import wire
from .certificates import Certificates, make


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["http", "https"])
def scheme(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Runs a test over TCP and over TLS: the result must be the same."""
    if request.param == "https":
        monkeypatch.setattr(wire, "secured", certificates)
    return str(request.param)
