"""The running service: what is started, in which order, and how it stops."""

import asyncio
import logging
import math
import signal
from types import TracebackType
from typing import Self

from penstock_server.options import shown
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.deadline import Deadlines
from penstock_server.rpc.health import HealthServicer
from penstock_server.rpc.interceptors import CONCERNS
from penstock_server.rpc.server import SERVICES, build_server
from penstock_server.settings import Settings
from penstock_server.upstream.config import Timeouts, UpstreamConfig
from penstock_server.upstream.fleet import Fleet
from penstock_server.upstream.upstream import Upstream

# How long calls that the server ends may take to tell their callers so.
_LAST_WORDS_S = 1.0

_log = logging.getLogger("penstock.app")


class CannotListen(Exception):
    """The address cannot be bound."""


class Service:
    """The service on its address; an asynchronous context manager.

    Attributes:
        port: the port it serves on, once it has started.
    """

    def __init__(self, settings: Settings) -> None:
        """Takes the configuration; starts nothing. Needs a running event loop."""
        self._settings = settings
        self._fleet = _fleet(settings)
        self._health = HealthServicer(tuple(SERVICES))
        self._admission = Admission(settings.max_concurrent_calls)
        deadlines = Deadlines(settings.default_deadline, settings.max_deadline)
        self._server = build_server(
            self._fleet,
            self._health,
            (*CONCERNS, self._admission.admitted, deadlines.kept),
            max_message_bytes=settings.max_message_bytes,
            reflection=settings.reflection,
        )
        self._watch: asyncio.Task[None] | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop(0)

    async def start(self) -> None:
        """Binds the address, serves, and begins to watch the upstreams.

        Raises:
            CannotListen: the address is taken or not ours.
        """
        try:
            self.port = self._server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            await self._fleet.close()
            raise CannotListen(f"cannot listen on {self._settings.listen}") from error
        await self._server.start()
        self._watch = asyncio.create_task(self._fleet.watch(self._update_health))
        host = self._settings.listen.rpartition(":")[0]
        _log.info("serving", extra={"fields": {"address": f"{host}:{self.port}"}})

    async def drain(self) -> None:
        """Says NOT_SERVING, goes on accepting for the drain delay, lets running calls finish."""
        _log.info("draining")
        self._health.close()
        await asyncio.sleep(self._settings.drain_delay)
        await self.stop(self._settings.drain_timeout)

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, gives running ones a time to finish, then ends them."""
        self._admission.close()
        self._health.close()
        self._health.end_watches()
        if self._watch:
            self._watch.cancel()
            await asyncio.wait((self._watch,))
        stopped = asyncio.create_task(self._server.stop(grace_s + _LAST_WORDS_S))
        await asyncio.wait((stopped,), timeout=grace_s)
        self._admission.end_all()
        await stopped
        await self._fleet.close()

    def _update_health(self) -> None:
        well = {name: self._fleet.healthy(entry.operation) for name, entry in SERVICES.items()}
        self._health.update({"": self._fleet.healthy(), **well})


async def serve(settings: Settings) -> None:
    """Serves until the first SIGTERM or SIGINT, then drains; a second signal stops at once.

    Raises:
        CannotListen: the address is taken or not ours.
    """
    service = Service(settings)
    signals = stop_signals()
    await service.start()
    _log.info("configuration", extra={"fields": shown(settings)})
    await signals.get()
    drained = asyncio.create_task(service.drain())
    again = asyncio.create_task(signals.get())
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    if not drained.done():
        drained.cancel()
        await service.stop(0)
    again.cancel()
    _log.info("stopped")


def stop_signals() -> asyncio.Queue[int]:
    """Returns a queue that receives every SIGTERM and SIGINT from now on."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


def _fleet(settings: Settings) -> Fleet:
    timeouts = Timeouts(
        settings.connect_timeout,
        settings.first_byte_timeout,
        settings.idle_timeout,
        settings.total_timeout or math.inf,
    )
    upstreams = [
        Upstream(
            UpstreamConfig(
                url,
                api_key=settings.upstream_api_key,
                native_responses=settings.native_responses,
                timeouts=timeouts,
                max_connections=settings.max_connections,
                max_upload_bytes=settings.max_upload_bytes,
            )
        )
        for url in settings.upstream
    ]
    return Fleet(upstreams, settings.probe_interval, settings.probe_timeout)
