"""Unix sockets, whose files remain when their process crashes."""

import contextlib
import errno
import os
import socket
import stat


def require_free(path: str) -> None:
    """Checks that no process listens on a path; removes a socket left behind there.

    gRPC and asyncio would silently take the path from a process that listens on it.

    Raises:
        OSError: a process listens on the path, or the file is not a socket or cannot be removed.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "not a socket", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            remove(path)
            return
        except BlockingIOError:
            pass  # its queue is full, so a process is listening
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def remove(path: str) -> None:
    """Removes a socket's file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
