"""File descriptors: how many this process may have, and how many it has."""

import os
import resource

_OPEN = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


def raise_limit() -> None:
    """Raises the limit as far as the system allows: the usual one is for programs of long ago."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int:
    """Returns how many this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 - 2 if soft == resource.RLIM_INFINITY else soft


def count() -> int:
    """Returns how many are open."""
    return len(os.listdir(_OPEN))
