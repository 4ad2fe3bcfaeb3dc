"""The gRPC server: its options, its services, its handlers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1 import (
    chat_completion_pb2_grpc,
    classification_pb2_grpc,
    completion_pb2_grpc,
    embedding_pb2_grpc,
    model_pb2_grpc,
    pooling_pb2_grpc,
    rerank_pb2_grpc,
    response_pb2_grpc,
    tokenization_pb2_grpc,
    transcription_pb2_grpc,
)
from penstock_server.fleet import Fleet
from penstock_server.rpc.arrival import Arrivals
from penstock_server.rpc.chat_completion import ChatCompletionServicer
from penstock_server.rpc.classification import ClassificationServicer
from penstock_server.rpc.completion import CompletionServicer
from penstock_server.rpc.connections import ConnectionLimits
from penstock_server.rpc.embedding import EmbeddingServicer
from penstock_server.rpc.health import HealthServicer
from penstock_server.rpc.interceptors import Around, Interceptors
from penstock_server.rpc.model import ModelServicer
from penstock_server.rpc.pooling import PoolingServicer
from penstock_server.rpc.reflection import add_reflection
from penstock_server.rpc.rerank import RerankServicer
from penstock_server.rpc.response import ResponseServicer
from penstock_server.rpc.services import unregistered
from penstock_server.rpc.tokenization import TokenizationServicer
from penstock_server.rpc.transcription import TranscriptionServicer
from penstock_server.rpc.unsupported import UnsupportedMethods
from penstock_server.rpc.watches import Watches
from penstock_server.upstream import (
    CHAT_COMPLETION,
    CLASSIFICATION,
    COMPLETION,
    EMBEDDING,
    POOLING,
    RERANK,
    RESPONSE,
    TOKENIZATION,
    TRANSCRIPTION,
    Operation,
)

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


@dataclass(frozen=True, slots=True)
class Entry:
    """One of our services.

    Attributes:
        operation: the upstream operation without which the service cannot serve; None for one
            that needs no particular operation.
        servicer: makes the servicer for a fleet.
        add: registers a servicer with a server.
    """

    operation: Operation | None
    servicer: Callable[[Fleet], Any]
    add: Callable[[Any, aio.Server], None]


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
    "penstock.v1.RerankService": Entry(
        RERANK, RerankServicer, rerank_pb2_grpc.add_RerankServiceServicer_to_server
    ),
    "penstock.v1.TokenizationService": Entry(
        TOKENIZATION,
        TokenizationServicer,
        tokenization_pb2_grpc.add_TokenizationServiceServicer_to_server,
    ),
    "penstock.v1.EmbeddingService": Entry(
        EMBEDDING,
        EmbeddingServicer,
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server,
    ),
    "penstock.v1.ClassificationService": Entry(
        CLASSIFICATION,
        ClassificationServicer,
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server,
    ),
    "penstock.v1.PoolingService": Entry(
        POOLING, PoolingServicer, pooling_pb2_grpc.add_PoolingServiceServicer_to_server
    ),
    "penstock.v1.TranscriptionService": Entry(
        TRANSCRIPTION,
        TranscriptionServicer,
        transcription_pb2_grpc.add_TranscriptionServiceServicer_to_server,
    ),
    "penstock.v1.ModelService": Entry(
        None, ModelServicer, model_pb2_grpc.add_ModelServiceServicer_to_server
    ),
}
"""Every service of ours by its full name."""


def options(limits: ConnectionLimits, *, share_ports: bool = False) -> list[tuple[str, int]]:
    """Returns the channel options of a server."""
    # Else a second server on a taken port would share it silently.
    return [("grpc.so_reuseport", int(share_ports)), *limits.options()]


def build_server(
    fleet: Fleet,
    health: HealthServicer,
    concerns: Sequence[Around],
    arrivals: Arrivals,
    watches: Watches,
    *,
    limits: ConnectionLimits,
    max_request_entries: int,
    reflection: bool,
    share_ports: bool = False,
) -> aio.Server:
    """Returns a server with every service, not yet bound to an address.

    The concerns stand around every RPC of our own services, the first outermost, and the watches
    around those of health and reflection. Ports are shared with other processes that mean to.
    """
    server = aio.server(
        interceptors=(
            Interceptors(
                concerns,
                arrivals,
                max_message_bytes=limits.max_message_bytes,
                max_metadata_bytes=limits.max_metadata_bytes,
                max_request_entries=max_request_entries,
            ),
            watches,
        ),
        options=options(limits, share_ports=share_ports),
    )
    services = unregistered(server)
    for entry in SERVICES.values():
        entry.add(entry.servicer(fleet), services)
    health_pb2_grpc.add_HealthServicer_to_server(health, services)
    if reflection:
        add_reflection(server, (*SERVICES, HEALTH))
    server.add_generic_rpc_handlers((UnsupportedMethods(tuple(SERVICES)),))
    return server
