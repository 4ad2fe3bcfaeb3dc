"""Entry point of all processes: `penstock`, `python -m penstock`, `python -m penstock_server`."""

import os
import signal
import sys
from typing import NoReturn


def main() -> int:
    """Runs the command line; returns the exit code."""
    if sys.argv[1:2] == ["serve"]:
        # Before the imports, which take long enough for a signal to arrive.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        _open_standard_streams()
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        # An import may turn a KeyboardInterrupt into another error, or print it and continue.
        signal.signal(signal.SIGINT, _end)
    from penstock_server.cli import main as run

    signal.signal(signal.SIGINT, before)
    return run()


def _end(number: int, frame: object) -> NoReturn:
    """Ends a process that has not started anything yet."""
    os.write(2, b"penstock: interrupted\n")
    os._exit(128 + number)


def _open_standard_streams() -> None:
    """Opens closed standard streams on /dev/null: otherwise a socket would get their numbers."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


if __name__ == "__main__":
    sys.exit(main())
