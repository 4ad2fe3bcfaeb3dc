"""Relevance scores of pairs of queries and documents."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_requests import AsyncKeyed, ItemRequests, Keyed
from penstock._base.item_stream import AsyncItemStream, ItemStream
from penstock._base.options import build
from penstock._base.result import Items, ModelResult
from penstock._base.scoring import Documents, ScoringOptions, as_documents
from penstock.item_result import ItemResult
from penstock.v1.rerank_pb2 import ScoreRequest, ScoreResponse, StreamScoreRequest
from penstock.v1.rerank_pb2_grpc import RerankServiceStub

Pairs: TypeAlias = tuple[Documents, Documents]
"""Queries and documents, as `Scorer` accepts them."""


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

    def stream(
        self, items: Keyed[Pairs], *, in_order: bool = False, **options: Unpack[ScoringOptions]
    ) -> ItemStream[ItemResult[Scores]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> with client.score.stream({"a": ("capital of France", "Paris")}) as results:
            ...     [(result.key, len(result.answer)) for result in results]
            [('a', 1)]

        Args:
            items: queries and documents by their keys. An iterator is read in another thread, as
                the service accepts more items.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `ScoringOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        method = self._stub.StreamScore
        return _ITEMS.stream(self._caller, method, items, options, in_order=in_order)


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

    def stream(
        self, items: AsyncKeyed[Pairs], *, in_order: bool = False, **options: Unpack[ScoringOptions]
    ) -> AsyncItemStream[ItemResult[Scores]]:
        """See `Scorer.stream`; iterate over the result with `async for`, without `await`."""
        method = self._stub.StreamScore
        return _ITEMS.stream_async(self._caller, method, items, options, in_order=in_order)


def _request(queries: Documents, documents: Documents, options: ScoringOptions) -> ScoreRequest:
    return build(
        ScoreRequest,
        options,
        "options",
        "scoring",
        queries=as_documents(queries),
        documents=as_documents(documents),
    )


def _requests(options: ScoringOptions) -> Callable[[Pairs], ScoreRequest]:
    return lambda pairs: _request(*pairs, options)


_ITEMS = ItemRequests(StreamScoreRequest, _requests, Scores)
