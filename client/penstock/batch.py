"""Batches: many independent requests in one call."""

from collections.abc import AsyncIterable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, Unpack

from penstock import errors
from penstock._base.call_info import CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_stream import AsyncItemStream, ItemStream, pairs
from penstock._base.options import CallOptions
from penstock.chat_answer import ChatCompletion
from penstock.completions import Completion
from penstock.embeddings import Embeddings
from penstock.rerank import Ranking
from penstock.v1.batch_pb2 import RunBatchRequest, RunBatchResponse
from penstock.v1.batch_pb2_grpc import BatchServiceStub
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.completion_pb2 import CreateCompletionRequest
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.rerank_pb2 import RerankRequest

BatchRequest: TypeAlias = (
    CreateChatCompletionRequest | CreateCompletionRequest | CreateEmbeddingsRequest | RerankRequest
)
"""A request, as `chat_request`, `completion_request`, `embeddings_request` and `rerank_request`
return it."""

BatchAnswer: TypeAlias = ChatCompletion | Completion | Embeddings | Ranking
"""The answer to a request, as the method of its resource returns it."""

BatchItems: TypeAlias = Mapping[str, BatchRequest] | Iterable[tuple[str, BatchRequest]]
"""Requests by their keys, all at once or one after the other."""

AsyncBatchItems: TypeAlias = BatchItems | AsyncIterable[tuple[str, BatchRequest]]
"""Requests by their keys, all at once or one after the other."""

_MEMBERS: Mapping[type[Any], str] = {
    CreateChatCompletionRequest: "chat_completion",
    CreateCompletionRequest: "completion",
    CreateEmbeddingsRequest: "embeddings",
    RerankRequest: "rerank",
}
_ANSWERS: Mapping[str, type[Any]] = {
    "chat_completion": ChatCompletion,
    "completion": Completion,
    "embeddings": Embeddings,
    "rerank": Ranking,
}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one item of a batch.

    Attributes:
        proto: the result as received.
    """

    proto: RunBatchResponse

    @property
    def key(self) -> str:
        """Key of the item."""
        return self.proto.key

    @property
    def request_id(self) -> str:
        """Identifies the item's requests in the logs of upstreams."""
        return self.proto.request_id

    @property
    def error(self) -> errors.CallError | None:
        """The error that a call of the item's own would have raised; None if it succeeded."""
        if not self.proto.HasField("error"):
            return None
        return errors.from_item(self.proto.error, self.request_id)

    @property
    def answer(self) -> BatchAnswer:
        """The answer, as a call of the item's own returns it.

        Raises:
            CallError: the item failed.
        """
        if error := self.error:
            raise error
        member = self.proto.WhichOneof("result")
        if member is None:
            raise ValueError(
                "the result is of a kind that this version of the client does not know"
            )
        made: BatchAnswer = _ANSWERS[member](
            getattr(self.proto, member), CallInfo(request_id=self.request_id)
        )
        return made


class Batch(Resource):
    """Many independent requests in one call."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = BatchServiceStub(caller.channel)

    def run(
        self,
        items: BatchItems,
        done: Container[str] = (),
        **options: Unpack[CallOptions],
    ) -> ItemStream[BatchResult]:
        """Starts a batch; its results arrive as they are ready, in any order.

            >>> questions = {"a": chat_request("Say hello."), "b": chat_request("What is 2+2?")}
            >>> with client.batch.run(questions) as results:
            ...     answers = {result.key: result.answer.text for result in results}
            >>> answers["a"], answers["b"]
            ('Hello! How can I help you today?', '2+2 equals 4.')

        Args:
            items: requests by their keys. An iterator is read as the service accepts more items,
                in another thread.
            done: keys to skip, such as those of results that an earlier call has returned.
            **options: see `CallOptions`. The timeout is that of all items together; default: none.
        """
        every = items.items() if isinstance(items, Mapping) else items
        requests = (_request(key, one) for key, one in every if key not in done)
        return ItemStream(self._caller, self._stub.RunBatch, options, BatchResult, requests)


class AsyncBatch(AsyncResource):
    """Asynchronous counterpart of `Batch`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = BatchServiceStub(caller.channel)

    def run(
        self,
        items: AsyncBatchItems,
        done: Container[str] = (),
        **options: Unpack[CallOptions],
    ) -> AsyncItemStream[BatchResult]:
        """See `Batch.run`; iterate over the result with `async for`, without `await`."""
        requests = (_request(key, one) async for key, one in pairs(items) if key not in done)
        return AsyncItemStream(self._caller, self._stub.RunBatch, options, BatchResult, requests)


def _request(key: str, request: BatchRequest) -> RunBatchRequest:
    """Returns the message of an item.

    Raises:
        TypeError: batches have no such requests.
    """
    if (member := _MEMBERS.get(type(request))) is None:
        raise TypeError(f"{type(request).__name__} is not a valid request of a batch")
    made: Any = {"key": key, member: request}
    return RunBatchRequest(**made)
