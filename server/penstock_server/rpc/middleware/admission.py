"""Which calls are let in: how many at once, and none while the server stops; how the last end."""

import asyncio
import contextlib
from functools import partial
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls import Arrivals, Context, Proceed, Rpc

# Without a new RPC for so long, nothing is on the way that would come within this; and how long
# callers that send on and on may put that off.
_SETTLED_AFTER_S, _LOOKS = 0.05, 5
_LONGEST_WAIT_S = 2.0


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
        self._open = asyncio.Event()
        self._open.set()
        self._held = 0

    async def settle(self) -> None:
        """Holds all RPCs that come from now on until `close`; returns once none comes any more.

        gRPC ends what comes during its own stop as CANCELLED. Callers that wait for answers before
        they send more get none meanwhile, so that nothing is on the way when gRPC stops.
        """
        self._open.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_WAIT_S):
                before = -1
                while before != self._held:
                    before = self._held
                    # A busy loop may be late for a single timer, and for RPCs.
                    for _ in range(_LOOKS):
                        await asyncio.sleep(_SETTLED_AFTER_S / _LOOKS)

    def close(self) -> None:
        """Refuses all that comes from now on, and all whose request is not there.

        What was held is let in.
        """
        self._closed = True
        self._arrivals.close()
        self._open.set()

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
        if not self._open.is_set():
            self._held += 1
            await self._open.wait()
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
        if self.most and len(self._counted) >= self.most:
            raise status.Refusal(status.of_overload(self.most))
