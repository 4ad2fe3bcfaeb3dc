"""Signals: SIGTERM and SIGINT stop a process, SIGHUP reloads its configuration."""

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
    """Blocks SIGHUP, also in processes started meanwhile, which it would otherwise terminate."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))


def when_to_reload(reload: Callable[[], object]) -> None:
    """Calls `reload` at every SIGHUP from now on, and immediately if one was blocked."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
