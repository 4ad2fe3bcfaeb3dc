"""Options of a single upstream: its health route, and its number of attempts."""

import pytest
from fleet.engine import Engine
from grpc import StatusCode as Code
from upstream.wire import http

from penstock_server.app import Service
from penstock_server.configuration import UpstreamTable
from penstock_server.fleet import State

from .calls import BOUND_S, Serve, plain_channel, until
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running

BUSY = failing("503 x", message="no", code=503)
QUIET = {"probe_interval": 3600}
SENT = tuple(rpc for rpc in EVERY_RPC if not rpc.name.startswith("ModelService/"))
# A stored response is requested from each upstream once; a streamed upload is sent once.
RESENT = tuple(rpc for rpc in SENT if not rpc.uploads and "resp_1" not in rpc.requests[0])


def state(service: Service) -> State:
    [one] = service._fleet.snapshot()
    return one.state


@pytest.mark.parametrize("path", ["/health/liveliness", "/readiness"])
async def test_another_health_route(path: str, serve: Serve) -> None:
    async with running(Engine()) as engine:
        engine.answers["/health"] = http(b"", status="503 Busy")
        engine.answers[path] = http(b"")
        service = await serve(upstream=(UpstreamTable(engine.url, health_path=path),))
        await until(lambda: state(service) in (State.READY, State.SLOW_START))
        engine.answers[path] = http(b"", status="503 Busy")
        await until(lambda: state(service) is State.DOWN)
        assert "/health" not in engine.asked


async def test_no_health_route(serve: Serve) -> None:
    async with running(Engine()) as engine:
        engine.answers["/health"] = http(b"", status="503 Busy")
        service = await serve(upstream=(engine.url,), health_path="")
        await until(lambda: state(service) in (State.READY, State.SLOW_START))
        engine.answers["/v1/models"] = http(b"", status="503 Busy")
        await until(lambda: state(service) is State.DOWN)
        assert "/health" not in engine.asked


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("rpc", RESENT, ids=names(RESENT))
async def test_attempts_of_an_upstream(rpc: Called, most: int, serve: Serve) -> None:
    async with running(Upstream(BUSY)) as upstream:
        table = UpstreamTable(upstream.url, max_attempts=most)
        service = await serve(upstream=(table,), max_attempts=2, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, upstream.requests) == (Code.UNAVAILABLE, most)
    assert result.metadata["attempts"] == str(most)


@pytest.mark.parametrize("rpc", RESENT, ids=names(RESENT))
async def test_an_upstream_with_its_own_retries_is_asked_once(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(BUSY)) as router, running(Upstream(BUSY)) as plain:
        tables = UpstreamTable(router.url, max_attempts=1), UpstreamTable(plain.url)
        service = await serve(upstream=tables, max_attempts=3, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert result.code is Code.UNAVAILABLE
    assert (router.requests, plain.requests) == (1, 2)
