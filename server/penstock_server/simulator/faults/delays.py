"""Faults in timing: answers that arrive late or never."""

from penstock_server.simulator.faults.table import fault
from penstock_server.simulator.http.answers import Answer, Document, Pause, Pieces, Raw


@fault
def slow_headers(answer: Answer, seconds: float = 5.0) -> None:
    """Waits before the status line."""
    answer.header_delay = seconds


@fault
def slow_first_event(answer: Answer, seconds: float = 5.0) -> None:
    """Sends the headers, then waits before the first event."""
    answer.filters.append(lambda pieces: _delayed(pieces, seconds))


@fault
def silent(answer: Answer) -> None:
    """Accepts the request and never answers."""
    answer.header_delay = None


@fault
def stall(answer: Answer, after: int = 1, heartbeats: bool = False, interval: float = 0.05) -> None:
    """Sends some events and then nothing, or only comments; keeps the connection open."""
    answer.filters.append(lambda pieces: _stalled(pieces, after, heartbeats, interval))


async def _delayed(pieces: Pieces, seconds: float) -> Pieces:
    yield Pause(seconds)
    async for piece in pieces:
        yield piece


async def _stalled(pieces: Pieces, after: int, heartbeats: bool, interval: float) -> Pieces:
    async for piece in pieces:
        if after == 0:
            break
        after -= isinstance(piece, Document)
        yield piece
    while heartbeats:
        yield Raw(b": ping\n\n")
        yield Pause(interval)
    yield Pause(None)
