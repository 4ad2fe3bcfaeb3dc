"""RerankService."""

from penstock.v1 import rerank_pb2_grpc
from penstock.v1.rerank_pb2 import RerankRequest, RerankResponse, ScoreRequest, ScoreResponse
from penstock_server.convert import rerank, score
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import RERANK, SCORE


class RerankServicer(rerank_pb2_grpc.RerankServiceServicer):
    """Serves reranking and scoring from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def Rerank(self, request: RerankRequest, context: Context) -> RerankResponse:
        """Orders documents by their relevance to a query."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, rerank.request_body, request)
        answer = await self._fleet.call(RERANK, body, call)
        return await converted(rpc, rerank.response, answer, request)

    async def Score(self, request: ScoreRequest, context: Context) -> ScoreResponse:
        """Scores pairs of queries and documents."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, score.request_body, request)
        answer = await self._fleet.call(SCORE, body, call)
        return await converted(rpc, score.response, answer, request)
