"""Middleware that limits the duration of calls."""

import asyncio
from time import monotonic
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc


class Deadlines:
    """Ends calls that take longer than the server allows.

    gRPC itself enforces a caller's deadline, if that is shorter.

    Attributes:
        default_s: the deadline of calls without one, in seconds; 0 for none.
        longest_s: the longest deadline of any call, in seconds; 0 for no limit.
    """

    def __init__(self, default_s: float, longest_s: float) -> None:
        """Sets both."""
        self.default_s = default_s
        self.longest_s = longest_s

    async def enforce(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Limits the duration of a call.

        Raises:
            status.Refusal: DEADLINE_EXCEEDED.
        """
        remaining = rpc.context.time_remaining()
        limited = self.longest_s or self.default_s
        seconds, option = self._limit(remaining) if limited else (None, "")
        # Ours is set only if the caller's is later.
        left = remaining if seconds is None else seconds
        if left is not None:
            rpc.deadline = monotonic() + left
        if seconds is None:
            return await call_next(rpc)
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                return await call_next(rpc)
        except TimeoutError:
            if not timer.expired():
                raise
            known = {"stage": rpc.attempts.stage.value, "limit": option}
            raise status.Refusal(status.of_deadline(seconds, known)) from None

    def _limit(self, remaining: float | None) -> tuple[float | None, str]:
        """Returns the server's deadline and its option, or None if the caller's is shorter."""
        own = [(self.longest_s, "max_deadline")]
        if remaining is None:
            own.append((self.default_s, "default_deadline"))
        seconds, option = min((limit for limit in own if limit[0]), default=(None, ""))
        if seconds is None or (remaining is not None and remaining <= seconds):
            return None, ""
        return seconds, option
