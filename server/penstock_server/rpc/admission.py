"""How many RPCs run at once; that none begins while the server stops, and how the last end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from penstock_server.rpc import status
from penstock_server.rpc.interceptors import Context
from penstock_server.rpc.rpc import Rpc


class Admission:
    """Lets RPCs in up to a number; the others are refused at once, without a queue.

    A queue would hide the overload from load balancers, which can send the call elsewhere.

    Attributes:
        most: how many RPCs may run at once; 0 for any number.
    """

    def __init__(self, most: int) -> None:
        """Takes how many RPCs may run at once."""
        self.most = most
        self._running: set[asyncio.Timeout] = set()
        self._closed = False

    def close(self) -> None:
        """Refuses all that comes from now on."""
        self._closed = True

    def end_all(self) -> None:
        """Ends all RPCs that still run."""
        running, self._running = self._running, set()
        for timer in running:
            timer.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def admitted(self, rpc: Rpc, context: Context) -> AsyncIterator[None]:
        """Lets an RPC in, or not.

        Raises:
            status.Refusal: DRAINING or OVERLOADED; or it was ended.
        """
        if self._closed:
            raise status.Refusal(status.of_draining())
        if self.most and len(self._running) >= self.most:
            raise status.Refusal(status.of_overload(self.most))
        timer = asyncio.timeout(None)
        try:
            async with timer:
                self._running.add(timer)
                try:
                    yield
                finally:
                    self._running.discard(timer)
        except TimeoutError:
            if not timer.expired():
                raise
            raise status.Refusal(status.of_shutdown(rpc.messages_sent)) from None
