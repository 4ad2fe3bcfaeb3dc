"""Streams of items, each of which is a request of a unary RPC."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from penstock._base.caller import AsyncCaller, Caller, Options
from penstock._base.item_stream import AsyncItemStream, ItemStream, pairs
from penstock.item_result import ItemResult

V = TypeVar("V")
A = TypeVar("A")

Keyed: TypeAlias = Mapping[str, V] | Iterable[tuple[str, V]]
"""Items by their keys, all at once or one after the other."""

AsyncKeyed: TypeAlias = Keyed[V] | AsyncIterable[tuple[str, V]]
"""Items by their keys, all at once or one after the other."""


@dataclass(frozen=True, slots=True)
class ItemRequests(Generic[V, A]):
    """The items of one streaming RPC.

    Attributes:
        item: message for an item.
        requests: returns, for the options of a stream, a function that builds the request of an
            item.
        answer: builds the answer to an item from its response.
    """

    item: Callable[..., Any]
    requests: Callable[[Any], Callable[[V], Any]]
    answer: Callable[[Any], A]

    def stream(
        self, caller: Caller, method: Any, items: Keyed[V], options: Options, *, in_order: bool
    ) -> ItemStream[ItemResult[A]]:
        """Starts a stream."""
        made = self._made(options, in_order=in_order)
        every = items.items() if isinstance(items, Mapping) else items
        sent = (made(key, value) for key, value in every)
        return ItemStream(caller, method, options, self._result, sent)

    def stream_async(
        self,
        caller: AsyncCaller,
        method: Any,
        items: AsyncKeyed[V],
        options: Options,
        *,
        in_order: bool,
    ) -> AsyncItemStream[ItemResult[A]]:
        """See `stream`."""
        made = self._made(options, in_order=in_order)
        sent = (made(key, value) async for key, value in pairs(items))
        return AsyncItemStream(caller, method, options, self._result, sent)

    def _made(self, options: Options, *, in_order: bool) -> Callable[[str, V], Any]:
        request = self.requests(options)
        return lambda key, value: self.item(key=key, request=request(value), in_order=in_order)

    def _result(self, result: Any) -> ItemResult[A]:
        return ItemResult(result, self.answer)
