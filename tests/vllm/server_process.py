"""Server processes of the tests: each ends with the process that started it.

Needs nothing but the standard library.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

# A busy machine may slow down a start at will, so most of it is limited by processor time. A vLLM
# needs about 40 seconds of it.
WORK_LIMIT_S = 1000.0
HANG_LIMIT_S = 800.0
_POLL_S = 0.1
# Fields of /proc/PID/stat after the name: the process group; the times of the process and of its
# children that ended.
_GROUP, _TIMES = 2, slice(11, 15)


class ServerError(Exception):
    """A server is not installed, ended, or does not become ready."""


class ServerProcess:
    """A running program in its own process group, whose output goes to a log file.

    Attributes:
        name: name in reports.
        pid: process id, which is also that of its group.
        log: file with its output.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=log.parent,
                # A terminal's Ctrl-C goes to the whole group; the caller stops the servers.
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._guard = _guard(self.pid)

    @property
    def status(self) -> int | None:
        """The exit status; None while it is running."""
        return self._process.poll()

    def wait_ready(
        self,
        url: str,
        api_key: str = "",
        *,
        work_limit_s: float = WORK_LIMIT_S,
        hang_limit_s: float = HANG_LIMIT_S,
    ) -> None:
        """Waits until a URL answers, for as long as the process makes progress.

        Args:
            work_limit_s: processor time after which it will not become ready.
            hang_limit_s: time in which it must use a second of processor time.

        Raises:
            ServerError: the process ended, or reached a limit.
        """
        last, since = self._work_s(), time.monotonic()
        while not answers(url, api_key):
            work, now = self._work_s(), time.monotonic()
            if work - last >= 1:
                last, since = work, now
            if self.status is not None:
                raise ServerError(self.report(f"ended with status {self.status}"))
            if now - since > hang_limit_s:
                raise ServerError(self.report(f"hangs after {work:.0f} s of work"))
            if work > work_limit_s:
                raise ServerError(self.report(f"not ready after {work:.0f} s of work"))
            time.sleep(_POLL_S)

    def _work_s(self) -> float:
        """Returns the processor time of the process group."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it ended
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[_GROUP]) == self.pid:
                    ticks += sum(map(int, fields[_TIMES]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def interrupt(self) -> None:
        """Asks it to stop."""
        self._process.send_signal(signal.SIGINT)

    def finish(self, deadline: float) -> None:
        """Waits for the end until the deadline, then kills the whole group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._guard.communicate(b"\n")

    def report(self, event: str) -> str:
        """Returns the event with the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"{self.name}: {event}; {self.log}:", *lines[-30:]])


def free_port() -> int:
    """Returns a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, api_key: str = "") -> bool:
    """Returns whether a GET of the URL succeeds."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with direct.open(urllib.request.Request(url, headers=headers), timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (OSError, http.client.HTTPException):  # another program has the port
        return False


def _guard(group: int) -> subprocess.Popen[bytes]:
    """Starts a shell that kills the process group if this process ends without stopping it.

    Its input ends with this process, however the process ends. The kernel's own signal on
    a parent's death reaches one process only; children of the server would survive.
    """
    script = 'read -r _ || kill -s KILL -- "-$1"'
    command = ["sh", "-c", script, "guard", str(group)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
