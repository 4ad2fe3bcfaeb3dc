"""Writes the log to a file descriptor without waiting for its reader."""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from select import POLLOUT, poll
from threading import Condition, Lock, Thread

MOST_WAITING_BYTES = 1024 * 1024
"""The bytes kept for a slow reader; lines beyond them are dropped."""

_PAGE = 4096


class Output:
    """Writes to a file descriptor without waiting for its reader.

    A thread writes later what cannot be written at once; that is kept up to a limit.
    """

    def __init__(self, descriptor: int) -> None:
        """Prepares to write; the descriptor stays blocking for other processes that share it."""
        self._write, self._descriptor = _writer(descriptor)
        self._waiting = bytearray()
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._thread: Thread | None = None

    def write(self, line: bytes) -> bool:
        """Writes a line, now or later; returns False if the line is dropped."""
        with self._lock:
            try:
                written = 0 if self._waiting else self._write(line)
            except BlockingIOError:
                written = 0
            except OSError:
                return False
            return written == len(line) or self._keep(line[written:])

    def flush(self, seconds: float) -> None:
        """Waits until everything is written, or for some seconds."""
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
                    del self._waiting[: self._write(self._waiting)]
                except BlockingIOError:
                    continue
                except OSError:
                    self._waiting.clear()
                self._changed.notify_all()


def _writer(descriptor: int) -> tuple[Callable[[bytes | bytearray], int], int]:
    """Returns a function that writes without waiting, and the descriptor that it writes to."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        end = socket.socket(fileno=os.dup(descriptor))
        return lambda data: end.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL), end.fileno()
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        # Opened again: a change of the descriptor would affect every process that shares it.
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
            return partial(os.write, descriptor), descriptor
        return partial(_while_ready, descriptor), descriptor
    return partial(os.write, descriptor), descriptor


def _while_ready(descriptor: int, data: bytes | bytearray) -> int:
    """Writes to a blocking descriptor while it is ready, one page at a time."""
    ready = poll()
    ready.register(descriptor, POLLOUT)
    written = 0
    while written < len(data) and ready.poll(0):
        written += os.write(descriptor, data[written : written + _PAGE])
    return written
