"""Time that passes when a test says so."""

import asyncio


class Clock:
    """A clock, and a sleep that takes no time but on the clock.

    Attributes:
        now: what the clock shows, in seconds.
        slept: how long each sleep was.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
