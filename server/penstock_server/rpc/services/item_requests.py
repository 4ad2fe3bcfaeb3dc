"""Streams of items, each of which is a request of a unary RPC."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from penstock.v1.common_pb2 import EngineOptions
from penstock_server.configuration import Settings
from penstock_server.convert import item_result, joined, vector
from penstock_server.convert.errors import MalformedAnswer
from penstock_server.fleet import Fleet
from penstock_server.rpc import status
from penstock_server.rpc.calls import (
    Context,
    Rpc,
    answers,
    converted,
    ending,
    item_error,
    record_item,
    require_fits,
    run_item,
    upstream_call,
)
from penstock_server.rpc.services.joining import Joiner
from penstock_server.upstream import Call, Operation, UpstreamFailure

JsonObject = dict[str, Any]


def _alone(body: Mapping[str, Any], engine: EngineOptions) -> joined.Part | None:
    return None


@dataclass(frozen=True, slots=True)
class ItemMethod:
    """The unary RPC that answers an item in a call of its own.

    Attributes:
        name: its full name, such as "/penstock.v1.EmbeddingService/CreateEmbeddings".
        operation: the operation upstream.
        body: returns the JSON of a request.
        reply: returns the message for the answer to a request.
        result: the message for the result of an item.
        part: returns the JSON, with the engine options, as a part of a request for several; None if
            it must be sent alone.
        send: sends the JSON upstream, and returns the answer.
    """

    name: str
    operation: Operation
    body: Callable[[Any], JsonObject]
    reply: Callable[[Mapping[str, Any], Any], Any]
    result: type[Any]
    part: Callable[[Mapping[str, Any], EngineOptions], joined.Part | None] = _alone
    send: Callable[[Fleet, Operation, Mapping[str, Any], Call], Awaitable[JsonObject]] = Fleet.call


async def item_results(
    method: ItemMethod,
    fleet: Fleet,
    settings: Settings,
    items: AsyncIterator[Any],
    context: Context,
) -> AsyncGenerator[Any, None]:
    """Yields the results of the items of one call.

    Args:
        method: the RPC that answers an item in a call of its own.
        fleet: the fleet.
        settings: the configuration.
        items: reads the items.
        context: the call.
    """
    rpc, first = Rpc.of(context), await anext(items, None)
    in_order = first is not None and first.in_order
    stream = _Items(method, fleet, settings, rpc, in_order=in_order)
    results = answers(
        rpc, _after(first, items), stream.result, settings.item_concurrency, in_order=in_order
    )
    async with aclosing(results):
        async for result in results:
            yield result


async def _after(first: Any, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    if first is not None:
        yield first
    async for item in items:
        yield item


class _Items:
    """The items of one call."""

    def __init__(
        self, method: ItemMethod, fleet: Fleet, settings: Settings, rpc: Rpc, *, in_order: bool
    ) -> None:
        self._method = method
        self._fleet = fleet
        self._rpc = rpc
        self._in_order = in_order
        self._numbers = count()
        most = min(settings.join_items_up_to, vector.MOST_SHAPED)
        self._joiner = Joiner(most, settings.join_items_within / 1000)

    async def result(self, request: Any) -> Any:
        """Returns the result of an item."""
        number = next(self._numbers)
        item = self._rpc.item(self._method.name, number, shares_place=True)
        one = _Item(request.request)
        try:
            item_result.check(request, in_order=self._in_order)
            answer = await run_item(self._rpc, item, partial(self._answer, one))
            made = item_result.result(
                self._method.result, request.key, number, answer, shares_usage=one.is_joined
            )
            require_fits(item, len(made.SerializeToString()))
        except Exception as error:
            ended = ending(error, item)
            record_item(self._rpc, item, ended)
            return self._method.result(key=request.key, index=number, error=item_error(ended))
        record_item(self._rpc, item)
        return made

    async def _answer(self, one: "_Item", item: Rpc) -> Any:
        """Returns the answer to an item."""
        # Requests of tokenization have no engine options.
        engine = getattr(one.request, "engine", EngineOptions())
        call = upstream_call(item, one.request.model, engine)
        body = await converted(item, self._method.body, one.request)
        part = self._method.part(body, engine)
        if part and self._joiner.fits(part):
            answer = await self._joined(one, item, body, part, call)
        else:
            answer = await self._send(body, call)
        return await converted(item, self._method.reply, answer, one.request)

    async def _joined(
        self, one: "_Item", item: Rpc, body: JsonObject, part: joined.Part, call: Call
    ) -> JsonObject:
        """Sends an item together with others; alone if that fails because of one of them."""
        joint, position = self._joiner.join(part, item.attempts)
        item.attempts = joint.attempts
        if position == 0:
            await joint.send(partial(self._send_joined, body, call))
        try:
            answer = await joint.answer(position)
        except (UpstreamFailure, MalformedAnswer) as error:
            if len(joint.parts) == 1 or not _depends_on_contents(error):
                raise
        else:
            one.is_joined = len(joint.parts) > 1
            return answer
        item.attempts = call.attempts = replace(joint.attempts)
        return await self._send(body, call)

    async def _send_joined(
        self, body: JsonObject, call: Call, parts: Sequence[joined.Part]
    ) -> Sequence[JsonObject]:
        answer = await self._send(joined.joined(body, parts), call)
        return joined.split(answer, parts)

    async def _send(self, body: Mapping[str, Any], call: Call) -> JsonObject:
        return await self._method.send(self._fleet, self._method.operation, body, call)


@dataclass(slots=True)
class _Item:
    """An item that is being answered.

    Attributes:
        request: the request.
        is_joined: whether it was answered together with others.
    """

    request: Any
    is_joined: bool = False


def _depends_on_contents(error: Exception) -> bool:
    """Returns whether each of several items might have had another result alone."""
    return not isinstance(error, UpstreamFailure) or status.depends_on_contents(error)
