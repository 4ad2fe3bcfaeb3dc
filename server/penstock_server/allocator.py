"""The memory that the C library keeps when it is freed."""

import contextlib
import ctypes

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 16 * 1024 * 1024
_LARGEST_KEPT_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Makes glibc keep up to 16 MiB of freed memory for later use, in blocks of up to 4 MiB.

    Otherwise it returns the memory of every large answer to the system, which has to clear and map
    each page again for the next one: a fifth of the CPU time of a large answer with vectors.
    Does nothing with another C library.
    """
    with contextlib.suppress(AttributeError, OSError):
        tune = ctypes.CDLL(None).mallopt
        tune(_TRIM_THRESHOLD, _KEPT_BYTES)
        tune(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
