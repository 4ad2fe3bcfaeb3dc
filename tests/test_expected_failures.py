"""Cases that must fail."""

import pytest

pytest_plugins = "pytester"

CASES = """
import pytest

@pytest.fixture
def broken():
    raise OSError

@pytest.mark.xfail(strict=True)
def test_not_run(broken):
    assert False

@pytest.mark.xfail(strict=True, raises=OSError)
def test_cannot_run(broken):
    assert False

@pytest.mark.xfail(strict=True, raises=ValueError)
def test_cannot_run_otherwise(broken):
    assert False

@pytest.mark.xfail(strict=True)
def test_fails():
    assert False
"""


def test_a_fixture_that_fails_is_an_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(CASES)
    result = pytester.runpytest_inprocess("-p", "expected_failures")
    result.assert_outcomes(errors=2, xfailed=2)
