"""Engines that are asleep: how that is noticed, how they wake, and how they fall asleep."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode
from uuid import uuid4

from penstock_server.fleet.replica import Replica
from penstock_server.telemetry import events
from penstock_server.upstream import Call, Kind, Sleep, Stage, UpstreamFailure, sleep_in
from penstock_server.upstream.client import Upstream

_IS_SLEEPING = "/is_sleeping"
_METRICS = "/metrics"
_SLEEP = "/sleep"
_WAKE_UP = "/wake_up"


async def is_asleep(
    replica: Replica, call: Call, timeout_s: float, *, thorough: bool
) -> bool | None:
    """Returns whether the engine of a replica is asleep or paused; None if it does not report it.

    vLLM has a route for this only in its development mode. Where the routes do not include it, the
    metrics are read: they are large, so only in a thorough probe, or while the engine is asleep.

    Args:
        replica: the replica.
        call: the call of the probe.
        timeout_s: the limit of each request.
        thorough: whether to find out with more requests than usual.
    """
    changes = replica.sleep_changes
    found = await _found(replica, call, timeout_s, thorough=thorough or replica.known.asleep)
    # It may have woken or fallen asleep meanwhile.
    return found if replica.sleep_changes == changes else None


async def _found(replica: Replica, call: Call, timeout_s: float, *, thorough: bool) -> bool | None:
    upstream, paths = replica.upstream, replica.known.paths
    if _IS_SLEEPING in (paths or ()) or (paths is None and thorough):
        reported = await _reported(upstream, call, timeout_s)
        if reported is not None:
            return reported
    if not thorough:
        return None
    state = await _state(upstream, call, timeout_s)
    return None if state is None else state is not Sleep.AWAKE


async def _reported(upstream: Upstream, call: Call, timeout_s: float) -> bool | None:
    with contextlib.suppress(UpstreamFailure):
        reported = (await upstream.get(_IS_SLEEPING, call, timeout_s)).get("is_sleeping")
        return reported if isinstance(reported, bool) else None
    return None


async def _state(upstream: Upstream, call: Call, timeout_s: float) -> Sleep | None:
    with contextlib.suppress(UpstreamFailure):
        return sleep_in(await upstream.text("GET", _METRICS, call, timeout_s))
    return None


def asleep(replica: Replica, more: str = "") -> UpstreamFailure:
    """Returns the failure of a call that requires an engine that is asleep."""
    message = f"the engine of {replica.upstream.name} is asleep or paused{more}"
    return UpstreamFailure(Kind.ASLEEP, message, Stage.CONNECT, upstream=replica.upstream.name)


async def require_awake(replica: Replica) -> None:
    """Wakes the engine of a replica, once for all calls that wait for it.

    The attempt continues if a caller leaves.

    Raises:
        UpstreamFailure: no call may wake it, or it cannot be woken.
    """
    if not replica.wakeable:
        raise asleep(replica)
    if replica.waking is None:
        replica.waking = asyncio.create_task(_wake(replica))
    if failure := await asyncio.shield(replica.waking):
        raise replace(failure)


async def _wake(replica: Replica) -> UpstreamFailure | None:
    """Wakes the engine of a replica; returns the failure if that is not possible."""
    try:
        await _wake_for_calls(replica)
    except UpstreamFailure as failure:
        if failure.message != replica.unwoken:
            replica.unwoken = failure.message
            events.UPSTREAM_NOT_WOKEN.log(**_place(replica), reason=failure.message)
        return asleep(replica, f", and cannot be woken: {failure.message}")
    finally:
        replica.waking = None
    return None


def _place(replica: Replica) -> Mapping[str, str]:
    return {"upstream": replica.upstream.name, "address": replica.address}


async def _wake_for_calls(replica: Replica) -> None:
    upstream, call = replica.upstream, Call(request_id=f"wake-{uuid4().hex}")
    refusal = _REFUSALS.get(await _state(upstream, call, upstream.config.timeouts.first_byte))
    if refusal:
        raise UpstreamFailure(Kind.ASLEEP, refusal, Stage.CONNECT)
    events.UPSTREAM_WAKING.log(**_place(replica))
    await wake_up(replica, call)
    if replica.known.asleep:
        raise UpstreamFailure(Kind.ASLEEP, "it is still asleep afterwards", Stage.BODY)


async def wake_up(replica: Replica, call: Call, tags: Sequence[str] = ()) -> None:
    """Wakes the engine of a replica, or the parts of it that tags name.

    Raises:
        UpstreamFailure: it cannot be woken.
    """
    query = urlencode([("tags", tag) for tag in tags])
    await development_request(replica, f"{_WAKE_UP}?{query}" if query else _WAKE_UP, call)
    timeout_s = replica.upstream.config.timeouts.first_byte
    replica.change_sleep(asleep=bool(await _reported(replica.upstream, call, timeout_s)))


async def fall_asleep(replica: Replica, call: Call, level: int, mode: str) -> None:
    """Puts the engine of a replica to sleep.

    Raises:
        UpstreamFailure: it cannot sleep.
    """
    await development_request(replica, f"{_SLEEP}?level={level}&mode={mode}", call)
    replica.change_sleep(asleep=True)


async def development_request(replica: Replica, path: str, call: Call) -> str:
    """Returns the answer to a POST request that vLLM serves only in its development mode.

    Raises:
        UpstreamFailure: there was no answer of status 200 in time.
    """
    upstream = replica.upstream
    try:
        return await upstream.text("POST", path, call, upstream.config.timeouts.first_byte)
    except UpstreamFailure as failure:
        if not failure.route_missing:
            raise
        route = path.partition("?")[0]
        message = f"it has no {route}, which requires {_DEVELOPMENT_MODE}"
        raise UpstreamFailure(
            Kind.ROUTE_MISSING, message, Stage.BODY, upstream=upstream.name, path=route
        ) from None


_DEVELOPMENT_MODE = "vLLM's development mode (VLLM_SERVER_DEV_MODE=1)"
_REFUSALS = {
    None: "its metrics do not report how deeply it sleeps",
    Sleep.AWAKE: "its scheduler is paused",
    Sleep.DISCARDED: "its weights are discarded (sleep level 2) and must be reloaded",
}
"""Why an engine in a state is not woken."""
