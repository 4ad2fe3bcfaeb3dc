"""RerankService."""

from typing import Any

from penstock.v1 import rerank_pb2_grpc
from penstock.v1.rerank_pb2 import RerankRequest, RerankResponse, ScoreRequest, ScoreResponse
from penstock_server.convert import rerank, score
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.upstream import RERANK, SCORE


class RerankServicer(rerank_pb2_grpc.RerankServiceServicer):
    """Serves reranking and scoring from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def Rerank(self, request: RerankRequest, context: Any) -> RerankResponse:
        """Orders documents by how well they fit a query."""
        body = await converted(rerank.request_body, request)
        call = upstream_call(request.model, request.engine)
        answer = await self._fleet.call(RERANK, body, call)
        return await converted(rerank.response, answer, request)

    async def Score(self, request: ScoreRequest, context: Any) -> ScoreResponse:
        """Scores pairs of queries and documents."""
        body = await converted(score.request_body, request)
        call = upstream_call(request.model, request.engine)
        answer = await self._fleet.call(SCORE, body, call)
        return await converted(score.response, answer, request)
