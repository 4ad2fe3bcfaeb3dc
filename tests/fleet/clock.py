"""A clock that a test controls."""

import asyncio


class Clock:
    """A clock with a sleep that only advances the clock.

    Attributes:
        now: time in seconds.
        slept: duration of each sleep.
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
