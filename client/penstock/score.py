"""Relevance scores of pairs of queries and documents."""

from collections.abc import Sequence
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.options import build
from penstock._base.result import Items, ModelResult
from penstock._base.scoring import Documents, ScoringOptions, as_documents
from penstock.v1.rerank_pb2 import ScoreRequest, ScoreResponse
from penstock.v1.rerank_pb2_grpc import RerankServiceStub


class Scores(ModelResult[ScoreResponse], Items[float]):
    """Scores in the order of the documents; higher is better."""

    def _items(self) -> Sequence[float]:
        return [one.score for one in self.proto.results]


class Scorer(Resource):
    """Scores pairs of queries and documents."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = RerankServiceStub(caller.channel)

    def __call__(
        self,
        queries: Documents,
        documents: Documents,
        **options: Unpack[ScoringOptions],
    ) -> Scores:
        """Returns the relevance of documents to queries, in the order of the request.

            >>> len(client.score("capital of France", ["Berlin", "Paris"]))
            2

        Args:
            queries: one query for all documents, or one per document.
            documents: texts, or parts of messages.
            **options: see `ScoringOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(queries, documents, options)
        return self._caller.call(self._stub.Score, request, options, Scores)


class AsyncScorer(AsyncResource):
    """Asynchronous counterpart of `Scorer`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = RerankServiceStub(caller.channel)

    async def __call__(
        self,
        queries: Documents,
        documents: Documents,
        **options: Unpack[ScoringOptions],
    ) -> Scores:
        """See `Scorer`."""
        request = _request(queries, documents, options)
        return await self._caller.call(self._stub.Score, request, options, Scores)


def _request(queries: Documents, documents: Documents, options: ScoringOptions) -> ScoreRequest:
    return build(
        ScoreRequest,
        options,
        "options",
        "scoring",
        queries=as_documents(queries),
        documents=as_documents(documents),
    )
