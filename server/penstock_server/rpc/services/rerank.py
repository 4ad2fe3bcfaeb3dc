"""RerankService."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from penstock.v1 import rerank_pb2_grpc
from penstock.v1.rerank_pb2 import (
    RerankRequest,
    RerankResponse,
    ScoreRequest,
    ScoreResponse,
    StreamRerankRequest,
    StreamRerankResponse,
    StreamScoreRequest,
    StreamScoreResponse,
)
from penstock_server.configuration import Settings
from penstock_server.convert import joined, rerank, score
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.rpc.services.item_requests import ItemMethod, item_results
from penstock_server.upstream import RERANK, SCORE


class RerankServicer(rerank_pb2_grpc.RerankServiceServicer):
    """Serves reranking and scoring from the fleet."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings

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

    def StreamRerank(
        self, request_iterator: AsyncIterator[StreamRerankRequest], context: Context
    ) -> AsyncGenerator[StreamRerankResponse, None]:
        """Orders the documents of each item of a stream."""
        return item_results(_RANKINGS, self._fleet, self._settings(), request_iterator, context)

    def StreamScore(
        self, request_iterator: AsyncIterator[StreamScoreRequest], context: Context
    ) -> AsyncGenerator[StreamScoreResponse, None]:
        """Scores the pairs of a stream of items."""
        return item_results(_SCORES, self._fleet, self._settings(), request_iterator, context)


_RANKINGS = ItemMethod(
    "/penstock.v1.RerankService/Rerank",
    RERANK,
    rerank.request_body,
    rerank.response,
    StreamRerankResponse,
)
_SCORES = ItemMethod(
    "/penstock.v1.RerankService/Score",
    SCORE,
    score.request_body,
    score.response,
    StreamScoreResponse,
    part=joined.pairs,
)
