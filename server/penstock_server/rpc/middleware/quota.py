"""How many calls a caller may make."""


class Quota:
    """So many calls per minute: a token bucket that holds those of one minute.

    Attributes:
        per_minute: how many they are.
    """

    __slots__ = ("_at", "_left", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        """Takes how many calls, and what the clock says, in seconds; the bucket is full."""
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._at = now

    def take(self, now: float) -> float:
        """Takes one call; returns 0, or in how many seconds there will be one to take."""
        per_second = self.per_minute / 60
        self._left = min(self.per_minute, self._left + (now - self._at) * per_second)
        self._at = now
        # Those who come at the time they were told are not late by a rounding error.
        if self._left < 0.999:
            return (1 - self._left) / per_second
        self._left -= 1
        return 0.0
