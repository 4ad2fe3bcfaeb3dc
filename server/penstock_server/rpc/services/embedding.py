"""EmbeddingService."""

from typing import Any

from penstock.v1 import embedding_pb2_grpc
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest, CreateEmbeddingsResponse
from penstock_server.convert import embedding
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.rpc.services.vectors import call_for_vectors
from penstock_server.upstream import EMBEDDING


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Serves embeddings from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def CreateEmbeddings(
        self, request: CreateEmbeddingsRequest, context: Any
    ) -> CreateEmbeddingsResponse:
        """Makes a vector for each input."""
        body = await converted(embedding.request_body, request)
        call = upstream_call(request.model, request.engine)
        answer = await call_for_vectors(self._fleet, EMBEDDING, body, call)
        return await converted(embedding.response, answer, request)
