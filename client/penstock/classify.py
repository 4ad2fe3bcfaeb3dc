"""Classification of texts and media."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_requests import AsyncKeyed, ItemRequests, Keyed
from penstock._base.item_stream import AsyncItemStream, ItemStream
from penstock._base.json_documents import WithExtra
from penstock._base.options import build
from penstock._base.pooling import InputOptions, Inputs, as_inputs
from penstock._base.result import Items, ModelResult
from penstock.item_result import ItemResult
from penstock.v1.classification_pb2 import Classification as ClassificationProto
from penstock.v1.classification_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    StreamClassifyRequest,
)
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub


@dataclass(frozen=True, slots=True)
class Classification(WithExtra):
    """The class of one input.

    Attributes:
        proto: the result as received.
    """

    proto: ClassificationProto

    @property
    def label(self) -> str:
        """Name of the most likely class; empty if the model does not name its classes."""
        return self.proto.label

    @property
    def probs(self) -> Sequence[float]:
        """Probability of each class."""
        return self.proto.probs


class Classifications(ModelResult[ClassifyResponse], Items[Classification]):
    """Classification results, in the order of the inputs."""

    def _items(self) -> Sequence[Classification]:
        return [Classification(one) for one in self.proto.results]


class Classifier(Resource):
    """Classifies inputs."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ClassificationServiceStub(caller.channel)

    def __call__(self, inputs: Inputs, **options: Unpack[InputOptions]) -> Classifications:
        """Classifies each input.

            >>> [one] = client.classify("What a day!")
            >>> round(sum(one.probs), 3)
            1.0

        Args:
            inputs: texts, lists of token ids, or messages.
            **options: see `InputOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(inputs, options)
        return self._caller.call(self._stub.Classify, request, options, Classifications)

    def stream(
        self, items: Keyed[Inputs], *, in_order: bool = False, **options: Unpack[InputOptions]
    ) -> ItemStream[ItemResult[Classifications]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> with client.classify.stream({"a": "What a day!"}) as results:
            ...     [(result.key, len(result.answer)) for result in results]
            [('a', 1)]

        Args:
            items: inputs by their keys. An iterator is read in another thread, as
                the service accepts more items.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `InputOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        method = self._stub.StreamClassify
        return _ITEMS.stream(self._caller, method, items, options, in_order=in_order)


class AsyncClassifier(AsyncResource):
    """Asynchronous counterpart of `Classifier`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ClassificationServiceStub(caller.channel)

    async def __call__(self, inputs: Inputs, **options: Unpack[InputOptions]) -> Classifications:
        """See `Classifier`."""
        request = _request(inputs, options)
        return await self._caller.call(self._stub.Classify, request, options, Classifications)

    def stream(
        self, items: AsyncKeyed[Inputs], *, in_order: bool = False, **options: Unpack[InputOptions]
    ) -> AsyncItemStream[ItemResult[Classifications]]:
        """See `Classifier.stream`; iterate over the result with `async for`, without `await`."""
        method = self._stub.StreamClassify
        return _ITEMS.stream_async(self._caller, method, items, options, in_order=in_order)


def _request(inputs: Inputs, options: InputOptions) -> ClassifyRequest:
    return build(ClassifyRequest, options, "options", inputs=as_inputs(inputs))


def _requests(options: InputOptions) -> Callable[[Inputs], ClassifyRequest]:
    return partial(_request, options=options)


_ITEMS = ItemRequests(StreamClassifyRequest, _requests, Classifications)
