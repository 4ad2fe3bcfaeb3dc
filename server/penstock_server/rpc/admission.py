"""Which calls are let in: how many at once, and none while the server stops; how the last end."""

import asyncio
from functools import partial
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.arrival import Arrivals
from penstock_server.rpc.interceptors import Context, Proceed
from penstock_server.rpc.rpc import Rpc


class Admission:
    """Lets RPCs in up to a number; the others are refused at once, without a queue.

    A queue would hide the overload from load balancers, which can send the call elsewhere. An RPC
    counts from the moment at which its request, or the first message of it, is there: one that
    sends nothing takes nobody's place.

    Attributes:
        most: how many RPCs may run at once; 0 for any number.
    """

    def __init__(self, most: int, arrivals: Arrivals) -> None:
        """Bounds the RPCs.

        Args:
            most: how many may run at once; 0 for any number.
            arrivals: what waits for the requests of those that do not count yet.
        """
        self.most = most
        self._arrivals = arrivals
        self._running: set[asyncio.Task[Any]] = set()
        self._counted: set[asyncio.Task[Any]] = set()
        self._closed = False

    def close(self) -> None:
        """Refuses all that comes from now on, and all whose request is not there."""
        self._closed = True
        self._arrivals.close()

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
        # At once, so that requests are not read in vain.
        self._require_room()
        task = asyncio.current_task()
        assert task
        self._running.add(task)
        rpc.arrived = partial(self._count, task)
        try:
            return await proceed(rpc, context)
        except asyncio.CancelledError:
            # Ended here; unless its caller has left as well.
            if task in self._running or task.uncancel():
                raise
            raise status.Refusal(status.of_shutdown(rpc.messages_sent)) from None
        finally:
            self._running.discard(task)
            self._counted.discard(task)

    def _count(self, task: asyncio.Task[Any]) -> None:
        if task not in self._counted:
            self._require_room()
            self._counted.add(task)

    def _require_room(self) -> None:
        if self._closed:
            raise status.Refusal(status.of_draining())
        if self.most and len(self._counted) >= self.most:
            raise status.Refusal(status.of_overload(self.most))
