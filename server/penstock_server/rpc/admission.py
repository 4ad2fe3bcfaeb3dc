"""How many RPCs run at once; that none begins while the server stops, and how the last end."""

import asyncio
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.interceptors import Context, Proceed
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
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def close(self) -> None:
        """Refuses all that comes from now on."""
        self._closed = True

    def end_all(self) -> None:
        """Ends all RPCs that still run."""
        running, self._running = self._running, set()
        for task in running:
            task.cancel()

    async def admitted(self, proceed: Proceed, rpc: Rpc, context: Context) -> Any:
        """Lets an RPC in, or not.

        Raises:
            status.Refusal: DRAINING or OVERLOADED; or it was ended.
        """
        if self._closed:
            raise status.Refusal(status.of_draining())
        if self.most and len(self._running) >= self.most:
            raise status.Refusal(status.of_overload(self.most))
        task = asyncio.current_task()
        assert task
        self._running.add(task)
        try:
            return await proceed(rpc, context)
        except asyncio.CancelledError:
            # Ended here; unless its caller has left as well.
            if task in self._running or task.uncancel():
                raise
            raise status.Refusal(status.of_shutdown(rpc.messages_sent)) from None
        finally:
            self._running.discard(task)
