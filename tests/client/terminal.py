"""Commands in a terminal or in a pipe."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
BOUND_S = 300


def penstock(
    *arguments: str | bytes, given: str | bytes = b"", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Runs a command with a pipe as its input."""
    return subprocess.run(
        (PENSTOCK, *arguments),
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=BOUND_S,
        env=clean() | environment,
        check=False,
    )


class Terminal:
    """A command in a pseudo-terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", controller: int) -> None:
        self.process = process
        self._controller = controller
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def wait_for(self, text: str) -> str:
        """Waits for a text; returns the output since the last call up to it."""
        while text not in self.shown:
            ready, _, _ = select.select([self._controller], [], [], BOUND_S)
            assert ready, f"no {text!r} in {self.shown!r}"
            self.shown += os.read(self._controller, 4096).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before

    def interrupt(self) -> None:
        """Types Ctrl-C while the command waits: readline notices an earlier one at the next key."""
        place = Path(f"/proc/{self.process.pid}/wchan")
        while place.read_text() == "0":
            time.sleep(0.005)
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        return self.process.wait(BOUND_S)


@contextmanager
def terminal(*arguments: str, **environment: str) -> Iterator[Terminal]:
    """Runs `penstock`."""
    with shown((PENSTOCK, *arguments), None, **environment) as running:
        yield running


@contextmanager
def shown(
    command: Sequence[str], folder: Path | None = None, **environment: str
) -> Iterator[Terminal]:
    """Runs a command."""
    controller, screen = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        cwd=folder,
        env=clean() | {"TERM": "dumb", "PENSTOCK_HISTORY": "off"} | environment,
    ) as process:
        os.close(screen)
        try:
            yield Terminal(process, controller)
        finally:
            process.kill()
            os.close(controller)


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
