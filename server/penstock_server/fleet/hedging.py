"""Hedging: a late request is also sent to a second replica; the first answer is used."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from penstock_server.upstream import UpstreamFailure


class Racer(Protocol):
    """A request."""

    def lose(self) -> None:
        """Records that a request that was sent later was answered earlier."""


R = TypeVar("R", bound=Racer)
T = TypeVar("T")


async def hedged(
    request: R,
    late: Awaitable[None],
    another: Callable[[], Awaitable[R | None]],
    send: Callable[[R], Awaitable[T]],
    discard: Callable[[T], Awaitable[None]],
) -> tuple[R, T]:
    """Sends a request, and a second one if it is late; returns the one that was answered first.

    The other one is cancelled, and has ended when this returns.

    Args:
        request: the first request.
        late: ends when the first request is late.
        another: returns the second request; None for none.
        send: returns the result of a request.
        discard: ends the result of a request that was answered later.

    Raises:
        UpstreamFailure: none was answered; it is the later one of their failures.
    """
    racing: dict[asyncio.Future[T], R] = {asyncio.ensure_future(send(request)): request}
    timer = asyncio.ensure_future(late)
    try:
        runners: list[asyncio.Future[Any]] = [timer, *racing]
        await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
        if not any(one.done() for one in racing) and (second := await another()):
            racing[asyncio.ensure_future(send(second))] = second
        winner = await _winner(racing)
        return racing.pop(winner), winner.result()
    finally:
        timer.cancel()
        await _end(list(racing), discard)


async def _winner(racing: dict[asyncio.Future[T], R]) -> asyncio.Future[T]:
    pending = set(racing)
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        # The request that was sent first wins if both are done.
        for position, one in enumerate(racing):
            if one in done and one.exception() is None:
                for loser in list(racing)[:position]:
                    racing[loser].lose()
                return one
        for one in done:
            if not pending or not isinstance(one.exception(), UpstreamFailure):
                one.result()


async def _end(racing: list[asyncio.Future[T]], discard: Callable[[T], Awaitable[None]]) -> None:
    for one in racing:
        one.cancel()
    if racing:
        await asyncio.wait(racing)
    for one in racing:
        if not one.cancelled() and one.exception() is None:
            await discard(one.result())
