"""Quotas per minute: a bucket that holds one minute's worth, and may be overdrawn.

The state of a bucket is a single number: the time at which it is full again.
"""

from math import ceil

_MINUTE_S = 60.0
# A caller that retries after exactly the reported time must not fail by a rounding error.
_ROUNDED = 0.001


def after(full_at: float, per_minute: int, amount: int, now: float) -> float:
    """Returns the time at which a bucket is full again after a use of an amount."""
    return max(full_at, now) + amount * _MINUTE_S / per_minute


def overdrawn_s(full_at: float, per_minute: int, now: float) -> float:
    """Returns the seconds until a bucket is no longer overdrawn; 0 if it is not."""
    seconds = full_at - now - _MINUTE_S
    return seconds if seconds > _ROUNDED * _MINUTE_S / per_minute else 0.0


def left(full_at: float, per_minute: int, now: float) -> int:
    """Returns the amount in a bucket; below 0 if it is overdrawn."""
    return per_minute - ceil((max(full_at, now) - now) * per_minute / _MINUTE_S - _ROUNDED)


class Quota:
    """A number of uses per minute, which may come in a single burst."""

    __slots__ = ("_full_at", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        """Fills the bucket."""
        self._per_minute = per_minute
        self._full_at = 0.0

    def take(self, now: float) -> float:
        """Records one use and returns 0; returns the seconds to wait if none is left.

        Args:
            now: seconds by any clock that begins at 0 or later.
        """
        later = after(self._full_at, self._per_minute, 1, now)
        wait = overdrawn_s(later, self._per_minute, now)
        if not wait:
            self._full_at = later
        return wait
