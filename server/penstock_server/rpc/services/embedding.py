"""EmbeddingService."""

from penstock.v1 import embedding_pb2_grpc
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest, CreateEmbeddingsResponse
from penstock_server.convert import embedding
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.rpc.services.vectors import call_for_vectors
from penstock_server.upstream import EMBEDDING


class EmbeddingServicer(embedding_pb2_grpc.EmbeddingServiceServicer):
    """Serves embeddings from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def CreateEmbeddings(
        self, request: CreateEmbeddingsRequest, context: Context
    ) -> CreateEmbeddingsResponse:
        """Computes a vector for each input."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, embedding.request_body, request)
        answer = await call_for_vectors(self._fleet, EMBEDDING, body, call)
        return await converted(rpc, embedding.reply, answer, request)
