"""Both clients have the same methods, and options have the names of fields."""

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

import penstock
import penstock.v1
from penstock import AsyncClient, Client
from penstock._base.item_requests import AsyncKeyed, Keyed
from penstock._base.options import CallOptions, PoolingOptions, SamplingOptions
from penstock._base.pooling import Inputs
from penstock._base.scoring import ScoringOptions
from penstock._base.stream import AsyncStream, BaseStream, Stream
from penstock._base.upload import AsyncProgress, Progress
from penstock.batch import AsyncBatchItems, BatchItems
from penstock.chat import ChatOptions
from penstock.completions import CompletionOptions
from penstock.embeddings import EmbeddingOptions
from penstock.generation import GenerationOptions
from penstock.live_transcription import AsyncSpeech, LiveOptions, Speech
from penstock.messages import Messages
from penstock.pool import PoolOptions
from penstock.rerank import QueryAndDocuments, RerankOptions
from penstock.responses import ResponseOptions
from penstock.score import Pairs
from penstock.tokenize import TokenizeOptions
from penstock.transcribe import TranscribeOptions
from penstock.v1 import (
    chat_completion_pb2,
    common_pb2,
    completion_pb2,
    embedding_pb2,
    generation_pb2,
    pooling_pb2,
    rerank_pb2,
    response_pb2,
    tokenization_pb2,
    transcription_pb2,
)

ITEMS = (Inputs, Pairs, QueryAndDocuments, Messages)
KEYED: Any = Keyed
ASYNC_KEYED: Any = AsyncKeyed
SAMPLING = common_pb2.SamplingParams.DESCRIPTOR
POOLING = common_pb2.PoolingOptions.DESCRIPTOR
SCORING = rerank_pb2.ScoringOptions.DESCRIPTOR


async def test_both_clients_have_the_same_methods() -> None:
    with Client("127.0.0.1:1") as blocking:
        async with AsyncClient("127.0.0.1:1") as awaited:
            assert resources(blocking) == resources(awaited)
            pairs = [(blocking, awaited)] + [
                (getattr(blocking, name), getattr(awaited, name)) for name in resources(blocking)
            ]
            for one, other in pairs:
                assert methods(one) == methods(other)
                assert all(inspect.getdoc(method) for method in methods(type(other)))


def test_all_names_exist() -> None:
    assert penstock.__all__ == sorted(penstock.__all__, key=order)
    for name in penstock.__all__:
        assert inspect.getdoc(getattr(penstock, name)), name


def order(name: str) -> tuple[bool, bool, str]:
    return name[0].islower(), not name.isupper(), name


def resources(client: Client | AsyncClient) -> list[str]:
    return [name for name in vars(client) if not name.startswith("_") and name != "channel"]


def test_every_service_has_a_resource() -> None:
    with Client("127.0.0.1:1") as client:
        used = {
            type(stub).__name__
            for name in resources(client)
            for stub in vars(getattr(client, name)).values()
        }
    services = {
        name
        for module in pkgutil.iter_modules(penstock.v1.__path__)
        for name in vars(importlib.import_module(f"penstock.v1.{module.name}"))
        if name.endswith("Stub")
    }
    assert services - used == set()


def methods(thing: Any) -> dict[str, Any]:
    named = {name: getattr(thing, name) for name in dir(thing) if not name.startswith("_")}
    if callable(thing):
        named["__call__"] = thing.__call__
    return {name: shape(method) for name, method in named.items() if inspect.ismethod(method)}


def shape(function: Any) -> list[Any]:
    """Returns the parameters and the result of a function, without the awaitable around it."""
    signature = inspect.signature(function)
    taken = [
        (one.name, one.kind, one.default, plain(one.annotation))
        for one in signature.parameters.values()
    ]
    return [*taken, plain(signature.return_annotation)]


def plain(annotation: Any) -> str:
    """Returns the name of a type without the prefix of asyncio counterparts."""
    text = str(annotation)
    for one, other in (
        (AsyncProgress, Progress),
        (AsyncBatchItems, BatchItems),
        *((ASYNC_KEYED[kind], KEYED[kind]) for kind in ITEMS),
        (AsyncSpeech, Speech),
    ):
        text = text.replace(str(one), str(other))
    return text.replace("Async", "").replace("grpc.aio._base_channel.", "grpc.")


def test_both_clients_have_the_same_parameters() -> None:
    assert shape(Client) == shape(AsyncClient)


def test_both_streams_have_the_same_methods() -> None:
    common = set(vars(BaseStream))
    assert members(Stream) == members(AsyncStream)
    assert set(members(Stream)) >= {"final", "close", "text_stream"}
    assert {"snapshot", "request_id"} <= common


def members(stream: type) -> dict[str, Any]:
    """Returns the methods and properties of a stream; special methods by their common names."""
    return {
        name.replace("__a", "__"): shape(getattr(one, "fget", one))
        for name, one in vars(stream).items()
        if (inspect.isfunction(one) or isinstance(one, property))
        and (name.startswith("__") or not name.startswith("_"))
        and name != "__annotate_func__"  # Python 3.14 and later store annotations in it.
    }


def fields(*messages: Descriptor) -> set[str]:
    return {field.name for message in messages for field in message.fields}


@pytest.mark.parametrize(
    ("options", "given", "messages"),
    [
        (SamplingOptions, set(), (SAMPLING,)),
        (PoolingOptions, set(), (POOLING,)),
        (
            ChatOptions,
            {"messages", "sampling"},
            (chat_completion_pb2.CreateChatCompletionRequest.DESCRIPTOR, SAMPLING),
        ),
        (
            CompletionOptions,
            {"prompts", "sampling"},
            (completion_pb2.CreateCompletionRequest.DESCRIPTOR, SAMPLING),
        ),
        (
            GenerationOptions,
            {"token_ids", "sampling"},
            (generation_pb2.GenerateRequest.DESCRIPTOR, SAMPLING),
        ),
        (
            ResponseOptions,
            {"input", "input_text", "sampling"},
            (response_pb2.CreateResponseRequest.DESCRIPTOR, SAMPLING),
        ),
        (
            EmbeddingOptions,
            {"inputs", "options"},
            (embedding_pb2.CreateEmbeddingsRequest.DESCRIPTOR, POOLING),
        ),
        (PoolOptions, {"inputs", "options"}, (pooling_pb2.PoolRequest.DESCRIPTOR, POOLING)),
        (
            RerankOptions,
            {"query", "documents", "options", "scoring"},
            (rerank_pb2.RerankRequest.DESCRIPTOR, POOLING, SCORING),
        ),
        (
            ScoringOptions,
            {"queries", "documents", "options", "scoring"},
            (rerank_pb2.ScoreRequest.DESCRIPTOR, POOLING, SCORING),
        ),
        (
            TokenizeOptions,
            {"text", "chat"},
            (tokenization_pb2.TokenizeRequest.DESCRIPTOR,),
        ),
        (
            TranscribeOptions,
            {"sampling"},
            (transcription_pb2.TranscriptionConfig.DESCRIPTOR, SAMPLING),
        ),
        (LiveOptions, set(), (transcription_pb2.LiveTranscriptionConfig.DESCRIPTOR,)),
    ],
)
def test_every_field_is_an_option(
    options: type, given: set[str], messages: tuple[Descriptor, ...]
) -> None:
    call = set(CallOptions.__annotations__)
    renamed = {"labels"}
    of_conversations = {"tools", "template"} if options is TokenizeOptions else set()
    named = set(options.__annotations__) - call - renamed - of_conversations
    assert named == fields(*messages) - given - call
