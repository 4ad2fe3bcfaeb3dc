"""Processes that end with the test that started them, even if it fails or is killed."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

ENDS_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
"""Start of a command whose process the kernel kills when the thread that started it ends."""


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a command and waits for its end; kills it if the test fails."""
    with subprocess.Popen((*ENDS_WITH_PARENT, *command), **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
