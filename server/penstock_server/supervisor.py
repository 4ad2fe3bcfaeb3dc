"""Workers: several processes that serve the same ports; one that dies is replaced.

The kernel spreads new connections over the processes that listen on a port with SO_REUSEPORT. The
one that starts them serves nothing itself: it holds the ports, hands signals on, and answers the
admin service for all.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from penstock_server.configuration.file import SettingsError
from penstock_server.configuration.settings import Settings
from penstock_server.rpc.server import AdminServer, CannotListen, places
from penstock_server.rpc.services import CombinedAdminServicer
from penstock_server.signals import reloads_held, stop_signals, when_to_reload
from penstock_server.socket_folder import socket_folder
from penstock_server.worker import READY, RELOADED, environment

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_AT_ONCE_S = 5.0

_log = logging.getLogger("penstock.supervisor")


class WorkerFailed(Exception):
    """A worker could not even start.

    Attributes:
        code: its exit code; it has said why.
    """

    def __init__(self, code: int) -> None:
        """Takes the exit code."""
        super().__init__(code)
        self.code = code


@contextlib.contextmanager
def reserved(addresses: Iterable[str]) -> Iterator[Sequence[str]]:
    """Holds ports for the workers; yields the addresses, with the numbers of free ports.

    A port that is held so can be shared by the workers, and by nobody who does not mean to.

    Raises:
        CannotListen: an address is taken or not ours.
    """
    with contextlib.ExitStack() as held:
        yield [_reserve(address, held) for address in addresses]


def _reserve(address: str, held: contextlib.ExitStack) -> str:
    try:
        family, place = places(address)[0]
        with socket.socket(family) as alone:
            # Fails where anybody listens, sharing or not. Connections that just ended are no harm.
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
            place = alone.getsockname()
        shared = held.enter_context(socket.socket(family))
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(place)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}") from error
    return f"{address.rpartition(':')[0]}:{int(place[1])}"


async def start(arguments: Sequence[str], more: Mapping[str, str]) -> Process:
    """Starts a worker by the command line of this process, with more in its environment."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "penstock_server",
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, **more},
        # A terminal's Ctrl-C goes to a whole group; here one process decides what it means.
        start_new_session=True,
    )


class Workers:
    """A number of workers, each replaced when it dies, until they are told to stop.

    Attributes:
        generation: which configuration is the latest that one of them took; the first is 1.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int], Awaitable[Process]],
        at_once_s: float = _AT_ONCE_S,
    ) -> None:
        """Takes how many there are to be.

        Args:
            count: how many.
            start: starts the one of a number.
            at_once_s: how long the last ones may take to stop at once before they are killed.
        """
        self._count = count
        self._start = start
        self._at_once_s = at_once_s
        self.generation = 1
        self._generations: dict[int, int] = {}
        self._running: dict[int, Process] = {}
        # Those that do not serve yet, each with the signals that it gets once it does.
        self._starting: dict[int, set[int]] = {}
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def run(self, started: Callable[[], Awaitable[None]]) -> None:
        """Keeps all workers running until they have been told to stop and have ended.

        Args:
            started: awaited once the first worker serves.

        Raises:
            WorkerFailed: the first worker could not start; then there are none.
        """
        first = await self._begin(0)
        if not first and not self._stopping.is_set():
            raise WorkerFailed(await self._running.pop(0).wait())
        await started()
        async with asyncio.TaskGroup() as keeping:
            for number in range(self._count):
                keeping.create_task(self._keep(number))

    def signal(self, number: int) -> None:
        """Hands a signal on to every worker; SIGTERM or SIGINT stops them, two stop them at once.

        One that is starting would die of a SIGHUP; it has that once it serves.
        """
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping.is_set():
                # One that hangs would never end.
                loop = asyncio.get_running_loop()
                loop.call_later(self._at_once_s, self.signal, signal.SIGKILL)
            self._stopping.set()
        for worker, process in self._running.items():
            if number == signal.SIGHUP and worker in self._starting:
                self._starting[worker].add(number)
            else:
                _send(process, number)

    async def _keep(self, number: int) -> None:
        pause_s = _FIRST_PAUSE_S
        serves = number in self._running or await self._replace(number)
        while True:
            await self._end(number)
            if self._stopping.is_set():
                return
            # One that served is replaced at once, one that cannot start is not hurried.
            if not serves and await self._told_to_stop(pause_s):
                return
            pause_s = _FIRST_PAUSE_S if serves else min(2 * pause_s, _LONGEST_PAUSE_S)
            serves = await self._replace(number)

    async def _end(self, number: int) -> None:
        """Waits for the end of a worker, if it could be started."""
        process = self._running.get(number)
        if not process:
            return
        assert process.stdout
        async for line in process.stdout:
            if line == RELOADED:
                self._generations[number] += 1
                self.generation = max(self.generation, self._generations[number])
        code = await process.wait()
        del self._running[number]
        if not self._stopping.is_set():
            fields = {"worker": number, "pid": process.pid, "code": code}
            _log.error("worker died", extra={"fields": fields})

    async def _told_to_stop(self, pause_s: float) -> bool:
        """Pauses, unless the workers are told to stop; returns whether they were."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _replace(self, number: int) -> bool:
        """Starts a worker unless all are told to stop; returns whether it serves."""
        if self._stopping.is_set():
            return False
        try:
            return await self._begin(number)
        except OSError as error:
            fields = {"worker": number, "reason": str(error)}
            _log.error("worker cannot be started", extra={"fields": fields})
            return False

    async def _begin(self, number: int) -> bool:
        """Starts a worker; returns whether it serves.

        Raises:
            OSError: there can be no other process.
        """
        self._generations[number] = self.generation
        async with self._one_at_a_time:
            with reloads_held():
                self._running[number] = process = await self._start(number)
        self._starting[number] = set()
        if self._stopping.is_set():
            _send(process, signal.SIGTERM)
        assert process.stdout
        serves = await process.stdout.readline() == READY
        for later in self._starting.pop(number):
            _send(process, later)
        if serves:
            fields = {"worker": number, "pid": process.pid}
            _log.info("worker serves", extra={"fields": fields})
        return serves


def _send(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def supervise(settings: Settings, arguments: Sequence[str]) -> None:
    """Serves by several processes until SIGTERM or SIGINT, then has all of them drain.

    A second signal stops them at once; SIGHUP has them read the configuration again.

    Args:
        settings: the configuration.
        arguments: this process's command line, which is theirs, too.

    Raises:
        CannotListen: an address is taken or not ours.
        SettingsError: an address cannot be shared.
        WorkerFailed: the first worker could not start.
    """
    if unix := [one for one in settings.addresses if one.startswith("unix:")]:
        raise SettingsError(f"workers cannot share {unix[0]}: a socket has one owner")
    with reserved(settings.addresses) as addresses, _folder() as folder:
        sockets = [f"unix:{folder}/{number}" for number in range(settings.workers)]
        admin = AdminServer(
            settings.admin_listen,
            CombinedAdminServicer(sockets),
            max_message_bytes=settings.max_message_bytes,
            max_request_entries=settings.max_request_entries,
            reflection=settings.reflection,
        )
        admin.bind()

        def begin(number: int) -> Awaitable[Process]:
            return start(arguments, environment(addresses, sockets[number], workers.generation))

        workers = Workers(settings.workers, begin)
        when_to_reload(partial(workers.signal, signal.SIGHUP))
        handing_on = asyncio.create_task(_hand_on_stops(workers))
        try:
            await workers.run(admin.start)
        finally:
            handing_on.cancel()
            await admin.stop()


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """Makes the folder of the workers' sockets.

    Raises:
        SettingsError: there is no place for it.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(socket_folder())
        except OSError as error:
            raise SettingsError(
                f"workers need a folder for their sockets, and none can be made ({error}); "
                "name a place that can be written to by TMPDIR"
            ) from error
        yield folder


async def _hand_on_stops(workers: Workers) -> None:
    signals = stop_signals()
    while True:
        workers.signal(await signals.get())
