"""Reranking: documents ordered by relevance to a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_requests import AsyncKeyed, ItemRequests, Keyed
from penstock._base.item_stream import AsyncItemStream, ItemStream
from penstock._base.json_documents import WithExtra
from penstock._base.option_docs import documented
from penstock._base.options import build
from penstock._base.result import Items, ModelResult
from penstock._base.scoring import Document, Documents, ScoringOptions, as_document, as_documents
from penstock.item_result import ItemResult
from penstock.v1.rerank_pb2 import (
    RerankRequest,
    RerankResponse,
    RerankResult,
    StreamRerankRequest,
)
from penstock.v1.rerank_pb2_grpc import RerankServiceStub

QueryAndDocuments: TypeAlias = tuple[Document, Documents]
"""A query and the documents to be ordered, as `Reranker` accepts them."""


@documented
class RerankOptions(ScoringOptions, total=False):
    """Options of reranking; see `RerankRequest` in `penstock.v1`.

    Attributes:
        top_n: maximum number of results; the best are returned.
        return_documents: whether to return the documents with the results.
    """

    top_n: int | None
    return_documents: bool | None


@dataclass(frozen=True, slots=True)
class RankedDocument(WithExtra):
    """A document and its relevance to the query.

    Attributes:
        proto: the result as received.
    """

    proto: RerankResult

    @property
    def index(self) -> int:
        """Position of the document in the request, from 0."""
        return self.proto.index

    @property
    def score(self) -> float:
        """Relevance to the query; higher is better."""
        return self.proto.relevance_score

    @property
    def text(self) -> str:
        """Text of the document, if it is a text and `return_documents` is set."""
        return self.proto.document.text


class Ranking(ModelResult[RerankResponse], Items[RankedDocument]):
    """Ranked documents, best first."""

    def _items(self) -> Sequence[RankedDocument]:
        return [RankedDocument(one) for one in self.proto.results]


class Reranker(Resource):
    """Orders documents by relevance."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = RerankServiceStub(caller.channel)

    def __call__(
        self, query: Document, documents: Documents, **options: Unpack[RerankOptions]
    ) -> Ranking:
        """Returns documents ordered by relevance to a query, best first.

            >>> ranking = client.rerank("capital of France", ["Berlin", "Paris"], top_n=1)
            >>> len(ranking), ranking[0].index in (0, 1)
            (1, True)

        Args:
            query: a text, or parts of a message.
            documents: one or several documents, in the same forms.
            **options: see `RerankOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = rerank_request(query, documents, **options)
        return self._caller.call(self._stub.Rerank, request, options, Ranking)

    def stream(
        self,
        items: Keyed[QueryAndDocuments],
        *,
        in_order: bool = False,
        **options: Unpack[RerankOptions],
    ) -> ItemStream[ItemResult[Ranking]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> items = {"a": ("capital of France", ["Berlin", "Paris"])}
            >>> with client.rerank.stream(items, top_n=1) as results:
            ...     [(result.key, len(result.answer)) for result in results]
            [('a', 1)]

        Args:
            items: a query and its documents by their keys. An iterator is read in another thread,
                as the service accepts more items.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `RerankOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        method = self._stub.StreamRerank
        return _ITEMS.stream(self._caller, method, items, options, in_order=in_order)


class AsyncReranker(AsyncResource):
    """Asynchronous counterpart of `Reranker`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = RerankServiceStub(caller.channel)

    async def __call__(
        self, query: Document, documents: Documents, **options: Unpack[RerankOptions]
    ) -> Ranking:
        """See `Reranker`."""
        request = rerank_request(query, documents, **options)
        return await self._caller.call(self._stub.Rerank, request, options, Ranking)

    def stream(
        self,
        items: AsyncKeyed[QueryAndDocuments],
        *,
        in_order: bool = False,
        **options: Unpack[RerankOptions],
    ) -> AsyncItemStream[ItemResult[Ranking]]:
        """See `Reranker.stream`; iterate over the result with `async for`, without `await`."""
        method = self._stub.StreamRerank
        return _ITEMS.stream_async(self._caller, method, items, options, in_order=in_order)


def rerank_request(
    query: Document, documents: Documents, **options: Unpack[RerankOptions]
) -> RerankRequest:
    """Returns the request message of a ranking, for batches and the generated stubs.

    >>> rerank_request("capital of France", ["Berlin", "Paris"], top_n=1).top_n
    1

    Raises:
        TypeError: an option does not exist, or a value has the wrong type.
        ValueError: an enum name is unknown, or a number is out of range.
    """
    return build(
        RerankRequest,
        options,
        "options",
        "scoring",
        query=as_document(query),
        documents=as_documents(documents),
    )


def _requests(options: RerankOptions) -> Callable[[QueryAndDocuments], RerankRequest]:
    return lambda item: rerank_request(*item, **options)


_ITEMS = ItemRequests(StreamRerankRequest, _requests, Ranking)
