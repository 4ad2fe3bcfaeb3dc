"""One server that calls can go to, and all that is known of it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from time import time
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from penstock_server.fleet.balancing import ramp
from penstock_server.fleet.ejection import Ejection, Evidence, Visit, evidence
from penstock_server.fleet.model_names import published
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica_state import ReplicaState, State
from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.call import Call
from penstock_server.upstream.config import NativeResponses, UpstreamConfig, place
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.operations import ALL, NATIVE_RESPONSE, Operation
from penstock_server.upstream.upstream import Upstream
from penstock_server.vllm_fields import WHOLE_RESPONSES, numbers

_log = logging.getLogger("penstock.fleet")

_LONGEST_ERROR = 200
_MOST_MISSES = 2
_ROUTES_S = 60.0

# A caller's own library ends a call before what it told: that was rounded up, and is a way off.
_EARLY_S = 0.05
_EARLY_SHARE = 0.02

_UNWELL = frozenset((500, 503))
_CALLERS = frozenset((Kind.TOO_LARGE, Kind.MISCONFIGURED))


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a replica said of itself.

    Attributes:
        listing: its model list; None before it could be had.
        models: the entries of the models that may be used, by their public names.
        paths: the routes it serves; None when it does not publish them.
        version: its version.
        native: whether it has the Responses API; None before it was asked.
    """

    listing: Sequence[JsonObject] | None = None
    models: Mapping[str, JsonObject] | None = None
    paths: frozenset[str] | None = None
    version: str = ""
    native: bool | None = None


class Others(Protocol):
    """What tells how a replica compares to the others."""

    def outdo(self, replica: "Replica") -> bool:
        """Whether others can take the calls of all its models, and fare much better."""

    def spare(self, replica: "Replica") -> bool:
        """Whether others can take the calls of all its models."""


class Replica:
    """A replica.

    Attributes:
        upstream: speaks with it.
        alive: whether its last probe succeeded; None before the first.
        down: why it is down; None while it is not.
        known: what it said of itself.
        suspected: set when it should be probed at once.
        outstanding: calls under way.
        place: what tells it from other replicas, also after a restart.
        full_weight: its share, against that of others, once it has come up.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        address: str,
        policy: Policy,
        clock: Callable[[], float],
        changed: Callable[[], None],
        others: Others,
    ) -> None:
        """Takes whose replica it is, and whom to tell when something about it changes.

        Args:
            config: the configured upstream.
            address: the IP address to speak to; empty for what the URL says.
            policy: how to deal with it.
            clock: tells the time, in seconds.
            changed: called whenever it comes or goes or what it serves changes.
            others: what tells how it compares.
        """
        self._address = _shown_address(config.url, address)
        self._configure(Upstream(config, address))
        self.alive: bool | None = None
        self.down: UpstreamFailure | None = None
        self.known = self._told = Knowledge()
        self.suspected = asyncio.Event()
        self.outstanding = 0
        self._slow_start_s = policy.slow_start
        self._clock = clock
        self._changed = changed
        self._ejection = Ejection(
            policy.ejection_failures,
            policy.ejection_time,
            lambda: others.outdo(self),
            lambda: others.spare(self),
        )
        self._came = self._routes_until = clock()
        self._requests = 0
        self._errors = 0
        self._misses = 0
        self._last_error = self._oddities = ""
        self._asking = asyncio.Lock()
        self._engine_died = False

    def configure(self, config: UpstreamConfig) -> None:
        """Takes another configuration of its server, of which all that is known stays."""
        self._configure(self.upstream.reconfigured(config))
        if self.known.listing is not None:
            models = published(self.known.listing, config.models)
            self.known = replace(self.known, models=models)
        self.suspected.set()

    def _configure(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.full_weight = upstream.config.weight
        self.place = blake2b(f"{upstream.name} {self._address}".encode()).digest()

    # Whether it can be asked

    @property
    def available(self) -> bool:
        """Whether a call may be sent to it."""
        return self.alive is not False and self._ejection.admits

    @property
    def on_trial(self) -> bool:
        """Whether the next call decides on its return."""
        return self._ejection.trying

    @property
    def healthy(self) -> bool:
        """Whether it is known to be there with a model, and its calls do not keep failing."""
        answers = self._ejection.over and not self._ejection.failing(self._clock())
        return bool(self.alive) and self.known.models != {} and answers

    def fares_worse_than(self, other: "Replica") -> bool:
        """Whether its calls fail much more often than those of another."""
        return self._ejection.fares_worse_than(other._ejection)

    def weight(self, now: float) -> float:
        """Returns its share at this moment, against that of others."""
        return self.full_weight * ramp(self._came, now, self._slow_start_s)

    def serves(self, operation: Operation) -> bool:
        """Whether a route of the operation exists, as far as is known."""
        native = self.upstream.config.native_responses
        if operation is NATIVE_RESPONSE and native != NativeResponses.ALWAYS:
            return native == NativeResponses.AUTO and self._native
        return self.known.paths is None or not self.known.paths.isdisjoint(operation.routes)

    # What it says of itself

    def found_down(self, failure: UpstreamFailure) -> None:
        """Takes note that a probe failed.

        One that was well is asked once more before it counts as down, unless it is not there.
        """
        self._last_error = str(failure)[:_LONGEST_ERROR]
        # The health of a vLLM fails only once its engine is dead.
        unwell = failure.path == self.upstream.config.health_path and failure.status in _UNWELL
        self._engine_died = self._engine_died or (unwell and bool(self.known.version))
        self._misses += 1
        if self.alive and self._misses < _MOST_MISSES and not _refused(failure):
            self.suspected.set()
            return
        self.down = failure
        self._found(alive=False)

    def learn_models(self, listing: Sequence[JsonObject], oddities: str = "") -> None:
        """Takes its model list, and what is odd in it."""
        if oddities != self._oddities:
            self._oddities = oddities
            if oddities:
                fields = {"upstream": self.upstream.name, "address": self._address}
                _log.warning("odd model list", extra={"fields": fields | {"reason": oddities}})
        if not _equal(listing, self.known.listing):
            models = published(listing, self.upstream.config.models)
            self.known = replace(self.known, listing=listing, models=models)

    @property
    def routes_are_old(self) -> bool:
        """Whether it should be asked again which routes and version it has."""
        return self._clock() >= self._routes_until

    def learn_routes(
        self, paths: frozenset[str] | None, version: str, *, complete: bool = True
    ) -> None:
        """Takes the routes it publishes, if it does, and its version; or as much as is known."""
        self._routes_until = self._clock() + (_ROUTES_S if complete else 0.0)
        if (paths, version) != (self.known.paths, self.known.version):
            self.known = replace(self.known, paths=paths, version=version)

    def found_well(self) -> None:
        """Takes note that a probe succeeded, and uses what was learnt."""
        self._misses, self.down, self._engine_died = 0, None, False
        if not self.alive:
            self._came = self._clock()
        if self.alive is False:
            # What comes back may be another server.
            self.known = replace(self.known, native=None)
            self._ejection.readmit(self._clock())
        self._ejection.probed(self._clock())
        self._found(alive=True)

    def probe_again_in(self, longest_s: float) -> float:
        """Returns in how many seconds the next probe is due: it comes when an ejection is over."""
        until = self._ejection.until
        if until is None or self._ejection.over or not self.alive:
            return longest_s
        return min(longest_s, max(0.0, until - self._clock()))

    async def responds_natively(self, timeout_s: float, call: Call) -> bool:
        """Whether responses are asked for by its own API; asks it once, if need be."""
        wanted = self.upstream.config.native_responses
        if wanted != NativeResponses.AUTO:
            return wanted == NativeResponses.ALWAYS
        async with self._asking:
            if self.known.native is None:
                native = await self.upstream.has_responses(call, timeout_s)
                self.known = replace(self.known, native=native)
                self._tell()
        return self._native

    @property
    def _native(self) -> bool:
        """Whether it has a Responses API that is of use, as far as is known."""
        version = numbers(self.known.version)
        return bool(self.known.native) and (version is None or version >= WHOLE_RESPONSES)

    # Calls

    def asked(self, call: Call, served: str = "") -> "_Asked":
        """Returns what is to be around a call: it counts the call, and learns from how it ends.

        Args:
            call: the call.
            served: the name of the model that it asks for, if any, as the replica knows it.
        """
        return _Asked(self, call, served)

    def lists(self, served: str) -> bool:
        """Whether its last list has a model, by the replica's own name for it."""
        return any(entry["id"] == served for entry in self.known.listing or ())

    def close(self) -> None:
        """Closes its connections, those in use once they are no more."""
        self.upstream.close()

    def snapshot(self) -> ReplicaState:
        """Returns what is known of it now."""
        now, ejection, latency_s = self._clock(), self._ejection, self.upstream.latency_s
        return ReplicaState(
            upstream=self.upstream.name,
            address=self._address,
            state=self._state(now),
            models=tuple(sorted(self.known.models or ())),
            operations=self._operations(),
            outstanding=self.outstanding,
            requests=self._requests,
            errors=self._errors,
            consecutive_failures=ejection.failures,
            latency_ms=None if latency_s is None else latency_s * 1000,
            version=self.known.version,
            weight=self.weight(now),
            last_error=self._last_error,
            model_list_oddities=self._oddities,
            ejected_until=None if ejection.until is None else time() + ejection.until - now,
        )

    def _state(self, now: float) -> State:
        if self.alive is False:
            return State.DOWN
        if self._ejection.until is not None:
            return State.DRAINING if self._ejection.leaving else State.EJECTED
        if self.alive is None:
            return State.PROBING
        return State.READY if self.weight(now) == self.full_weight else State.SLOW_START

    def _operations(self) -> tuple[str, ...]:
        if self.known.paths is None:
            return ()
        return tuple(operation.name for operation in ALL if self.serves(operation))

    def _begin(self) -> Visit:
        self.outstanding += 1
        self._requests += 1
        return self._ejection.begin()

    def _end(self, visit: Visit) -> None:
        self._ejection.ended(visit, self._clock())
        self.outstanding -= 1

    def _answered(self, visit: Visit) -> None:
        self._returned(self._ejection.answered(visit, self._clock()))

    def _succeeded(self, visit: Visit) -> None:
        was_faulty = self._ejection.faulty
        self._returned(self._ejection.succeeded(visit, self._clock()))
        if was_faulty:
            self._tell()

    def _kept_waiting(self, visit: Visit) -> None:
        self._last_error = "a caller's deadline passed without an answer"
        self._speaks_against(visit, Evidence.LATE)

    def _outrun(self, visit: Visit) -> None:
        self._last_error = "another replica, asked later, answered first"
        self._speaks_against(visit, Evidence.SILENT)

    def _failed(self, visit: Visit, failure: UpstreamFailure) -> None:
        found = evidence(failure)
        if found is Evidence.WELL:
            self._succeeded(visit)
            return
        if failure.kind not in _CALLERS:
            self._errors += 1
            self._last_error = str(failure)[:_LONGEST_ERROR]
        if found is Evidence.NONE:
            return
        if self.alive and _may_show_in_a_probe(failure):
            self.suspected.set()
        self._speaks_against(visit, found)

    def _compared(self, failure: UpstreamFailure, served: str) -> UpstreamFailure:
        """Returns a failure with what is known of the replica that sheds light on it."""
        route_listed = failure.path in (self.known.paths or ())
        seen = replace(failure, route_listed=route_listed, engine_died=self._engine_died)
        self._engine_died = self._engine_died or failure.engine_dead
        if seen.model_missing and self.lists(served):
            # It is another server since, or has just started.
            self.suspected.set()
            return replace(seen, model_listed=True)
        return seen

    def _speaks_against(self, visit: Visit, found: Evidence) -> None:
        now = self._clock()
        was_failing = self._ejection.failing(now)
        ejected = self._ejection.failed(visit, now, found)
        if ejected:
            # How long it is left alone decides when the probe after this one comes.
            self.suspected.set()
        if ejected or was_failing is not self._ejection.failing(now):
            self._tell()

    def _returned(self, returned: bool) -> None:
        if returned:
            self._came = self._clock()
            self._tell()

    def _found(self, *, alive: bool) -> None:
        changed = alive is not self.alive or self.known is not self._told
        self.alive = alive
        if changed:
            self._tell()

    def _tell(self) -> None:
        self._told = self.known
        self._changed()


class _Asked:
    """A call to a replica, under way; a context manager."""

    __slots__ = ("_began", "_call", "_lost", "_replica", "_served", "_visit")

    def __init__(self, replica: Replica, call: Call, served: str) -> None:
        self._replica = replica
        self._call = call
        self._served = served
        self._lost = False

    def __enter__(self) -> Self:
        self._began = self._replica._clock()
        self._visit = self._replica._begin()
        return self

    def answered(self) -> None:
        """Takes note that the answer has begun."""
        self._replica._answered(self._visit)

    def lose(self) -> None:
        """Takes note that another replica, which was asked later, has answered."""
        self._lost = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        replica, visit = self._replica, self._visit
        if error is None:
            replica._succeeded(visit)
        elif isinstance(error, UpstreamFailure):
            seen = replica._compared(error, self._served)
            replica._failed(visit, seen)
            replica._end(visit)
            raise seen from error
        elif self._lost:
            replica._outrun(visit)
        elif isinstance(error, asyncio.CancelledError) and self._timed_out:
            replica._kept_waiting(visit)
        replica._end(visit)

    @property
    def _timed_out(self) -> bool:
        """Whether the caller's time passed before there was an answer."""
        deadline = self._call.deadline
        early = max(_EARLY_S, _EARLY_SHARE * (deadline - self._began))
        passed = deadline - self._replica._clock() <= early
        return passed and self._call.attempts.stage is Stage.HEADERS


def _may_show_in_a_probe(failure: UpstreamFailure) -> bool:
    return (
        failure.kind is not Kind.HTTP_ERROR or failure.engine_dead or failure.status in (401, 403)
    )


def _refused(failure: UpstreamFailure) -> bool:
    connecting = failure.kind is Kind.CONNECT and failure.stage is Stage.CONNECT
    return connecting and failure.limit != "connect_timeout"


def _equal(listing: Sequence[JsonObject], other: Sequence[JsonObject] | None) -> bool:
    try:
        return listing == other
    except RecursionError:
        # What an upstream tells may be nested deeper than Python compares.
        return False


def _shown_address(url: str, address: str) -> str:
    if not address:
        return place(url)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
