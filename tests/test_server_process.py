"""Servers of the tests, which may start slowly but must make progress."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from closed_port import closed_url
from server_process import ServerError, ServerProcess

ENDLESS = "while :; do :; done"


def failure(script: str, folder: Path, **limits: float) -> str:
    """Returns the error of a server that never answers."""
    process = ServerProcess("fake", ("sh", "-c", script), folder / "log")
    with ExitStack() as stack:
        stack.callback(process.finish, time.monotonic())
        url = stack.enter_context(closed_url())
        with pytest.raises(ServerError) as caught:
            process.wait_ready(url, "", **limits)
    return str(caught.value)


def test_an_end_is_reported_with_the_log(tmp_path: Path) -> None:
    error = failure("echo because; exit 3", tmp_path)
    assert "ended with status 3" in error
    assert error.endswith("because")


def test_a_server_without_progress_hangs(tmp_path: Path) -> None:
    assert "hangs" in failure("exec sleep 600", tmp_path, hang_limit_s=0.01)


@pytest.mark.parametrize("script", [ENDLESS, f"({ENDLESS}) & wait"], ids=["itself", "child"])
def test_the_work_of_a_start_is_limited(script: str, tmp_path: Path) -> None:
    assert "of work" in failure(script, tmp_path, work_limit_s=0.02)
