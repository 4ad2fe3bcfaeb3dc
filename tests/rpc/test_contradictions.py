"""Unknown upstreams, and upstreams whose answers contradict earlier ones, for every RPC."""

import pytest
from conftest import FREE_PORT
from fleet.engine import Engine, said
from grpc import StatusCode as Code
from grpc import aio
from upstream.wire import http

from penstock.v1.rerank_pb2 import RerankRequest
from penstock.v1.rerank_pb2_grpc import RerankServiceStub
from penstock_server.app import Service
from penstock_server.fleet import State
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, Ended, Serve, ended, plain_channel, until
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running

QUIET = {"probe_interval": 3600}
DEAD = failing("500 x", message="EngineCore encountered an issue. See stack trace", code=500)
LEAVING = failing("500 x", message="cannot schedule new futures after shutdown", code=500)
NO_MODEL = failing("404 x", message="The model `m` does not exist.", code=404, param="model")

NAMING = tuple(
    rpc for rpc in EVERY_RPC if '"m"' in rpc.requests[0] and not rpc.name.startswith("Model")
)
every_naming_rpc = pytest.mark.parametrize("rpc", NAMING, ids=names(NAMING))

CHAT = EVERY_RPC[0]
[EMBED] = (rpc for rpc in EVERY_RPC if rpc.name.endswith("/CreateEmbeddings"))


async def known(service: Service, *models: str) -> None:
    """Waits until the service knows that its upstreams have exactly these models."""
    await until(lambda: {one.models for one in service._fleet.snapshot()} == {models})


@every_naming_rpc
async def test_a_missing_listed_model_is_unavailable(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(NO_MODEL, models=("m", "n"))) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=2, **rpc.settings)
        await known(service, "m", "n")
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
            assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
            assert result.retry_s == 1.0
            routes = len(RERANK_ROUTES) if rpc.name.endswith("/Rerank") else 1
            assert upstream.requests == routes * int(result.metadata["attempts"])
            upstream.models = ("n",)
            await known(service, "n")
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_a_missing_listed_model_refreshes_the_list(serve: Serve) -> None:
    async with running(Upstream(NO_MODEL, models=("m",))) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=1, probe_interval=3600)
        await known(service, "m")
        upstream.models = ("n",)
        async with plain_channel(service) as channel:
            await EVERY_RPC[0].run(service, channel, timeout=BOUND_S)
            await known(service, "n")


async def test_an_upstream_that_was_never_reached(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as gone:
        url = gone.url
    service = await serve(upstream=(url,), max_attempts=1)
    async with plain_channel(service) as channel:
        for rpc in NAMING:
            if not rpc.settings:
                result = await rpc.run(service, channel, timeout=BOUND_S)
                assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
        back = SimulatorSettings(listen=url.removeprefix("http://"), models=("n",))
        async with Simulator(back):
            await known(service, "n")
            chat, embedding = [
                await rpc.run(service, channel, timeout=BOUND_S) for rpc in (CHAT, EMBED)
            ]
    assert (chat.code, chat.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
    assert (embedding.code, embedding.reason) == (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")


@every_naming_rpc
async def test_a_request_kills_at_most_two_engines(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(DEAD)) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=5, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "ENGINE_DEAD")
    # A streamed upload cannot be retried at all.
    assert upstream.requests == (1 if rpc.uploads else 2)


async def test_an_engine_that_shuts_down_does_not_count_as_killed(serve: Serve) -> None:
    async with running(Upstream(LEAVING)) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=3, **QUIET)
        async with plain_channel(service) as channel:
            result = await EVERY_RPC[0].run(service, channel, timeout=BOUND_S)
    assert (result.reason, upstream.requests) == ("ENGINE_DEAD", 3)


@every_naming_rpc
async def test_a_server_that_disappears_after_its_engine_died(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(DEAD)) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=1, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            await rpc.run(service, channel, timeout=BOUND_S)
    async with plain_channel(service) as channel:
        result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "ENGINE_DEAD")
    assert result.metadata["stage"] == "connect"


@pytest.mark.parametrize(
    ("version", "reason"), [("0.10.2", "ENGINE_DEAD"), ("", "UPSTREAM_CONNECT_FAILED")]
)
async def test_a_server_that_disappears_after_its_health_failed(
    version: str, reason: str, serve: Serve
) -> None:
    async with running(Engine()) as dying:
        dying.answers |= {"/version": said({"version": version}), "/openapi.json": said({})}
        service = await serve(upstream=(dying.url,), max_attempts=1)
        await known(service, "a")
        dying.answers["/health"] = http(b"", status="500 Internal Server Error")
        await until(lambda: _state(service) is State.DOWN)
    async with plain_channel(service) as channel:
        result = await EVERY_RPC[0].run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, reason)


def _state(service: Service) -> State:
    [one] = service._fleet.snapshot()
    return one.state


RERANKED = said(
    {
        "id": "i",
        "model": "a",
        "results": [{"index": 0, "relevance_score": 1.0, "document": {"text": "y"}}],
        "usage": {"total_tokens": 1},
    }
)
UNKNOWN = said({"error": {"message": "no model default", "code": 404}}, "404 Not Found")
RERANK_ROUTES = ("/v1/rerank", "/v2/rerank", "/rerank")


async def rerank(channel: aio.Channel, model: str) -> Ended | None:
    request = RerankRequest(model=model)
    request.query.text = "x"
    request.documents.add().text = "y"
    try:
        await RerankServiceStub(channel).Rerank(request, timeout=BOUND_S)
    except aio.AioRpcError as error:
        return ended(error)
    return None


def reranked(asked: Engine) -> list[str]:
    return [path for path in asked.asked if path in RERANK_ROUTES]


@pytest.mark.parametrize("works", RERANK_ROUTES)
async def test_the_route_that_works_is_remembered(works: str, serve: Serve) -> None:
    async with running(Engine()) as router:
        router.answers |= {"/v1/rerank": UNKNOWN, works: RERANKED}
        service = await serve(upstream=(router.url,))
        await known(service, "a")
        async with plain_channel(service) as channel:
            assert await rerank(channel, "a") is None
            first = reranked(router)
            assert first == list(RERANK_ROUTES[: RERANK_ROUTES.index(works) + 1])
            assert await rerank(channel, "a") is None
            assert reranked(router) == [*first, works]
            # Routes may change.
            router.answers[works] = UNKNOWN
            other = next(path for path in RERANK_ROUTES if path != works)
            router.answers[other] = RERANKED
            assert await rerank(channel, "a") is None
            assert reranked(router)[-1] == other


async def test_an_unlisted_model_is_requested_on_one_route(serve: Serve) -> None:
    async with running(Engine()) as router:
        router.answers |= dict.fromkeys(RERANK_ROUTES, UNKNOWN)
        service = await serve(upstream=(router.url,))
        await known(service, "a")
        async with plain_channel(service) as channel:
            result = await rerank(channel, "b")
    assert result
    assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
    assert reranked(router) == ["/v1/rerank"]


async def test_an_error_on_a_published_route_is_about_the_model(serve: Serve) -> None:
    said_so = said({"detail": "deploy-7 does not exist"}, "404 Not Found")
    path = "/v1/chat/completions"
    async with running(Engine()) as router:
        router.answers |= {path: said_so, "/openapi.json": said({"paths": {path: {}}})}
        service = await serve(upstream=(router.url,))
        await known(service, "a")
        async with plain_channel(service) as channel:
            published = await EVERY_RPC[0].run(service, channel, timeout=BOUND_S)
    async with running(Engine()) as router:
        router.answers[path] = said_so
        service = await serve(upstream=(router.url,))
        await known(service, "a")
        async with plain_channel(service) as channel:
            unpublished = await EVERY_RPC[0].run(service, channel, timeout=BOUND_S)
    assert published.reason == "MODEL_NOT_FOUND"
    assert unpublished.reason == "OPERATION_NOT_SUPPORTED"
