"""Joins the requests of items that wait at the same time into one request upstream."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from penstock_server.convert.joined import Part
from penstock_server.upstream import Attempts

JsonObject: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[Sequence[Part]], Awaitable[Sequence[JsonObject]]]
"""Sends one request for several parts; returns the answer to each."""


class Joint:
    """Parts that are sent together.

    Attributes:
        parts: the parts, in the order of their arrival.
        size: the number of their inputs.
        attempts: the record of the request.
        complete: set when there will be no more parts.
        timer: completes it; None before it is started.
    """

    def __init__(self, attempts: Attempts) -> None:
        """Begins without parts."""
        self.parts: list[Part] = []
        self.size = 0
        self.attempts = attempts
        self.complete = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self._answers: asyncio.Future[Sequence[JsonObject]] = (
            asyncio.get_running_loop().create_future()
        )

    def add(self, part: Part) -> int:
        """Adds a part; returns its position."""
        self.parts.append(part)
        self.size += part.size
        return len(self.parts) - 1

    async def send(self, send: Send) -> None:
        """Sends the request once there will be no more parts."""
        try:
            await self.complete.wait()
            self._answers.set_result(await send(self.parts))
        except Exception as error:
            self._answers.set_exception(error)
        except asyncio.CancelledError:
            self._answers.cancel()
            raise

    async def answer(self, position: int) -> JsonObject:
        """Returns the answer to a part.

        Raises:
            Exception: the request failed.
        """
        # The end of one item must not end the others.
        return (await asyncio.shield(self._answers))[position]


class Joiner:
    """Collects the parts of one call.

    The task of the first of several parts sends the request for all of them, so the end of the
    call, which cancels the tasks of all items, cancels the request.
    """

    def __init__(self, most: int, within_s: float) -> None:
        """Sets the limits.

        Args:
            most: the largest number of inputs in a request for several parts.
            within_s: the longest time that a part waits for others, in seconds.
        """
        self._most = most
        self._within_s = within_s
        self._open: dict[bytes, Joint] = {}

    def fits(self, part: Part) -> bool:
        """Returns whether a part can be sent together with others."""
        return part.size < self._most

    def join(self, part: Part, attempts: Attempts) -> tuple[Joint, int]:
        """Returns the joint that a part belongs to, and the position of the part in it.

        The task of the part at position 0 must call `Joint.send`.

        Args:
            part: the part.
            attempts: the record of requests that a new joint uses.
        """
        joint = self._open.get(part.rest)
        if joint is None or joint.size + part.size > self._most:
            joint = self._begin(part.rest, attempts)
        position = joint.add(part)
        if joint.size == self._most:
            self._complete(part.rest, joint)
        return joint, position

    def _begin(self, rest: bytes, attempts: Attempts) -> Joint:
        if full := self._open.get(rest):
            self._complete(rest, full)
        self._open[rest] = joint = Joint(attempts)
        loop = asyncio.get_running_loop()
        joint.timer = loop.call_later(self._within_s, self._complete, rest, joint)
        return joint

    def _complete(self, rest: bytes, joint: Joint) -> None:
        joint.complete.set()
        if joint.timer:
            joint.timer.cancel()  # It would keep the answers in memory.
        if self._open.get(rest) is joint:
            del self._open[rest]
