"""Embedding vectors of texts and media."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_requests import AsyncKeyed, ItemRequests, Keyed
from penstock._base.item_stream import AsyncItemStream, ItemStream
from penstock._base.option_docs import documented
from penstock._base.options import build
from penstock._base.pooling import InputOptions, Inputs, as_inputs
from penstock._base.result import Items, ModelResult
from penstock.item_result import ItemResult
from penstock.v1.embedding_pb2 import (
    CreateEmbeddingsRequest,
    CreateEmbeddingsResponse,
    LateChunkingOptions,
    StreamEmbeddingsRequest,
)
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.vectors import Vector, stacked

if TYPE_CHECKING:
    import numpy


@documented
class EmbeddingOptions(InputOptions, total=False):
    """Options of embeddings; see `CreateEmbeddingsRequest` in `penstock.v1`.

    Attributes:
        dimensions: values per vector, for models that support several sizes.
        dtype: number format, such as "float16"; default: "float32".
        late_chunking: such as `{"chunk_size": 64}`, for models with one vector per token.
    """

    dimensions: int | None
    dtype: str | None
    late_chunking: LateChunkingOptions | Mapping[str, int] | None


class Embeddings(ModelResult[CreateEmbeddingsResponse], Items[Vector]):
    """Vectors, in the order of the inputs."""

    def tolist(self) -> list[list[Any]]:
        """Returns the vectors as lists of numbers.

        >>> [row] = client.embeddings.create("Say hello.").tolist()
        >>> len(row), type(row[0])
        (64, <class 'float'>)
        """
        return [vector.tolist() for vector in self]

    def numpy(self) -> "numpy.ndarray[Any, Any]":
        """Returns the vectors, which must have the same shape, as the rows of a new array.

            >>> client.embeddings.create(["Say hello.", "What is 2+2?"]).numpy().shape
            (2, 64)

        Besides the message and the array, only one vector is in memory at a time.

        Raises:
            ValueError: the vectors have different shapes.
            ModuleNotFoundError: NumPy is not installed.
        """
        return stacked(self)

    def _items(self) -> Sequence[Vector]:
        return self._vectors

    @cached_property
    def _vectors(self) -> list[Vector]:
        return [Vector.of(one, "vector") for one in self.proto.embeddings]


class Embedder(Resource):
    """Embedding vectors of texts and media."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = EmbeddingServiceStub(caller.channel)

    def create(self, inputs: Inputs, **options: Unpack[EmbeddingOptions]) -> Embeddings:
        """Returns one vector for each input.

            >>> vectors = client.embeddings.create(["Say hello.", "What is 2+2?"])
            >>> len(vectors), len(vectors[0])
            (2, 64)

        Args:
            inputs: texts, lists of token ids, or messages.
            **options: see `EmbeddingOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        return self._caller.call(
            self._stub.CreateEmbeddings, embeddings_request(inputs, **options), options, Embeddings
        )

    def stream(
        self, items: Keyed[Inputs], *, in_order: bool = False, **options: Unpack[EmbeddingOptions]
    ) -> ItemStream[ItemResult[Embeddings]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> with client.embeddings.stream({"a": "Say hello.", "b": "What is 2+2?"}) as results:
            ...     sizes = {result.key: len(result.answer[0]) for result in results}
            >>> sizes["a"], sizes["b"]
            (64, 64)

        Args:
            items: inputs by their keys. An iterator is read in another thread, as the service
                accepts more items.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `EmbeddingOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        method = self._stub.StreamEmbeddings
        return _ITEMS.stream(self._caller, method, items, options, in_order=in_order)


class AsyncEmbedder(AsyncResource):
    """Asynchronous counterpart of `Embedder`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = EmbeddingServiceStub(caller.channel)

    async def create(self, inputs: Inputs, **options: Unpack[EmbeddingOptions]) -> Embeddings:
        """See `Embedder.create`."""
        return await self._caller.call(
            self._stub.CreateEmbeddings, embeddings_request(inputs, **options), options, Embeddings
        )

    def stream(
        self,
        items: AsyncKeyed[Inputs],
        *,
        in_order: bool = False,
        **options: Unpack[EmbeddingOptions],
    ) -> AsyncItemStream[ItemResult[Embeddings]]:
        """See `Embedder.stream`; iterate over the result with `async for`, without `await`."""
        method = self._stub.StreamEmbeddings
        return _ITEMS.stream_async(self._caller, method, items, options, in_order=in_order)


def _requests(options: EmbeddingOptions) -> Callable[[Inputs], CreateEmbeddingsRequest]:
    """Returns a function that builds the request of an item from its inputs."""
    common = build(CreateEmbeddingsRequest, options, "options")

    def request(inputs: Inputs) -> CreateEmbeddingsRequest:
        made = CreateEmbeddingsRequest(inputs=as_inputs(inputs))
        made.MergeFrom(common)
        return made

    return request


_ITEMS = ItemRequests(StreamEmbeddingsRequest, _requests, Embeddings)


def embeddings_request(
    inputs: Inputs, **options: Unpack[EmbeddingOptions]
) -> CreateEmbeddingsRequest:
    """Returns the request message of embeddings, for batches and the generated stubs.

    >>> len(embeddings_request(["Say hello.", "What is 2+2?"]).inputs)
    2

    Raises:
        TypeError: an option does not exist, or a value has the wrong type.
        ValueError: an enum name is unknown, or a number is out of range.
    """
    return build(CreateEmbeddingsRequest, options, "options", inputs=as_inputs(inputs))
