"""The services that the server offers, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from grpc import aio

from penstock.v1 import (
    batch_pb2_grpc,
    chat_completion_pb2_grpc,
    classification_pb2_grpc,
    completion_pb2_grpc,
    embedding_pb2_grpc,
    generation_pb2_grpc,
    model_pb2_grpc,
    pooling_pb2_grpc,
    rerank_pb2_grpc,
    response_pb2_grpc,
    tokenization_pb2_grpc,
    transcription_pb2_grpc,
)
from penstock_server.configuration import Settings
from penstock_server.fleet import Fleet
from penstock_server.rpc.services.batch import BatchServicer
from penstock_server.rpc.services.chat_completion import ChatCompletionServicer
from penstock_server.rpc.services.classification import ClassificationServicer
from penstock_server.rpc.services.completion import CompletionServicer
from penstock_server.rpc.services.embedding import EmbeddingServicer
from penstock_server.rpc.services.generation import GenerationServicer
from penstock_server.rpc.services.model import ModelServicer
from penstock_server.rpc.services.pooling import PoolingServicer
from penstock_server.rpc.services.rerank import RerankServicer
from penstock_server.rpc.services.response import ResponseServicer
from penstock_server.rpc.services.tokenization import TokenizationServicer
from penstock_server.rpc.services.transcription import TranscriptionServicer
from penstock_server.upstream import (
    CHAT_COMPLETION,
    CLASSIFICATION,
    COMPLETION,
    EMBEDDING,
    GENERATION,
    POOLING,
    RERANK,
    RESPONSE,
    TOKENIZATION,
    TRANSCRIPTION,
    Operation,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One service of the API.

    Attributes:
        operation: the upstream operation that the service needs; None for no particular one.
        servicer: creates the servicer for a fleet, and for the configuration if it has options.
        add: adds a servicer to a server.
        has_options: whether options of the configuration apply to the service alone.
    """

    operation: Operation | None
    servicer: Callable[..., Any]
    add: Callable[[Any, aio.Server], None]
    has_options: bool = False

    def registration(
        self, fleet: Fleet, settings: Callable[[], Settings]
    ) -> Callable[[aio.Server], None]:
        """Returns a function that adds the service to a server.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        of = (fleet, settings) if self.has_options else (fleet,)
        return partial(self.add, self.servicer(*of))


SERVICES: Mapping[str, Entry] = {
    "penstock.v1.ChatCompletionService": Entry(
        CHAT_COMPLETION,
        ChatCompletionServicer,
        chat_completion_pb2_grpc.add_ChatCompletionServiceServicer_to_server,
    ),
    "penstock.v1.ResponseService": Entry(
        RESPONSE,
        ResponseServicer,
        response_pb2_grpc.add_ResponseServiceServicer_to_server,
    ),
    "penstock.v1.CompletionService": Entry(
        COMPLETION,
        CompletionServicer,
        completion_pb2_grpc.add_CompletionServiceServicer_to_server,
    ),
    "penstock.v1.GenerationService": Entry(
        GENERATION,
        GenerationServicer,
        generation_pb2_grpc.add_GenerationServiceServicer_to_server,
    ),
    "penstock.v1.RerankService": Entry(
        RERANK,
        RerankServicer,
        rerank_pb2_grpc.add_RerankServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.TokenizationService": Entry(
        TOKENIZATION,
        TokenizationServicer,
        tokenization_pb2_grpc.add_TokenizationServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.EmbeddingService": Entry(
        EMBEDDING,
        EmbeddingServicer,
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.ClassificationService": Entry(
        CLASSIFICATION,
        ClassificationServicer,
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.PoolingService": Entry(
        POOLING, PoolingServicer, pooling_pb2_grpc.add_PoolingServiceServicer_to_server
    ),
    "penstock.v1.TranscriptionService": Entry(
        TRANSCRIPTION,
        TranscriptionServicer,
        transcription_pb2_grpc.add_TranscriptionServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.BatchService": Entry(
        None,
        BatchServicer,
        batch_pb2_grpc.add_BatchServiceServicer_to_server,
        has_options=True,
    ),
    "penstock.v1.ModelService": Entry(
        None, ModelServicer, model_pb2_grpc.add_ModelServiceServicer_to_server
    ),
}
"""Every service by its full name."""
