"""Embedding vectors of texts and media."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_stream import AsyncItemStream, ItemStream, pairs
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
    StreamEmbeddingsResponse,
)
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.vectors import Vector, stacked

if TYPE_CHECKING:
    import numpy

KeyedInputs: TypeAlias = Mapping[str, Inputs] | Iterable[tuple[str, Inputs]]
"""Inputs by their keys, all at once or one after the other."""

AsyncKeyedInputs: TypeAlias = KeyedInputs | AsyncIterable[tuple[str, Inputs]]
"""Inputs by their keys, all at once or one after the other."""


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
        self, items: KeyedInputs, *, in_order: bool = False, **options: Unpack[EmbeddingOptions]
    ) -> ItemStream[ItemResult[Embeddings]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> with client.embeddings.stream({"a": "Say hello.", "b": "What is 2+2?"}) as results:
            ...     sizes = {result.key: len(result.answer[0]) for result in results}
            >>> sizes["a"], sizes["b"]
            (64, 64)

        Args:
            items: inputs by their keys. An iterator is read as the service accepts more items, in
                another thread.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `EmbeddingOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        made = _items(options, in_order=in_order)
        every = items.items() if isinstance(items, Mapping) else items
        requests = (made(key, inputs) for key, inputs in every)
        method = self._stub.StreamEmbeddings
        return ItemStream(self._caller, method, options, _item_result, requests)


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
        items: AsyncKeyedInputs,
        *,
        in_order: bool = False,
        **options: Unpack[EmbeddingOptions],
    ) -> AsyncItemStream[ItemResult[Embeddings]]:
        """See `Embedder.stream`; iterate over the result with `async for`, without `await`."""
        made = _items(options, in_order=in_order)
        requests = (made(key, inputs) async for key, inputs in pairs(items))
        method = self._stub.StreamEmbeddings
        return AsyncItemStream(self._caller, method, options, _item_result, requests)


def _items(
    options: EmbeddingOptions, *, in_order: bool
) -> Callable[[str, Inputs], StreamEmbeddingsRequest]:
    """Returns a function that builds the message of an item from its key and its inputs."""
    common = build(CreateEmbeddingsRequest, options, "options")

    def item(key: str, inputs: Inputs) -> StreamEmbeddingsRequest:
        made = StreamEmbeddingsRequest(key=key, request=common, in_order=in_order)
        made.request.inputs.extend(as_inputs(inputs))
        return made

    return item


def _item_result(result: StreamEmbeddingsResponse) -> ItemResult[Embeddings]:
    return ItemResult(result, Embeddings)


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
