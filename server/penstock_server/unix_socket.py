"""Unix sockets: files that stay behind when their process crashes."""

import contextlib
import errno
import os
import socket
import stat


def require_free(path: str) -> None:
    """Makes sure that nobody listens on a path; removes a socket that was left there.

    Whoever binds a path by gRPC or asyncio takes it away from the process that listens on it.

    Raises:
        OSError: somebody does, the file there is no socket, or it is not ours to replace.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "is no socket", path)
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
            pass  # whose queue of callers is full, but it is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def remove(path: str) -> None:
    """Removes a socket's file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
