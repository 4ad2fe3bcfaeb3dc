"""Upstreams behind a router: two servers of each kind, simulated or real, started when needed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from routers.programs import ROUTERS, Place, running
from server_process import free_port
from servers import FLEET, HOST, VllmServers

from penstock_server.simulator import Simulator

from .upstreams import Kind, Upstream, real_at, simulated_by

_NAMES = ("first", "second")


@dataclass(frozen=True, slots=True)
class _Behind:
    """Two servers of a kind, and the router in front of them.

    Attributes:
        router: the base URL of the router.
        servers: the base URLs of the servers.
        simulators: the servers, if they are simulated.
        running: stops all of them.
    """

    router: str
    servers: Sequence[str]
    simulators: Sequence[Simulator]
    running: ExitStack

    @property
    def busy(self) -> bool:
        """Whether a simulator generates."""
        return any(simulator.active for simulator in self.simulators)


class RoutedUpstreams:
    """Routers of one program, one for each kind of upstream in use."""

    def __init__(self, program: str, folder: Path, *, simulated: bool) -> None:
        self._program, self._folder, self._simulated = program, folder, simulated
        self._running = ExitStack()
        self._kinds: dict[Kind, _Behind] = {}

    def __enter__(self) -> "RoutedUpstreams":
        self._loop = self._running.enter_context(_loop_in_a_thread())
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @asynccontextmanager
    async def upstream(self, kind: Kind) -> AsyncIterator[Upstream]:
        """Yields the router in front of servers of a kind, which the first use starts."""
        try:
            behind = await asyncio.to_thread(self._idle, kind)
        except Exception as error:
            # Otherwise a case that is expected to fail would hide the error.
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        async with AsyncExitStack() as stack:
            servers = [
                simulated_by(simulator, self._elsewhere) for simulator in behind.simulators
            ] or [await stack.enter_async_context(real_at(url)) for url in behind.servers]
            yield _Routed(behind.router, servers)

    def _idle(self, kind: Kind) -> _Behind:
        """Returns servers of a kind that do not continue what the caller of a case has left."""
        behind = self._kinds.get(kind)
        if behind and behind.busy:
            behind.running.close()
            behind = None
        if not behind:
            behind = self._kinds[kind] = self._start(kind)
        return behind

    def _start(self, kind: Kind) -> _Behind:
        stack = self._running.enter_context(ExitStack())
        simulators = self._simulators(kind, stack) if self._simulated else ()
        urls = [one.url for one in simulators] or self._engines(kind, stack)
        place = Place(urls, kind.models, kind.api_key, free_port(), Path(mkdtemp(dir=self._folder)))
        router = stack.enter_context(running(self._program, place))
        return _Behind(router, urls, simulators, stack)

    def _simulators(self, kind: Kind, stack: ExitStack) -> Sequence[Simulator]:
        # A request on an idle connection that closes would fail, and not because of the router.
        settings = replace(kind.simulated, listen="127.0.0.1:0", keep_alive_timeout=3600.0)
        simulators = [Simulator(settings) for _ in _NAMES]
        for one in simulators:
            # Both use one tokenizer, as two real servers of a model do.
            one.state.spoken = simulators[0].state.spoken
            self._await(one.start())
            stack.callback(self._await, one.stop())
        return simulators

    def _engines(self, kind: Kind, stack: ExitStack) -> Sequence[str]:
        if ROUTERS[self._program].starts:
            return [f"http://{HOST}:{free_port()}"]
        server = FLEET[kind.server]
        wanted = [replace(server, name=f"{name}-{server.name}") for name in _NAMES]
        return list(stack.enter_context(VllmServers(wanted)).urls().values())

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _elsewhere(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class _Routed:
    """A router, as the upstream of a case."""

    def __init__(self, url: str, servers: Sequence[Upstream]) -> None:
        self.url = url
        self._servers = servers
        self._busy = servers[0]

    async def wait_running(self) -> None:
        """Returns once one of the servers generates."""
        waits = {asyncio.ensure_future(one.wait_running()): one for one in self._servers}
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        self._busy = waits[done.pop()]

    async def wait_stopped(self, tokens: int) -> None:
        """Returns once this server has stopped, before it has generated this many tokens."""
        await self._busy.wait_stopped(tokens)


@contextmanager
def _loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Yields an event loop that outlives the loops of the cases."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
