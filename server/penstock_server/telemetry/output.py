"""Where lines of the log go: a file descriptor that nobody may read, which must stop nothing."""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from select import POLLOUT, poll
from threading import Condition, Lock, Thread

MOST_WAITING_BYTES = 1024 * 1024
"""Lines that are kept for a reader who is slow; what comes beyond them is dropped."""

_PAGE = 4096


class Output:
    """Writes to a file descriptor without ever waiting for its reader.

    What cannot be written at once is kept, as far as there is room, and written by a thread.
    """

    def __init__(self, descriptor: int) -> None:
        """Takes a descriptor, which stays as blocking as it is for others who have it."""
        self._write, self._descriptor = _writer(descriptor)
        self._waiting = bytearray()
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._thread: Thread | None = None

    def write(self, line: bytes) -> bool:
        """Writes a line, now or later; returns whether it does not have to be dropped."""
        with self._lock:
            try:
                written = 0 if self._waiting else self._written(line)
            except OSError:
                return False
            return written == len(line) or self._keep(line[written:])

    def flush(self, seconds: float) -> None:
        """Waits until everything is written, but not longer than that."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, seconds)

    def _keep(self, rest: bytes) -> bool:
        if len(self._waiting) + len(rest) > MOST_WAITING_BYTES:
            return False
        self._waiting += rest
        if not self._thread:
            self._thread = Thread(target=self._drain, name="log", daemon=True)
            self._thread.start()
        self._changed.notify_all()
        return True

    def _drain(self) -> None:
        ready = poll()
        ready.register(self._descriptor, POLLOUT)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            ready.poll()
            with self._changed:
                try:
                    del self._waiting[: self._written(self._waiting)]
                except OSError:
                    self._waiting.clear()
                self._changed.notify_all()

    def _written(self, data: bytes | bytearray) -> int:
        """Writes what can be written now; returns how much it was.

        Raises:
            OSError: nobody will ever read it, or it cannot be stored.
        """
        try:
            return self._write(data)
        except BlockingIOError:
            return 0


def _writer(descriptor: int) -> tuple[Callable[[bytes | bytearray], int], int]:
    """Returns what writes to a descriptor without waiting, and the descriptor that it writes to."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        end = socket.socket(fileno=os.dup(descriptor))
        return lambda data: end.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL), end.fileno()
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        # Opened anew: to change the descriptor would change it for every process that has it.
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
            return partial(os.write, descriptor), descriptor
        return partial(_while_ready, descriptor), descriptor
    return partial(os.write, descriptor), descriptor


def _while_ready(descriptor: int, data: bytes | bytearray) -> int:
    """Writes as much as a descriptor takes that may wait: one page at a time, if it is ready."""
    ready = poll()
    ready.register(descriptor, POLLOUT)
    written = 0
    while written < len(data) and ready.poll(0):
        written += os.write(descriptor, data[written : written + _PAGE])
    return written
