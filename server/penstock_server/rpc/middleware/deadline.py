"""Deadlines that the server sets: for calls that come without one, and for all."""

import asyncio
from time import monotonic
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Proceed, Rpc


class Deadlines:
    """Ends RPCs that take longer than they may.

    A deadline of the caller's own that is shorter is left to gRPC, which keeps it.

    Attributes:
        default_s: the deadline of calls without one, in seconds; 0 for none.
        longest_s: the longest of any; 0 for none.
    """

    def __init__(self, default_s: float, longest_s: float) -> None:
        """Takes both."""
        self.default_s = default_s
        self.longest_s = longest_s

    async def kept(self, proceed: Proceed, rpc: Rpc, context: Context) -> Any:
        """Bounds an RPC.

        Raises:
            status.Refusal: DEADLINE_EXCEEDED.
        """
        remaining = context.time_remaining()
        seconds, option = self._limit(remaining)
        # Where ours is set, the caller's is later.
        left = remaining if seconds is None else seconds
        if left is not None:
            rpc.deadline = monotonic() + left
        if seconds is None:
            return await proceed(rpc, context)
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                return await proceed(rpc, context)
        except TimeoutError:
            if not timer.expired():
                raise
            known = {"stage": rpc.attempts.stage.value, "limit": option}
            raise status.Refusal(status.of_deadline(seconds, known)) from None

    def _limit(self, remaining: float | None) -> tuple[float | None, str]:
        """Returns the server's own deadline for a call, and which it is; None: the caller's."""
        if not self.longest_s and not self.default_s:
            return None, ""
        own = [(self.longest_s, "max_deadline")]
        if remaining is None:
            own.append((self.default_s, "default_deadline"))
        seconds, option = min((limit for limit in own if limit[0]), default=(None, ""))
        if seconds is None or (remaining is not None and remaining <= seconds):
            return None, ""
        return seconds, option
