"""EmbeddingService."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from penstock.v1 import embedding_pb2_grpc
from penstock.v1.embedding_pb2 import (
    CreateEmbeddingsRequest,
    CreateEmbeddingsResponse,
    StreamEmbeddingsRequest,
    StreamEmbeddingsResponse,
)
from penstock_server.configuration import Settings
from penstock_server.convert import embedding, joined
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, copied, upstream_call
from penstock_server.rpc.services.item_requests import ItemMethod, item_results
from penstock_server.rpc.services.vectors import call_for_vectors
from penstock_server.upstream import EMBEDDING


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Serves embeddings from the fleet."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings

    async def CreateEmbeddings(
        self, request: CreateEmbeddingsRequest, context: Context
    ) -> CreateEmbeddingsResponse:
        """Computes a vector for each input."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, embedding.request_body, request)
        answer = await call_for_vectors(self._fleet, EMBEDDING, body, call)
        plain = await copied(rpc, embedding.with_plain_vectors, answer, request)
        if plain is not None:
            return plain
        return await converted(rpc, embedding.response, answer, request)

    def StreamEmbeddings(
        self, request_iterator: AsyncIterator[StreamEmbeddingsRequest], context: Context
    ) -> AsyncGenerator[StreamEmbeddingsResponse, None]:
        """Computes the vectors of a stream of items."""
        return item_results(_ITEMS, self._fleet, self._settings(), request_iterator, context)


_ITEMS = ItemMethod(
    "/penstock.v1.EmbeddingService/CreateEmbeddings",
    EMBEDDING,
    embedding.request_body,
    embedding.reply,
    StreamEmbeddingsResponse,
    part=joined.inputs,
    send=call_for_vectors,
)
