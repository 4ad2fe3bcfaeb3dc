"""Signals: those that stop a process, and the one that has it read its configuration again."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator


def stop_signals() -> asyncio.Queue[int]:
    """Returns a queue that receives every SIGTERM and SIGINT from now on."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


@contextlib.contextmanager
def reloads_held() -> Iterator[None]:
    """Holds every SIGHUP back, as a process does that is started meanwhile: it would end that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))


def when_to_reload(reload: Callable[[], object]) -> None:
    """Calls at every SIGHUP from now on, and at once if one was held back."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
