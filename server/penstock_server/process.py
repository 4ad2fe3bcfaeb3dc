"""A process that serves: it starts the service, reloads it, and drains it at a signal."""

import asyncio
import signal
from collections.abc import Callable

from penstock_server import allocator, descriptors, service_manager, worker
from penstock_server.app import Service
from penstock_server.configuration import Settings, exposed
from penstock_server.options import shown
from penstock_server.reload import Reloader
from penstock_server.signals import stop_signals, when_to_reload
from penstock_server.telemetry import events


class WatchEnded(Exception):
    """A bug, which is in the log, ended the watch of the upstreams, or gRPC stopped serving."""


async def serve(settings: Settings, load: Callable[[], Settings], path: str) -> None:
    """Serves until the first SIGTERM or SIGINT, then drains; a second signal stops at once.

    A SIGINT comes from a person at a terminal, with no load balancer that has to notice first: then
    the drain has no delay.

    A SIGHUP, or a change of a configuration file, reloads the configuration. If a bug ends the
    watch of the upstreams, the service drains, to be restarted: its knowledge about them would
    become outdated.

    Args:
        settings: the configuration.
        load: reads the configuration again; raises SettingsError.
        path: the configuration file; empty for none.

    Raises:
        CannotListen: an address is taken, or not one of this machine.
        SettingsError: the file of callers cannot be used, or two options exclude each other.
        WatchEnded: the watch of the upstreams ended.
    """
    allocator.keep_freed_memory()
    descriptors.raise_limit()
    service = Service(settings, share_ports=worker.is_worker())
    signals, asked = stop_signals(), asyncio.Event()
    when_to_reload(asked.set)
    await service.start()
    assert service.watching
    assert service.serving
    service.watching.add_done_callback(lambda ended: _stop_unwatched(ended, signals))
    service.serving.add_done_callback(lambda ended: _stop_unserved(ended, signals))
    _report_ready(signals)
    _log_configuration(settings, path)
    reloading = asyncio.create_task(Reloader(service, load, path, asked).run())
    delayed = await signals.get() != signal.SIGINT
    if not worker.is_worker():
        service_manager.report("STOPPING=1")
    reloading.cancel()
    await _drain(service, signals, delayed=delayed)
    events.STOPPED.log()
    if not service.watching.cancelled() or _failure(service.serving):
        raise WatchEnded


def _report_ready(signals: asyncio.Queue[int]) -> None:
    """Reports to the supervisor, which the process does not outlive, or to the service manager."""
    if worker.is_worker():
        worker.ready()
        worker.when_abandoned(lambda: signals.put_nowait(signal.SIGTERM))
    else:
        service_manager.report("READY=1")


def _log_configuration(settings: Settings, path: str) -> None:
    events.CONFIGURATION.log(**shown(settings))
    for exposed_file in exposed(settings, path):
        events.EXPOSED.log(file=exposed_file)


async def _drain(service: Service, signals: asyncio.Queue[int], *, delayed: bool) -> None:
    """Drains the service; another signal stops it at once."""
    drained = asyncio.create_task(service.drain(delayed=delayed))
    again = asyncio.create_task(signals.get())
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    if not drained.done():
        drained.cancel()
        await service.stop(0)
    again.cancel()


def _stop_unwatched(watching: asyncio.Task[None], signals: asyncio.Queue[int]) -> None:
    """Stops the service if a bug ended its watch of the upstreams."""
    if not watching.cancelled():
        events.WATCH_ENDED.log(watching.exception())
        signals.put_nowait(signal.SIGTERM)


def _stop_unserved(serving: asyncio.Task[bool], signals: asyncio.Queue[int]) -> None:
    """Stops the process, to be restarted, once gRPC has stopped serving by itself."""
    if error := _failure(serving):
        events.GRPC_STOPPED.log(error)
        signals.put_nowait(signal.SIGINT)


def _failure(task: asyncio.Task[bool]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
