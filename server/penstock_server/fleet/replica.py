"""One server that requests can go to."""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import blake2b
from time import time

import httpx

from penstock_server.fleet.adapter_record import AdapterRecord
from penstock_server.fleet.changes import ChangeSignal
from penstock_server.fleet.ejection import Ejection
from penstock_server.fleet.kept_adapters import KeptAdapters
from penstock_server.fleet.knowledge import Knowledge
from penstock_server.fleet.load import Load
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica_state import ReplicaState, State
from penstock_server.fleet.state_log import StateLog
from penstock_server.telemetry import events
from penstock_server.upstream import (
    ALL_OPERATIONS,
    NATIVE_RESPONSE,
    JsonObject,
    NativeResponses,
    Operation,
    UpstreamConfig,
    UpstreamFailure,
    address_of,
)
from penstock_server.upstream.client import Upstream


class Replica:
    """A replica: its parts, and the facts that follow from their combination.

    Attributes:
        upstream: sends requests to it.
        known: what is known about it.
        load: its requests.
        ejection: whether its requests keep failing.
        kept: the LoRA adapters that all replicas of their models must have.
        adapters: the changes of its own adapters.
        asking: held while it is asked whether it has a Responses API.
        waking: the attempt to wake its engine, with its failure; None if there is none.
        unwoken: why the last attempt failed; empty if it did not, or was before its engine woke.
        sleep_changes: the number of times that this service woke its engine or put it to sleep.
        probe_requested: set when it should be probed at once.
        clock: returns the time in seconds.
        address: host and port, or the path of the socket.
        identity: identifies it among the replicas, also after a restart.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        address: str,
        policy: Policy,
        clock: Callable[[], float],
        changes: ChangeSignal,
        kept: KeptAdapters,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Creates a replica about which nothing is known.

        Args:
            config: the configured upstream.
            address: the IP address to connect to; empty for the host of the URL.
            policy: how replicas are treated.
            clock: returns the time in seconds.
            changes: sent when its availability, its models or its routes change.
            kept: the LoRA adapters that all replicas of their models must have.
            transport: sends its requests; None for its own connections.
        """
        now = clock()
        self.address = address_of(config.url, address)
        self._changes = changes
        self.kept = kept
        self.adapters = AdapterRecord()
        self.asking = asyncio.Lock()
        self.waking: asyncio.Task[UpstreamFailure | None] | None = None
        self.unwoken = ""
        self.sleep_changes = 0
        self._log = StateLog()
        self.clock = clock
        self.known = Knowledge(now)
        self.load = Load(config.weight, now, policy.slow_start)
        self.ejection = Ejection(policy.ejection_failures, policy.ejection_time)
        self.probe_requested = asyncio.Event()
        self._use(Upstream(config, address, transport=transport))

    def configure(self, config: UpstreamConfig) -> None:
        """Applies another configuration of the same server; keeps what is known about it."""
        self._use(self.upstream.reconfigured(config))
        self.known.rename_models(config.models)
        self.probe_requested.set()

    def _use(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.load.full_weight = upstream.config.weight
        self.identity = blake2b(f"{upstream.name} {self.address}".encode()).digest()

    def close(self) -> None:
        """Closes its idle connections now, and those in use when they are released."""
        self.upstream.close()

    # Whether requests can be sent to it

    @property
    def available(self) -> bool:
        """Whether a request may be sent to it."""
        known = self.known
        return known.alive is not False and not known.asleep and self.ejection.admits

    @property
    def wakeable(self) -> bool:
        """Whether its engine is asleep, and a call may wake it."""
        return self.known.asleep and self.upstream.config.wake_sleeping

    @property
    def healthy(self) -> bool:
        """Whether it is up with a model, and its requests do not keep failing.

        An engine that is asleep is healthy if a call may wake it.
        """
        if self.known.asleep and not self.wakeable:
            return False
        answers = self.ejection.over and not self.ejection.failing(self.clock())
        return bool(self.known.alive) and self.known.models != {} and answers

    def serves(self, operation: Operation) -> bool:
        """Returns whether a route of the operation exists, to our knowledge."""
        return self.known.serves(operation, self.upstream.config.native_responses)

    @property
    def may_store(self) -> bool:
        """Whether it may have stored a response: it can, or has not answered whether it can."""
        auto = self.upstream.config.native_responses == NativeResponses.AUTO
        return self.serves(NATIVE_RESPONSE) or (auto and self.known.may_respond_natively)

    # The results of probes

    def record_models(self, listing: Sequence[JsonObject], oddities: str = "") -> None:
        """Records its model list and the oddities in it."""
        if oddities and oddities != self.known.oddities:
            events.ODD_MODELS.log(
                upstream=self.upstream.name, address=self.address, reason=oddities
            )
        self.known.record_models(listing, oddities, self.upstream.config.models)

    def record_routes(
        self, paths: frozenset[str] | None, version: str, *, complete: bool = True
    ) -> None:
        """Records its routes and its version; see `Knowledge.record_routes`."""
        self.known.record_routes(paths, version, self.clock(), complete=complete)

    def record_native(self, native: bool | None, version: str) -> None:
        """Records whether it has a Responses API, and its version; see `Knowledge`."""
        self.known.record_native(native, version)
        self.report_change()

    def record_sleep(self, *, asleep: bool) -> None:
        """Records whether its engine is asleep; failures before it woke no longer count."""
        now = self.clock()
        if self.known.asleep and not asleep:
            self.load.started = now
            self.ejection.readmit(now)
            self.unwoken = ""
        self.known.record_sleep(asleep=asleep)

    def change_sleep(self, *, asleep: bool) -> None:
        """Records that this service woke its engine, or put it to sleep."""
        self.sleep_changes += 1
        self.record_sleep(asleep=asleep)
        self.report_change()

    def record_failed_probe(self, failure: UpstreamFailure) -> None:
        """Records that a probe failed; requests another if it is not certain to be down."""
        if not self.known.record_failure(failure, self.upstream.config.health_path):
            self.probe_requested.set()
        elif self.known.changed:
            self.report_change()
        self._log.record_probe(self._compared(), failure)

    def record_successful_probe(self) -> None:
        """Records that a probe succeeded, and applies its results."""
        now, was_alive = self.clock(), self.known.alive
        if not was_alive:
            self.load.started = now
        if was_alive is False:
            self.ejection.readmit(now)
        self.ejection.record_probe(now)
        self.known.record_success()
        if self.known.changed:
            self.report_change()
        self._log.record_probe(self._compared())

    def record_limit(self, failure: UpstreamFailure) -> None:
        """Records that it refused a request with HTTP 429."""
        self._log.record_limit(self.clock(), self.snapshot(), failure)

    def report_change(self) -> None:
        """Reports that something about it has changed."""
        self.known.changed = False
        self._compared()
        self._changes.send()

    def next_probe_in(self, longest_s: float) -> float:
        """Returns in how many seconds the next probe is due, at the latest after an ejection."""
        until = self.ejection.until
        if until is None or self.ejection.over or not self.known.alive:
            return longest_s
        return min(longest_s, max(0.0, until - self.clock()))

    # For reports

    def snapshot(self) -> ReplicaState:
        """Returns its state now."""
        now, latency_s, until = self.clock(), self.upstream.latency_s, self.ejection.until
        return ReplicaState(
            upstream=self.upstream.name,
            address=self.address,
            state=self._state(now),
            models=tuple(sorted(self.known.models or ())),
            operations=self._operations(),
            outstanding=self.load.outstanding,
            connections=self.upstream.outstanding,
            requests=self.load.requests,
            errors=self.load.errors,
            ejections=self.ejection.ejections,
            consecutive_failures=self.ejection.failures,
            adapters_restored=self.adapters.restored,
            adapters_failed=self.adapters.failed,
            latency_ms=None if latency_s is None else latency_s * 1000,
            version=self.known.version,
            weight=self.load.weight(now),
            last_error=self.known.last_error,
            model_list_oddities=self.known.oddities,
            ejected_until=None if until is None else time() + until - now,
        )

    def _compared(self) -> ReplicaState:
        """Returns its state now, and logs how that differs from the last time."""
        found = self.snapshot()
        self._log.compare(self.clock(), found, self.ejection.until)
        return found

    def _state(self, now: float) -> State:
        if self.known.alive is False:
            return State.DOWN
        if self.known.asleep:
            return State.SLEEPING
        if self.ejection.until is not None:
            return State.DRAINING if self.ejection.leaving else State.EJECTED
        if self.known.alive is None:
            return State.PROBING
        full = self.load.weight(now) == self.load.full_weight
        return State.READY if full else State.SLOW_START

    def _operations(self) -> tuple[str, ...]:
        if self.known.paths is None:
            return ()
        # A sign is not enough for a report.
        return tuple(one.name for one in ALL_OPERATIONS if not one.sign and self.serves(one))
