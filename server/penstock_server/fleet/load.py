"""The load of one replica: its requests under way, and its share of all requests."""

_LEAST_SHARE = 0.1


class Load:
    """The requests of one replica.

    Attributes:
        outstanding: the number of requests under way.
        requests: the number of requests so far.
        errors: the number of requests that failed through no fault of their callers.
        full_weight: the replica's share after its slow start, relative to other replicas.
        started: the time at which its slow start began.
    """

    __slots__ = ("_slow_start_s", "errors", "full_weight", "outstanding", "requests", "started")

    def __init__(self, full_weight: float, started: float, slow_start_s: float) -> None:
        """Creates the load of a replica without requests.

        Args:
            full_weight: its share after the slow start.
            started: the time at which the slow start begins.
            slow_start_s: the length of the slow start, in seconds.
        """
        self.outstanding = self.requests = self.errors = 0
        self.full_weight = full_weight
        self.started = started
        self._slow_start_s = slow_start_s

    def weight(self, now: float) -> float:
        """Returns the replica's share at a time, relative to other replicas.

        It rises from a tenth to the full weight during the slow start.
        """
        passed = now - self.started
        if passed >= self._slow_start_s:
            return self.full_weight
        return self.full_weight * max(_LEAST_SHARE, passed / self._slow_start_s)

    def begin(self) -> None:
        """Records that a request is sent."""
        self.outstanding += 1
        self.requests += 1

    def end(self) -> None:
        """Records that a request is over."""
        self.outstanding -= 1
