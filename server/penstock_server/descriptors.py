"""File descriptors: how many this process may have."""

import resource


def limit() -> int:
    """Returns how many this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 - 2 if soft == resource.RLIM_INFINITY else soft
