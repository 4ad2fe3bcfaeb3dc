"""Engines that are asleep: how that is noticed, and how a call wakes one."""

import asyncio
import contextlib
from dataclasses import replace
from uuid import uuid4

from penstock_server.fleet.replica import Replica
from penstock_server.telemetry import events
from penstock_server.upstream import Call, Kind, Sleep, Stage, UpstreamFailure, sleep_in
from penstock_server.upstream.client import Upstream

_IS_SLEEPING = "/is_sleeping"
_METRICS = "/metrics"
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
    wakes = replica.wakes
    found = await _found(replica, call, timeout_s, thorough=thorough or replica.known.asleep)
    # A call may have woken it meanwhile.
    return found if replica.wakes == wakes else None


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
    place = {"upstream": replica.upstream.name, "address": replica.address}
    events.UPSTREAM_WAKING.log(**place)
    try:
        await _wake_up(replica)
    except UpstreamFailure as failure:
        reason = _NO_DEVELOPMENT_MODE if failure.route_missing else failure.message
        events.UPSTREAM_NOT_WOKEN.log(**place, reason=reason)
        return asleep(replica, f", and cannot be woken: {reason}")
    finally:
        replica.waking = None
    replica.wakes += 1
    replica.record_sleep(asleep=False)
    replica.report_change()
    return None


async def _wake_up(replica: Replica) -> None:
    upstream, call = replica.upstream, Call(request_id=f"wake-{uuid4().hex}")
    timeout_s = upstream.config.timeouts.first_byte
    refusal = _REFUSALS.get(await _state(upstream, call, timeout_s))
    if refusal:
        raise UpstreamFailure(Kind.ASLEEP, refusal, Stage.CONNECT)
    await upstream.text("POST", _WAKE_UP, call, timeout_s)
    if await _reported(upstream, call, timeout_s):
        raise UpstreamFailure(Kind.ASLEEP, "it is still asleep afterwards", Stage.BODY)


_NO_DEVELOPMENT_MODE = "it does not run in vLLM's development mode (VLLM_SERVER_DEV_MODE=1)"
_REFUSALS = {
    None: "its metrics do not report how deeply it sleeps",
    Sleep.AWAKE: "its scheduler is paused",
    Sleep.DISCARDED: "its weights are discarded (sleep level 2) and must be reloaded",
}
"""Why an engine in a state is not woken."""
