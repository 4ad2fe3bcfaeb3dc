"""Behaviour of every RPC when its upstream fails, and when its caller leaves."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from closed_port import closed_url
from grpc import StatusCode as Code
from skipping import LIMIT_S, Skipping

from .calls import BOUND_S, Serve, plain_channel, until
from .every_rpc import (
    ELSEWHERE,
    EVERY_RPC,
    STREAM_HEAD,
    Called,
    Upstream,
    answer,
    event,
    failing,
    methods_served,
    names,
    running,
)

QUIET = {"probe_interval": 3600}

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))

# Answer of the upstream: code, reason.
ANSWERS: Mapping[str, tuple[bytes, Code, str]] = {
    "500": (failing("500 x", code=500), Code.INTERNAL, "UPSTREAM_INTERNAL"),
    "503": (failing("503 x", code=503), Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "404 bare": (
        answer("404 x", b'{"detail": "Not Found"}'),
        Code.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    ),
    "404 model": (failing("404 x", code=404, param="model"), Code.NOT_FOUND, "MODEL_NOT_FOUND"),
    "400 with param": (
        failing("400 x", code=400, param="model"),
        Code.INVALID_ARGUMENT,
        "UPSTREAM_REJECTED",
    ),
    "401": (answer("401 x", b'{"error": "Unauthorized"}'), Code.INTERNAL, "UPSTREAM_AUTH_FAILED"),
    "HTML": (
        answer("200 OK", b"<html>", "text/html"),
        Code.INTERNAL,
        "UPSTREAM_MALFORMED_RESPONSE",
    ),
    "empty": (answer("200 OK", b""), Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    "error in 200": (failing("200 OK", code=503), Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "closed": (b"", Code.UNAVAILABLE, "UPSTREAM_CLOSED"),
}


def test_every_rpc_is_covered() -> None:
    assert {rpc.name for rpc in EVERY_RPC} == set(methods_served()) - ELSEWHERE
    assert all(bool(rpc.event) == rpc.streams for rpc in EVERY_RPC)


# The caller, not a library, decides whether these are retried.
CALLER_DECIDES = ("UPSTREAM_INTERNAL", "UPSTREAM_MALFORMED_RESPONSE", "UPSTREAM_CLOSED")


@pytest.mark.parametrize(("sent", "code", "reason"), ANSWERS.values(), ids=ANSWERS)
@every_rpc
async def test_failure(rpc: Called, sent: bytes, code: Code, reason: str, serve: Serve) -> None:
    async with running(Upstream(sent)) as upstream:
        service = await serve(upstream=(upstream.url,), **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason, result.domain) == (code, reason, "penstock")
    assert result.received == []
    assert result.request_id == result.trailers["x-request-id"]
    decides = "-1" if reason in CALLER_DECIDES else None
    assert (result.retry_s, result.pushback) == (
        (1.0, "1000") if reason == "UPSTREAM_UNAVAILABLE" else (None, decides)
    )
    assert bool(result.fields) == (code is Code.INVALID_ARGUMENT)
    assert "<html>" not in result.message


@every_rpc
async def test_refused(rpc: Called, serve: Serve) -> None:
    with closed_url() as url:
        service = await serve(upstream=(url,), **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert (result.retry_s, result.pushback) == (1.0, "1000")


@every_rpc
async def test_draining(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            service._admission.close()
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "DRAINING")
    assert (result.retry_s, result.pushback) == (0.0, "0")
    assert upstream.requests == 0


# Models are requested over separate connections.
_LIMITED = [rpc for rpc in EVERY_RPC if not rpc.name.startswith("ModelService/")]


@pytest.mark.parametrize("rpc", _LIMITED, ids=names(tuple(_LIMITED)))
async def test_all_connections_in_use(rpc: Called, serve: Serve, skip: Skipping) -> None:
    limits: dict[str, Any] = {"max_connections": 1, "connect_timeout": LIMIT_S, "max_attempts": 1}
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), **limits, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            first = rpc.start(channel)
            await upstream.came.wait()
            second = asyncio.create_task(rpc.run(service, channel, timeout=BOUND_S))
            await skip()
            result = await second
            first.cancel()
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")
    assert (result.retry_s, result.pushback) == (1.0, "1000")
    assert (result.metadata["stage"], result.metadata["limit"]) == ("connect", "connect_timeout")


def _silent(_: Called) -> Upstream:
    return Upstream(hold=True)


def _halfway(_: Called) -> Upstream:
    return Upstream(answer("200 OK", b'{"id": "' + b" " * 1000)[:-500], hold=True)


def _no_event(_: Called) -> Upstream:
    return Upstream(STREAM_HEAD, hold=True)


def _one_event(rpc: Called) -> Upstream:
    return Upstream(STREAM_HEAD, event(rpc.event), hold=True)


def _endless(rpc: Called) -> Upstream:
    # Long texts: without a reader, short ones would be merged and take long to fill the windows.
    long = json.loads(json.dumps(rpc.event).replace("word", "word " * 1000))
    return Upstream(STREAM_HEAD, event(rpc.event), repeat=event(long) * 10)


Stage = Callable[[Called], Upstream]
STAGES: Mapping[str, tuple[Stage, Callable[[Called], bool]]] = {
    "uploading": (_silent, lambda rpc: rpc.uploads),
    "before headers": (_silent, lambda rpc: True),
    "in the body": (_halfway, lambda rpc: not rpc.streams),
    "before an event": (_no_event, lambda rpc: rpc.streams),
    "after an event": (_one_event, lambda rpc: rpc.streams),
    "not reading": (_endless, lambda rpc: rpc.streams),
}
LEAVING = {
    f"{name}, {stage}": (rpc, stage)
    for stage, (_, fits) in STAGES.items()
    for rpc, name in zip(EVERY_RPC, names(EVERY_RPC), strict=True)
    if fits(rpc)
}


@pytest.mark.parametrize(("rpc", "stage"), LEAVING.values(), ids=LEAVING)
async def test_the_caller_leaves(rpc: Called, stage: str, serve: Serve) -> None:
    async with running(STAGES[stage][0](rpc)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            tasks = len(asyncio.all_tasks())
            call = rpc.start(channel, endless=stage == "uploading")
            await _reach(stage, call, upstream)
            assert upstream.open == 1
            call.cancel()
            await upstream.left.wait()
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            assert (upstream.requests, upstream.open) == (1, 0)


async def _reach(stage: str, call: Any, upstream: Upstream) -> None:
    await upstream.came.wait()
    if stage in ("after an event", "not reading"):
        assert await call.read()
    elif stage in ("in the body", "before an event"):
        await asyncio.sleep(0.02)  # for the service to read so far; no event reports it
    if stage == "not reading":
        await upstream.stalled.wait()
