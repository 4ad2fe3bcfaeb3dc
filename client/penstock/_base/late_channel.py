"""An asyncio channel that opens on first use."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpc import aio


class LateChannel:
    """The part of a channel that the generated stubs use; the first call opens it.

    grpc.aio binds a channel to the event loop in which it is opened, and clients are often
    created before an event loop runs.
    """

    def __init__(self, opens: Callable[[], aio.Channel]) -> None:
        self._opens = opens
        self._opened: aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def opened(self) -> aio.Channel:
        """Returns the channel itself.

        Raises:
            RuntimeError: no event loop is running, or the channel was opened in another one.
        """
        running = asyncio.get_running_loop()
        if self._opened is None:
            self._opened, self._loop = self._opens(), running
        if self._loop is not running:
            raise RuntimeError(
                "this client belongs to another event loop; create one client per event loop"
            )
        return self._opened

    async def close(self) -> None:
        """Closes the channel if it was opened."""
        if self._opened is not None:
            await self._opened.close()

    def unary_unary(self, *arguments: Any, **options: Any) -> "_Method":
        """Returns the method; see `grpc.aio.Channel`."""
        return _Method(self, "unary_unary", arguments, options)

    def unary_stream(self, *arguments: Any, **options: Any) -> "_Method":
        """Returns the method; see `grpc.aio.Channel`."""
        return _Method(self, "unary_stream", arguments, options)

    def stream_unary(self, *arguments: Any, **options: Any) -> "_Method":
        """Returns the method; see `grpc.aio.Channel`."""
        return _Method(self, "stream_unary", arguments, options)

    def stream_stream(self, *arguments: Any, **options: Any) -> "_Method":
        """Returns the method; see `grpc.aio.Channel`."""
        return _Method(self, "stream_stream", arguments, options)


class _Method:
    """One method of a service; the first call creates its multicallable."""

    def __init__(
        self, channel: LateChannel, kind: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        self._channel = channel
        self._make = kind, arguments, options
        self._made: Any = None

    def __call__(self, *requests: Any, **options: Any) -> Any:
        channel = self._channel.opened()
        if self._made is None:
            kind, arguments, named = self._make
            self._made = getattr(channel, kind)(*arguments, **named)
        return self._made(*requests, **options)
