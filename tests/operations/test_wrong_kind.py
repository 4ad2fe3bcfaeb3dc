"""Operations that the loaded model does not serve."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import pytest
from acceptance.chats import asking
from acceptance.refusals import refused
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.completion_pb2 import CreateCompletionRequest, Prompt
from penstock.v1.completion_pb2_grpc import CompletionServiceStub
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import PoolingInput
from penstock.v1.pooling_pb2 import PoolRequest
from penstock.v1.pooling_pb2_grpc import PoolingServiceStub
from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest, ScoringInput
from penstock.v1.rerank_pb2_grpc import RerankServiceStub
from penstock_server.fleet import Fleet
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.operations import RERANK, SCORE

from .canned import canned, in_json
from .conftest import Start

ONE = ScoringInput(text="x")
TEXT = PoolingInput(text="x")
CALLS: Mapping[str, tuple[str, Callable[[aio.Channel], Any]]] = {
    "chat": (
        "Chat Completions",
        lambda channel: ChatCompletionServiceStub(channel).CreateChatCompletion(asking("x")),
    ),
    "chat stream": (
        "Chat Completions",
        lambda channel: _first(
            ChatCompletionServiceStub(channel).StreamChatCompletion(asking("x"))
        ),
    ),
    "completion": (
        "Completions",
        lambda channel: CompletionServiceStub(channel).CreateCompletion(
            CreateCompletionRequest(prompts=[Prompt(text="x")])
        ),
    ),
    "completion stream": (
        "Completions",
        lambda channel: _first(
            CompletionServiceStub(channel).StreamCompletion(
                CreateCompletionRequest(prompts=[Prompt(text="x")])
            )
        ),
    ),
    "rerank": (
        "Rerank (Score)",
        lambda channel: RerankServiceStub(channel).Rerank(
            RerankRequest(query=ONE, documents=[ONE])
        ),
    ),
    "score": (
        "Score",
        lambda channel: RerankServiceStub(channel).Score(
            ScoreRequest(queries=[ONE], documents=[ONE])
        ),
    ),
    "embedding": (
        "Embeddings",
        lambda channel: EmbeddingServiceStub(channel).CreateEmbeddings(
            CreateEmbeddingsRequest(inputs=[TEXT])
        ),
    ),
    "classification": (
        "Classification",
        lambda channel: ClassificationServiceStub(channel).Classify(ClassifyRequest(inputs=[TEXT])),
    ),
    "pooling": (
        "Pooling",
        lambda channel: PoolingServiceStub(channel).Pool(PoolRequest(inputs=[TEXT])),
    ),
}
"""Calls, and the name of the operation in an old vLLM."""

OLD_SHAPES: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "flat": lambda error: {"object": "error", **error},
    "nested": lambda error: {"error": error},
}


@pytest.mark.parametrize("shape", OLD_SHAPES)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
@pytest.mark.parametrize(("api", "call"), CALLS.values(), ids=CALLS)
async def test_error_of_an_old_vllm(api: str, call: Any, status: str, shape: str) -> None:
    message = f"The model does not support {api} API"
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    async with canned(in_json(OLD_SHAPES[shape](error), status)) as (channel, _):
        refusal = await refused(call(channel))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.reason == "OPERATION_NOT_SUPPORTED"
    assert refusal.metadata["path"].startswith("/")
    assert refusal.message == message


async def test_another_error_with_similar_words() -> None:
    error = {"message": "This model does not support Matryoshka embeddings", "code": 400}
    async with canned(in_json({"error": error})) as (channel, _):
        refusal = await refused(CALLS["rerank"][1](channel))
    assert refusal.reason == "UPSTREAM_REJECTED"


@pytest.mark.parametrize(
    ("kind", "serving"),
    [
        ("chat", {"ChatCompletion", "Completion", "Tokenization"}),
        ("rerank", {"Rerank", "Tokenization"}),
        ("embed", {"Rerank", "Tokenization"}),
        ("classify", {"Tokenization"}),
    ],
)
async def test_health(start: Start, kind: str, serving: set[str]) -> None:
    stand = await start(kind=kind)
    health = health_pb2_grpc.HealthStub(stand.channel)
    async for answer in health.Watch(health_pb2.HealthCheckRequest()):
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            break
    for name in ("ChatCompletion", "Completion", "Rerank", "Tokenization"):
        request = health_pb2.HealthCheckRequest(service=f"penstock.v1.{name}Service")
        found = (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        assert found is (name in serving), name


async def test_one_path_of_an_operation_is_enough() -> None:
    fleet = Fleet([UpstreamConfig("http://127.0.0.1:1")])
    replica = fleet.replicas[0]
    replica.record_routes(frozenset({"/rerank"}), version="")
    assert replica.serves(RERANK)
    assert not replica.serves(SCORE)
    fleet.close()


async def _first(call: Any) -> None:
    async for _ in call:
        return
