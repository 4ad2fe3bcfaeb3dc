"""The running service: its parts, the order in which they start, and how they stop."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

import httpx
from grpc import aio

from penstock_server import access, descriptors, worker
from penstock_server.configuration import Caller, Settings, policy, upstream_configs
from penstock_server.encryption import server_certificate
from penstock_server.fleet import Fleet, KeptAdapters
from penstock_server.observers import Observers
from penstock_server.reload import Changes, changes, in_force, require_upstreams
from penstock_server.rpc import middleware
from penstock_server.rpc.calls import Arrivals
from penstock_server.rpc.middleware import (
    Admission,
    Deadlines,
)
from penstock_server.rpc.server import (
    AdminServer,
    CannotListen,
    ConnectionLimits,
    HealthServer,
    HealthServicer,
    Watches,
    bind_all,
    build_server,
    release,
    start_if_free,
)
from penstock_server.rpc.services import SERVICES, AdminServicer
from penstock_server.rpc.status import resendable
from penstock_server.telemetry import events, log

# Time for the last statuses to reach their callers.
_LAST_STATUSES_S = 1.0


class Service:
    """The service on its addresses; an asynchronous context manager.

    Attributes:
        settings: the configuration in force.
        addresses: the addresses that it serves on, once started: HOST:PORT or unix:/PATH.
        port: the first port among them, or 0.
        authentication: authenticates callers; None if none are configured.
        admin: the server for operators.
        metrics: the server of the metrics.
        health: the server for probes.
        watching: the task that follows the upstreams, once started; only the end of the service or
            a bug ends it.
        serving: ends when gRPC no longer serves; with an exception if it was not stopped.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = monotonic,
        share_ports: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Builds the service in a running event loop, without starting it.

        Args:
            settings: the configuration.
            clock: the clock of callers' limits, in seconds.
            share_ports: whether other processes may listen on the same ports.
            transport: sends all requests to upstreams; None for its own connections.

        Raises:
            SettingsError: the file of callers or the certificate cannot be used, two options
                exclude each other, or plaintext would leave the machine.
        """
        self.settings = settings
        self.watching: asyncio.Task[None] | None = None
        self.serving: asyncio.Task[bool] | None = None
        self.addresses: Sequence[str] = ()
        self.port = 0
        self._share_ports = share_ports
        self._descriptors: asyncio.Task[None] | None = None
        self._certificate_watch: asyncio.Task[None] | None = None
        self.authentication = access.authentication(settings, clock)
        self._fleet = _fleet(settings, transport)
        self._health = HealthServicer(tuple(SERVICES))
        self._limits = _limits(settings)
        self._arrivals = Arrivals(settings.request_timeout, settings.max_pending_calls)
        self._admission = Admission(settings.max_concurrent_calls, self._arrivals)
        self._deadlines = Deadlines(settings.default_deadline, settings.max_deadline)
        self._watches = Watches(settings.max_watches, settings.max_watches_per_connection)
        self._certificate = server_certificate(settings)
        self._configuration = AdminServicer(
            self._fleet,
            worker.generation(),
            self._certificate,
            # Only its supervisor reaches a worker.
            changes=settings.admin_requires_caller or worker.is_worker(),
        )
        self._observers = Observers(
            settings, self._fleet, lambda: self._configuration.generation, self._certificate
        )
        self.metrics = self._observers.metrics
        self._server = self._build_server()
        self.admin = self._build_admin_server()
        if not worker.is_worker():
            # The calls of a worker are those of its supervisor, which exports its own.
            self._observers.export(self.admin.calls)
        self.health = HealthServer(
            settings.health_listen,
            self._health,
            self._watches,
            self._limits,
            share_ports=share_ports,
        )

    def _build_server(self) -> aio.Server:
        stack = middleware.stack(
            recorder=self._observers.recorder,
            tracer=self._observers.tracer,
            request_log=self._observers.request_log,
            debug=self.settings.debug_info,
            errors_url=self.settings.errors_url,
            credentials=access.credentials(self.settings, self.authentication),
            admission=self._admission,
            deadlines=self._deadlines,
        )
        return build_server(
            {
                name: entry.registration(self._fleet, lambda: self.settings)
                for name, entry in SERVICES.items()
            },
            self._health,
            stack,
            self._arrivals,
            self._watches,
            limits=self._limits,
            max_request_entries=self.settings.max_request_entries,
            reflection=self.settings.reflection,
            share_ports=self._share_ports,
        )

    def _build_admin_server(self) -> AdminServer:
        return AdminServer(
            self.settings.admin_listen,
            self._configuration,
            max_message_bytes=self.settings.max_message_bytes,
            max_request_entries=self.settings.max_request_entries,
            reflection=self.settings.reflection,
            certificate=self._certificate,
            credentials=access.admin_credentials(self.settings, self.authentication),
        )

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
        """Binds the addresses, serves, and begins to watch the upstreams.

        Raises:
            CannotListen: an address is taken, or not one of this machine.
        """
        self.watching = asyncio.create_task(self._fleet.watch(self._update_health))
        if self._share_ports:
            # Before the ports are bound: connections arrive from then on, and would have to wait.
            await self._wait_for_first_probes()
        try:
            self.addresses, self.port = bind_all(
                self._server,
                self.settings.addresses,
                share_ports=self._share_ports,
                certificate=self._certificate,
            )
            self.admin.bind()
            self.health.bind()
            await start_if_free("metrics_listen", self.metrics)
        except CannotListen:
            release(self.addresses)
            await self._end_watch()
            self._fleet.close()
            raise
        await self._server.start()
        self.serving = asyncio.create_task(self._server.wait_for_termination())
        await self.admin.start()
        await self.health.start()
        self._watch_certificate()
        ports = {int(a.rpartition(":")[2]) for a in self.addresses if not a.startswith("unix:")}
        self._descriptors = asyncio.create_task(
            descriptors.watch(ports, self._limits.max_incoming_connections)
        )
        for address in self.addresses:
            events.SERVING.log(address=address)

    def record_refusal(self) -> None:
        """Records that another configuration was refused."""
        self._observers.record_refusal()

    async def reload(self, settings: Settings) -> Changes:
        """Puts a configuration into force without dropping a call; returns what changed.

        Raises:
            SettingsError: the file of callers cannot be used, or the configuration names no
                upstream; nothing has changed.
        """
        require_upstreams(self.settings, settings)
        before, after = self.settings, in_force(self.settings, settings)
        callers = await asyncio.to_thread(access.callers, after)
        done = changes(before, settings, callers=self._are_new(callers))
        # First the only step that may fail.
        self._fleet.reload(upstream_configs(after), after.aliases, after.default_model)
        if self.authentication:
            self.authentication.replace(callers, after.trusted_proxies)
        self.settings = after
        self._admission.most = after.max_concurrent_calls
        self._deadlines.default_s = after.default_deadline
        self._deadlines.longest_s = after.max_deadline
        log.set_level(after.log_level)
        self._observers.request_log.log_only(after.log_calls)
        if done.applied:
            self._configuration.record_configuration()
            worker.reloaded()
        return done

    def _are_new(self, callers: Sequence[Caller]) -> bool:
        return self.authentication is not None and self.authentication.callers != callers

    async def drain(self, *, delayed: bool = True) -> None:
        """Reports NOT_SERVING, lets running calls finish, and stops.

        Args:
            delayed: whether to accept calls during the drain delay.
        """
        events.DRAINING.log()
        self._health.close()
        await asyncio.sleep(self.settings.drain_delay if delayed else 0)
        await self.stop(self.settings.drain_timeout)

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, and ends running ones after a grace period in seconds."""
        self._health.close()
        for task in (self._descriptors, self._certificate_watch):
            if task:
                task.cancel()
        await self._end_watch()
        if grace_s:
            await self._admission.settle()
        stopped = asyncio.create_task(self._server.stop(grace_s + _LAST_STATUSES_S))
        await asyncio.sleep(0)  # until gRPC refuses new calls
        self._admission.close()
        self._watches.end_all()
        await asyncio.wait((stopped,), timeout=min(grace_s, _LAST_STATUSES_S))
        self._arrivals.close()  # for the calls that were admitted last
        await asyncio.wait((stopped,), timeout=max(0, grace_s - _LAST_STATUSES_S))
        self._admission.end_all()
        await stopped
        await self.admin.stop()
        await self.health.stop()
        self._fleet.close()
        await self._observers.stop()

    async def _end_watch(self) -> None:
        if self.watching:
            self.watching.cancel()
            await asyncio.wait((self.watching,))

    def _watch_certificate(self) -> None:
        if self._certificate and self.settings.reload_interval:
            watch = self._certificate.watch(self.settings.reload_interval)
            self._certificate_watch = asyncio.create_task(watch)

    async def _wait_for_first_probes(self) -> None:
        """Waits for the first probes, so that all workers report the same health."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.probe_timeout):
                await self._fleet.probed()

    def _update_health(self) -> None:
        services = {name: self._fleet.healthy(entry.operation) for name, entry in SERVICES.items()}
        found = {"": self._fleet.healthy(), **services}
        # Services of unknown health, such as after a reload, keep the health last reported.
        self._health.update({name: known for name, known in found.items() if known is not None})


def _limits(settings: Settings) -> ConnectionLimits:
    """Returns the limits of callers' connections, which leave file descriptors for upstreams."""
    named = {f.name: getattr(settings, f.name) for f in dataclasses.fields(ConnectionLimits)}
    spared = descriptors.limit() // 2 // len(settings.addresses)
    most = min(settings.max_incoming_connections or spared, max(1, spared))
    return ConnectionLimits(**named | {"max_incoming_connections": most})


def _fleet(settings: Settings, transport: httpx.AsyncBaseTransport | None) -> Fleet:
    return Fleet(
        upstream_configs(settings),
        policy(settings),
        aliases=settings.aliases,
        default_model=settings.default_model,
        resendable=resendable,
        transport=transport,
        kept=_kept_adapters(),
    )


def _kept_adapters() -> KeptAdapters:
    """Returns the adapters that replicas must have, which the first of several workers loads."""
    if not worker.is_worker():
        return KeptAdapters()
    return KeptAdapters(worker.adapters_file(), restores=worker.place().number == 0)
