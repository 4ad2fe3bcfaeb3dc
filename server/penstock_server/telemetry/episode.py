"""Episodes: a condition that recurs is reported when it begins and once it is over."""

QUIET_S = 10.0
"""The time without a recurrence after which an episode is over."""


class Episode:
    """A condition that may hold, with interruptions, for a while.

    Times are in seconds, by any steady clock.

    Attributes:
        occurrences: how often the condition was met in this episode; 0 outside of one.
    """

    __slots__ = ("_began", "_latest", "occurrences")

    def __init__(self) -> None:
        """Creates an episode that has not begun."""
        self.occurrences = 0
        self._began = self._latest = 0.0

    def record(self, now: float) -> bool:
        """Records that the condition is met; returns whether that begins an episode."""
        begins = not self.occurrences
        if begins:
            self._began = now
        self.occurrences += 1
        self._latest = now
        return begins

    def quiet_in(self, now: float) -> float:
        """Returns the time until the episode is over, if the condition is not met again."""
        return self._latest + QUIET_S - now

    def end(self) -> tuple[int, float]:
        """Ends the episode; returns how often the condition was met, and for how long."""
        summary = self.occurrences, self._latest - self._began
        self.occurrences = 0
        return summary
