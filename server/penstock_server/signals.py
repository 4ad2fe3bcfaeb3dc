"""Signals: those that stop a process, and the one that has it read its configuration again."""

import asyncio
import signal
from collections.abc import Callable


def stop_signals() -> asyncio.Queue[int]:
    """Returns a queue that receives every SIGTERM and SIGINT from now on."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


def hold_reloads() -> None:
    """Holds every SIGHUP back: it would end a process that is only starting."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))


def when_to_reload(reload: Callable[[], object]) -> None:
    """Calls at every SIGHUP from now on, and at once if one was held back."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
