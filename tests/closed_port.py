"""An address at which no process listens or can begin to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closed_url() -> Iterator[str]:
    """Yields the URL of a port that refuses connections.

    The port of a server that has stopped may be given to one of another test.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
