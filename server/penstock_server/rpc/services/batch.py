"""BatchService."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

from penstock.v1 import batch_pb2_grpc
from penstock.v1.batch_pb2 import RunBatchRequest, RunBatchResponse
from penstock_server.configuration import Settings
from penstock_server.convert import batch_item
from penstock_server.convert.errors import InvalidRequest
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import (
    Context,
    Ending,
    Rpc,
    answers,
    ending,
    item_error,
    record_item,
    require_fits,
    run_item,
)
from penstock_server.rpc.services.chat_completion import ChatCompletionServicer
from penstock_server.rpc.services.completion import CompletionServicer
from penstock_server.rpc.services.embedding import EmbeddingServicer
from penstock_server.rpc.services.pace import Pace
from penstock_server.rpc.services.rerank import RerankServicer

_Answer = Callable[[Any, Context], Awaitable[Any]]
_METHODS = {
    "chat_completion": "/penstock.v1.ChatCompletionService/CreateChatCompletion",
    "completion": "/penstock.v1.CompletionService/CreateCompletion",
    "embeddings": "/penstock.v1.EmbeddingService/CreateEmbeddings",
    "rerank": "/penstock.v1.RerankService/Rerank",
}
_PRIORITY = "x-vllm-priority"
# More than the key, the request id and the lengths of a result need.
_ENVELOPE_BYTES = 1024


class BatchServicer(batch_pb2_grpc.BatchServiceServicer):
    """Answers batches from the fleet, each item as the servicer of its own RPC does."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings
        self._answers: Mapping[str, _Answer] = {
            "chat_completion": ChatCompletionServicer(fleet).CreateChatCompletion,
            "completion": CompletionServicer(fleet).CreateCompletion,
            "embeddings": EmbeddingServicer(fleet, settings).CreateEmbeddings,
            "rerank": RerankServicer(fleet, settings).Rerank,
        }

    def RunBatch(
        self, request_iterator: AsyncIterator[RunBatchRequest], context: Context
    ) -> AsyncGenerator[RunBatchResponse, None]:
        """Answers a stream of items."""
        rpc, settings = Rpc.of(context), self._settings()
        batch = _Batch(rpc, self._fleet, self._answers, settings)
        return answers(rpc, request_iterator, batch.result, settings.batch_concurrency)


class _Batch:
    """The items of one call."""

    def __init__(
        self, rpc: Rpc, fleet: Fleet, answers: Mapping[str, _Answer], settings: Settings
    ) -> None:
        self._rpc = rpc
        self._fleet = fleet
        self._answers = answers
        self._settings = settings
        # Metadata applies to all items, and must not contradict them.
        self._priority = 0 if rpc.text(_PRIORITY) else settings.batch_priority
        self._paces: dict[tuple[str, str], Pace] = {}
        self._numbers = count()

    async def result(self, request: RunBatchRequest) -> RunBatchResponse:
        """Returns the result of an item."""
        number = next(self._numbers)
        try:
            member = batch_item.kind(request)
        except InvalidRequest as error:
            item = self._rpc.item(self._rpc.method, number)
            return self._failed(request, item, ending(error, item))
        if self._priority:
            batch_item.set_priority(request, self._priority)
        return await self._answered(request, member, number)

    async def _answered(
        self, request: RunBatchRequest, member: str, number: int
    ) -> RunBatchResponse:
        """Sends an item upstream until it is answered, or fails."""
        content = getattr(request, member)
        pace = self._pace(member, content.model)
        for tries in count(1):
            item = self._rpc.item(_METHODS[member], number)
            async with pace.place() as sent:
                try:
                    answer = await run_item(
                        self._rpc, item, partial(self._answers[member], content)
                    )
                    result = batch_item.result(request, item.request_id, self._written(answer))
                except Exception as error:
                    ended = ending(error, item)
                else:
                    pace.answered()
                    record_item(self._rpc, item)
                    return result
            if not await pace.tries_again(ended.status, sent, tries):
                break
        return self._failed(request, item, ended)

    def _pace(self, member: str, model: str) -> Pace:
        """Returns the pace of the items for one operation and model."""
        # Names that no upstream lists have a pace in common: a caller can invent any number.
        key = member, self._fleet.listed_model(model)
        if key not in self._paces:
            self._paces[key] = Pace(self._settings.batch_concurrency, self._settings.batch_patience)
        return self._paces[key]

    def _written(self, answer: Any) -> bytes:
        written: bytes = answer.SerializeToString()
        require_fits(self._rpc, len(written) + _ENVELOPE_BYTES)
        return written

    def _failed(self, request: RunBatchRequest, item: Rpc, ended: Ending) -> RunBatchResponse:
        record_item(self._rpc, item, ended)
        return RunBatchResponse(
            key=request.key, request_id=item.request_id, error=item_error(ended)
        )
