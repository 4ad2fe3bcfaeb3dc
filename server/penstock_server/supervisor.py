"""Workers: several processes that serve the same ports; one that dies is replaced.

The kernel spreads new connections over the processes that listen on a port with SO_REUSEPORT. The
supervisor, which starts them, serves no calls itself: it reserves the ports, forwards signals, and
serves AdminService and metrics for all.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count

from penstock_server import service_manager
from penstock_server.admin_callers import AdminCallers
from penstock_server.configuration import Settings
from penstock_server.encryption import metrics_tls, server_certificate
from penstock_server.options import SettingsError
from penstock_server.reload import Reloader
from penstock_server.rpc.calls import Middleware
from penstock_server.rpc.server import (
    AdminServer,
    CannotListen,
    ServerCertificate,
    socket_addresses,
    start_if_free,
)
from penstock_server.rpc.services import CombinedAdminServicer
from penstock_server.signals import reloads_held, stop_signals, when_to_reload
from penstock_server.socket_folder import socket_folder
from penstock_server.telemetry import events
from penstock_server.telemetry.metrics import MetricsServer, WorkerMetrics
from penstock_server.worker import READY, RELOADED, Place, environment

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_AT_ONCE_S = 5.0


class WorkerFailed(Exception):
    """The first worker could not start.

    Attributes:
        code: its exit code; the worker has printed the reason.
    """

    def __init__(self, code: int) -> None:
        """Sets the exit code."""
        super().__init__(code)
        self.code = code


@contextlib.contextmanager
def reserved(addresses: Iterable[str]) -> Iterator[Sequence[str]]:
    """Reserves ports for the workers; yields the addresses, with port 0 replaced by a free port.

    Only processes that set SO_REUSEPORT, such as the workers, can bind a reserved port.

    Raises:
        CannotListen: an address is taken, or not one of this machine.
    """
    with contextlib.ExitStack() as held:
        yield [_reserve(address, held) for address in addresses]


def _reserve(address: str, held: contextlib.ExitStack) -> str:
    try:
        family, place = socket_addresses(address)[0]
        with socket.socket(family) as alone:
            # Fails if another socket listens, even with SO_REUSEPORT; closed ones do not count.
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
            place = alone.getsockname()
        shared = held.enter_context(socket.socket(family))
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(place)
    except OSError as error:
        raise CannotListen(address, error) from error
    return f"{address.rpartition(':')[0]}:{int(place[1])}"


async def start(arguments: Sequence[str], more: Mapping[str, str]) -> Process:
    """Starts a worker with this process's command line and additional environment variables."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "penstock_server",
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, **more},
        # Ctrl-C on a terminal signals the whole process group; only the supervisor must get it.
        start_new_session=True,
    )


class Workers:
    """A number of workers, each replaced when it dies, until a signal stops them.

    Attributes:
        generation: the number of the latest configuration that a worker loaded, from 1.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int], Awaitable[Process]],
        at_once_s: float = _AT_ONCE_S,
    ) -> None:
        """Prepares to start the workers.

        Args:
            count: the number of workers.
            start: starts the worker of a number.
            at_once_s: the seconds after a second signal until workers are killed.
        """
        self._count = count
        self._start = start
        self._at_once_s = at_once_s
        self.generation = 1
        self._generations: dict[int, int] = {}
        self._running: dict[int, Process] = {}
        # Workers that do not serve yet, each with the signals to send once it does.
        self._starting: dict[int, set[int]] = {}
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def run(self, started: Callable[[], Awaitable[None]]) -> None:
        """Keeps all workers running until a signal has stopped them.

        Args:
            started: awaited once the first worker serves.

        Raises:
            WorkerFailed: the first worker could not start; there are no others.
        """
        first = await self._begin(0)
        if not first and not self._stopping.is_set():
            raise WorkerFailed(await self._running.pop(0).wait())
        await started()
        async with asyncio.TaskGroup() as keeping:
            for number in range(self._count):
                keeping.create_task(self._keep(number))

    def signal(self, number: int) -> None:
        """Forwards a signal to every worker; a second SIGTERM or SIGINT stops them at once.

        SIGHUP would kill a worker that is starting: it gets the signal once it serves.
        """
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping.is_set():
                # A hanging worker would never end.
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
            # A worker that served is replaced at once, one that could not start after a pause.
            if not serves and await self._stops_within(pause_s):
                return
            pause_s = _FIRST_PAUSE_S if serves else min(2 * pause_s, _LONGEST_PAUSE_S)
            serves = await self._replace(number)

    async def _end(self, number: int) -> None:
        """Waits for the end of a worker, if it was started."""
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
            events.WORKER_DIED.log(worker=number, pid=process.pid, code=code)

    async def _stops_within(self, pause_s: float) -> bool:
        """Pauses until a signal stops the workers; returns whether one did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _replace(self, number: int) -> bool:
        """Starts a worker unless all are stopping; returns whether it serves."""
        if self._stopping.is_set():
            return False
        try:
            return await self._begin(number)
        except OSError as error:
            events.WORKER_NOT_STARTED.log(worker=number, reason=str(error))
            return False

    async def _begin(self, number: int) -> bool:
        """Starts a worker; returns whether it serves.

        Raises:
            OSError: the system cannot start another process.
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
            events.WORKER_SERVES.log(worker=number, pid=process.pid)
        return serves


def _send(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def supervise(
    settings: Settings, arguments: Sequence[str], load: Callable[[], Settings], path: str
) -> None:
    """Serves with several processes until SIGTERM or SIGINT, which all of them drain at.

    A second signal stops them at once; SIGHUP reloads their configuration.

    Args:
        settings: the configuration.
        arguments: the command line of this process and of the workers.
        load: reads the configuration again; raises SettingsError.
        path: the configuration file; empty for none.

    Raises:
        CannotListen: an address is taken, or not one of this machine.
        SettingsError: an address cannot be shared, or see `server_certificate` and `AdminCallers`.
        WorkerFailed: the first worker could not start.
    """
    certificate, callers = server_certificate(settings), AdminCallers(settings)
    with reserved(_shared_addresses(settings)) as all_addresses, _folder() as folder:
        addresses = all_addresses[: len(settings.addresses)]
        health = "".join(all_addresses[len(addresses) :])
        sockets = [f"unix:{folder}/{number}" for number in range(settings.workers)]
        admin = _admin_server(settings, sockets, certificate, callers.credentials)
        worker_metrics, processes = WorkerMetrics(admin.calls), count()
        metrics = await _metrics_server(settings, worker_metrics, certificate)

        def begin(number: int) -> Awaitable[Process]:
            place = f"unix:{folder}/metrics-{next(processes)}" if metrics.address else ""
            worker_metrics.replace(number, place)
            own = environment(
                addresses,
                admin=sockets[number],
                metrics=place,
                health=health,
                generation=workers.generation,
                place=Place(number, settings.workers),
                limits=f"{folder}/limits",
                adapters=f"{folder}/adapters",
            )
            return start(arguments, own)

        workers = Workers(settings.workers, begin)
        forwarding = asyncio.create_task(_forward_stops(workers))
        asked = asyncio.Event()
        when_to_reload(partial(_forward_reload, workers, asked))
        following = asyncio.create_task(_follow(callers, load, path, asked))
        try:
            await workers.run(partial(_begin_serving, admin))
        finally:
            forwarding.cancel()
            following.cancel()
            await admin.stop()
            await metrics.stop()


def _shared_addresses(settings: Settings) -> Sequence[str]:
    """Returns the addresses that all workers serve on; that of health alone, if any, is the last.

    Raises:
        SettingsError: an address cannot be shared.
    """
    health = [settings.health_listen] if settings.health_listen else []
    shared = (*settings.addresses, *health)
    if unix := [one for one in shared if one.startswith("unix:")]:
        raise SettingsError(
            f"workers cannot share {unix[0]}: only one process can listen on a Unix socket"
        )
    return shared


def _admin_server(
    settings: Settings,
    sockets: Sequence[str],
    certificate: ServerCertificate | None,
    credentials: Middleware | None,
) -> AdminServer:
    """Returns the server for operators, bound; it combines what the workers' sockets report."""
    admin = AdminServer(
        settings.admin_listen,
        CombinedAdminServicer(sockets, changes=settings.admin_requires_caller),
        max_message_bytes=settings.max_message_bytes,
        max_request_entries=settings.max_request_entries,
        reflection=settings.reflection,
        certificate=certificate,
        credentials=credentials,
    )
    admin.bind()
    return admin


async def _begin_serving(admin: AdminServer) -> None:
    await admin.start()
    service_manager.report("READY=1")


async def _metrics_server(
    settings: Settings, metrics: WorkerMetrics, certificate: ServerCertificate | None
) -> MetricsServer:
    """Returns the server of the workers' metrics, started unless its default address is taken."""
    server = MetricsServer(
        settings.metrics_listen, metrics.current, tls=metrics_tls(settings, certificate)
    )
    await start_if_free("metrics_listen", server)
    return server


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """Creates the folder of the workers' sockets.

    Raises:
        SettingsError: no folder can be created.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(socket_folder())
        except OSError as error:
            raise SettingsError(
                f"cannot create a folder for the sockets of the workers: {error}; "
                "set TMPDIR to a writable folder"
            ) from error
        yield folder


def _forward_reload(workers: Workers, asked: asyncio.Event) -> None:
    workers.signal(signal.SIGHUP)
    asked.set()


async def _follow(
    callers: AdminCallers, load: Callable[[], Settings], path: str, asked: asyncio.Event
) -> None:
    """Reads the file of callers again whenever it changes, if the supervisor needs it."""
    if callers.credentials:
        await Reloader(callers, load, path, asked).run()


async def _forward_stops(workers: Workers) -> None:
    signals = stop_signals()
    while True:
        number = await signals.get()
        service_manager.report("STOPPING=1")
        workers.signal(number)
