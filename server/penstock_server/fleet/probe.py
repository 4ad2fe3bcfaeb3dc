"""Probes, which determine the health, models, routes and version of a replica."""

import asyncio
import contextlib
from collections.abc import Mapping
from uuid import uuid4

from penstock_server.fleet.adapters import restore
from penstock_server.fleet.changes import ChangeSignal
from penstock_server.fleet.model_list import ModelList, models_of
from penstock_server.fleet.policy import Policy
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.sleep import is_asleep
from penstock_server.telemetry import events
from penstock_server.upstream import (
    Call,
    JsonObject,
    Kind,
    NativeResponses,
    Stage,
    UpstreamFailure,
)
from penstock_server.upstream.client import Upstream

_VERSION_PATH = "/version"

_LEAST_GAP_S = 0.1
"""Minimum time between two probes of a replica, however often its requests fail."""


def probe_call() -> Call:
    """Returns a call for the service's own requests."""
    return Call(request_id=f"probe-{uuid4().hex}")


async def keep_probing(replica: Replica, policy: Policy, changes: ChangeSignal) -> None:
    """Probes a replica forever, also between the intervals when a probe is requested."""
    gap_s = min(_LEAST_GAP_S, policy.probe_interval)
    logged = ""
    while True:
        replica.probe_requested.clear()
        try:
            await probe(replica, policy.probe_timeout)
            logged = ""
        except Exception as error:
            # A bug that an unusual answer reveals must not end all probing.
            logged = _record_bug(replica, error, logged)
        changes.send_probed()
        await asyncio.sleep(gap_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(replica.next_probe_in(policy.probe_interval - gap_s)):
                await replica.probe_requested.wait()


def _record_bug(replica: Replica, error: Exception, logged: str) -> str:
    """Records that a probe broke off and logs the reason once; returns the logged reason."""
    reason = f"the probe broke off: {error!r}"
    if reason != logged:
        events.PROBE_BROKE_OFF.log(error, upstream=replica.upstream.name)
    replica.record_failed_probe(UpstreamFailure(Kind.MISCONFIGURED, reason, Stage.CONNECT))
    return reason


async def probe(replica: Replica, timeout_s: float) -> None:
    """Requests a replica's health, models and sleep, and occasionally its routes.

    Args:
        replica: the replica, which records the results.
        timeout_s: the limit of each request.
    """
    call, upstream = probe_call(), replica.upstream
    try:
        await _require_health(upstream, call, timeout_s)
        await _request_models(replica, call, timeout_s)
        _require_model(replica)
    except UpstreamFailure as failure:
        replica.record_failed_probe(failure)
        return
    routes_are_old = not replica.known.alive or replica.known.routes_are_old(replica.clock())
    if routes_are_old:
        await _request_routes(replica, call, timeout_s)
    asleep = await is_asleep(replica, call, timeout_s, thorough=routes_are_old)
    # After a failure, it may be another server.
    if asleep is not None or replica.known.alive is False:
        replica.record_sleep(asleep=bool(asleep))
    replica.record_successful_probe()


async def _request_routes(replica: Replica, call: Call, timeout_s: float) -> None:
    document, about = await asyncio.gather(
        _get(replica.upstream, "/openapi.json", call, timeout_s),
        _get(replica.upstream, _VERSION_PATH, call, timeout_s),
    )
    # It may be another server, about which nothing is known yet.
    known = replica.known
    paths, version = (known.paths, known.version) if known.alive else (None, "")
    replica.record_routes(
        paths if document is None else _paths(document),
        version if about is None else _version(about),
        complete=document is not None and about is not None,
    )


async def responds_natively(replica: Replica, timeout_s: float) -> bool:
    """Returns whether a replica's own API is used for responses; asks it once, if necessary."""
    wanted = replica.upstream.config.native_responses
    if wanted != NativeResponses.AUTO:
        return wanted == NativeResponses.ALWAYS
    async with replica.asking:
        if replica.known.native is None:
            await _request_native(replica, probe_call(), timeout_s)
    return replica.known.responds_natively


async def _request_native(replica: Replica, call: Call, timeout_s: float) -> None:
    # The API is complete since a certain version, and no probe may have ended yet.
    native, about = await asyncio.gather(
        replica.upstream.has_responses(call, timeout_s),
        _get(replica.upstream, _VERSION_PATH, call, timeout_s),
    )
    if about is None:
        replica.record_native(None, "")
    else:
        replica.record_native(native, _version(about))


async def _require_health(upstream: Upstream, call: Call, timeout_s: float) -> None:
    try:
        await upstream.require_health(call, timeout_s)
    except UpstreamFailure as failure:
        # A router in front of several servers may have no health check of its own.
        if not _is_missing(failure):
            raise


def _is_missing(failure: UpstreamFailure) -> bool:
    """Returns whether there is no such route; its message is not read, as it may not be vLLM's."""
    return failure.kind is Kind.HTTP_ERROR and failure.status in (404, 405, 501)


async def _request_models(replica: Replica, call: Call, timeout_s: float) -> None:
    """Records the models of a replica, after it has loaded the adapters that it must have."""
    changes = replica.adapters.changes
    listing = await _listing(replica.upstream, call, timeout_s)
    if listing and await restore(replica, replica.kept, listing.entries, call):
        listing = await _listing(replica.upstream, call, timeout_s)
    # An operator may have loaded or unloaded adapters meanwhile.
    if listing is not None and replica.adapters.changes == changes:
        replica.record_models(*listing)


async def _listing(upstream: Upstream, call: Call, timeout_s: float) -> ModelList | None:
    """Returns the model list; None if only callers may read it, with their own credentials."""
    try:
        return await models_of(upstream, call, timeout_s)
    except UpstreamFailure as failure:
        if upstream.config.callers_credentials and failure.status in (401, 403):
            return None
        raise


def _require_model(replica: Replica) -> None:
    if replica.known.models == {}:
        wanted = ", ".join(replica.upstream.config.models.values())
        message = f"it lists none of the models: {wanted}" if wanted else "it lists no model"
        raise UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.BODY)


async def _get(upstream: Upstream, path: str, call: Call, timeout_s: float) -> JsonObject | None:
    """Returns a document, empty if the upstream does not have it; None if it is not available."""
    try:
        return await upstream.get(path, call, timeout_s)
    except UpstreamFailure as failure:
        return {} if _is_missing(failure) else None


def _paths(document: JsonObject) -> frozenset[str] | None:
    paths = document.get("paths")
    return frozenset(paths) if isinstance(paths, Mapping) else None


def _version(about: JsonObject) -> str:
    version = about.get("version")
    return version if isinstance(version, str) else ""
