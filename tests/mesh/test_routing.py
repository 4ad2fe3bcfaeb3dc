"""Which Penstock Envoy selects for a call."""

from typing import Any

import grpc
import pytest
from conftest import FREE_PORT
from rpc.calls import chat, ended

from mesh.calls import answered, begun
from mesh.conftest import StartMesh
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import PoolingInput
from penstock_server.simulator import SimulatorSettings

CHAT = SimulatorSettings(listen=FREE_PORT)
EMBED = SimulatorSettings(listen=FREE_PORT, kind="embed", models=("tiny-embed",))
CALLS = 12
STREAMS = 80
TEXT = CreateEmbeddingsRequest(inputs=[PoolingInput(text="x")])


async def test_each_service_goes_where_it_is_healthy(start: StartMesh) -> None:
    mesh = await start(CHAT, EMBED)
    for _ in range(CALLS):
        await answered(mesh.channel)
        await EmbeddingServiceStub(mesh.channel).CreateEmbeddings(TEXT)
    assert mesh.requests == [CALLS, CALLS]
    assert await mesh.envoy.total(r"cluster\.\w+\.upstream_rq_retry$") == 0


async def test_a_penstock_that_is_not_serving_receives_nothing(start: StartMesh) -> None:
    mesh = await start()
    await mesh.simulators[0].stop()
    await mesh.envoy.until_healthy(1)
    for _ in range(CALLS):
        await answered(mesh.channel)
    assert mesh.requests == [0, CALLS]
    assert await mesh.envoy.total(r"cluster\.chat\.upstream_rq_retry$") == 0


async def test_a_service_that_no_penstock_serves_is_refused_by_one(start: StartMesh) -> None:
    mesh = await start()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await EmbeddingServiceStub(mesh.channel).CreateEmbeddings(TEXT)
    refused = ended(raised.value)
    assert (refused.code, refused.domain) == (grpc.StatusCode.UNIMPLEMENTED, "penstock")


async def test_calls_prefer_the_penstock_with_fewer_of_them(start: StartMesh) -> None:
    mesh = await start()
    first, second = mesh.simulators
    at_first: list[Any] = []
    while second.active < STREAMS:
        before = first.active
        stream = await begun(mesh.channel)
        at_first += [stream] * (first.active - before)
    for stream in at_first:
        stream.cancel()
    await first.wait_active(0)
    for _ in range(STREAMS):
        await begun(mesh.channel)
    # Envoy compares two that it draws, so three quarters go to the first.
    assert first.active > 0.55 * STREAMS


async def test_the_caller_s_request_id_arrives(start: StartMesh) -> None:
    mesh = await start()
    call = ChatCompletionServiceStub(mesh.channel).CreateChatCompletion(
        chat(), metadata=(("x-request-id", "mine"),)
    )
    await call
    trailers = dict(await call.trailing_metadata() or ())
    assert trailers["x-request-id"] == "mine"
