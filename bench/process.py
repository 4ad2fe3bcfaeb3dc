"""Child processes that are never left behind, with their CPU time and memory."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

BUILD = Path(__file__).with_name("build")
_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE_S = 5.0


class Child:
    """A process in its own session; leaving the context ends it and its descendants."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        talks: bool = False,
    ) -> None:
        """Starts it; its errors go to the log, and so does its output unless we read it.

        A helper program ties it to this process: if this process is killed, it ends too.

        Raises:
            OSError: the parts in C are not built.
        """
        self.log = log
        self._printed = b""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                (str(BUILD / "child"), *command),
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else errors,
                stderr=errors,
                env=env,
                start_new_session=True,
                bufsize=0,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def line(self, within_s: float) -> str:
        """Returns the next line that it prints, without the line ending; empty if it ended.

        Raises:
            TimeoutError: it printed no line in time.
        """
        assert self._process.stdout
        fd = self._process.stdout.fileno()
        while b"\n" not in self._printed:
            ready, _, _ = select.select((fd,), (), (), within_s)
            if not ready:
                raise TimeoutError(f"nothing was printed for {within_s:g} s")
            if not (block := os.read(fd, 65536)):
                return ""
            self._printed += block
        line, _, self._printed = self._printed.partition(b"\n")
        return line.decode()

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def say(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())

    def last_words(self) -> str:
        """Returns the end of its log."""
        return self.log.read_text(errors="replace")[-1500:].strip()

    def stop(self) -> None:
        """Ends the process, gracefully at first."""
        family = descendants(self.pid)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)
            _kill(family)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def descendants(pid: int) -> list[int]:
    """Returns a process and its running descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, ()))
    return found


def cpu_seconds(pid: int) -> float:
    """Returns the user and system time of a process, its threads and all its children.

    The times of running processes are read from the kernel's clock of each process, in nanoseconds;
    those of children that have ended, from their parent's /proc entry, in ticks.
    """
    return sum(_own_cpu(one) + _ended_children_cpu(one) for one in descendants(pid))


def reset_peak_memory(pid: int) -> None:
    """Resets the peak for a process and its children."""
    for one in descendants(pid):
        _write(Path(f"/proc/{one}/clear_refs"), "5")


def peak_memory(pid: int) -> int:
    """Returns the sum of the largest resident sizes of a process and its children, in bytes."""
    return sum(map(_peak, descendants(pid)))


def _own_cpu(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), for any process
    except OSError:
        return 0.0


def _ended_children_cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str] | None:
    """Returns the fields of /proc/PID/stat after the name: state, parent, and so on."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return line.rpartition(")")[2].split()


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else 0


def _write(path: Path, content: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(content)


def _kill(family: Sequence[int]) -> None:
    for pid in family[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
