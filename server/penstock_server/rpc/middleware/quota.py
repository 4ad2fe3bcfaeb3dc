"""Quotas of calls per minute."""


class Quota:
    """A number of calls per minute: a token bucket that holds one minute's calls.

    Attributes:
        per_minute: the number.
    """

    __slots__ = ("_at", "_left", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        """Fills the bucket; `now` is in seconds, by any clock."""
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._at = now

    def take(self, now: float) -> float:
        """Uses one call of the quota and returns 0, or returns the seconds until the next one."""
        per_second = self.per_minute / 60
        self._left = min(self.per_minute, self._left + (now - self._at) * per_second)
        self._at = now
        # A caller that retries after exactly that time must not fail by a rounding error.
        if self._left < 0.999:
            return (1 - self._left) / per_second
        self._left -= 1
        return 0.0
