"""Calls for responses through the generated stub, and checks of every stream."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from grpc import aio

from penstock.v1 import message_pb2, response_pb2
from penstock.v1.common_pb2 import JsonDocument, SamplingParams
from penstock.v1.response_pb2_grpc import ResponseServiceStub

from . import response_reader

Event = response_pb2.StreamResponseResponse
Item = response_pb2.ResponseItem

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def asking(text: str, **fields: Any) -> response_pb2.CreateResponseRequest:
    """Returns a request with a predictable answer; `sampling` is added to temperature 0."""
    sampling = SamplingParams(temperature=0)
    if added := fields.pop("sampling", None):
        sampling.MergeFrom(added)
    return response_pb2.CreateResponseRequest(input_text=text, sampling=sampling, **fields)


def tool(name: str) -> message_pb2.Tool:
    """Returns a function with a city as its parameter."""
    parameters = JsonDocument(json=json.dumps(CITY))
    definition = message_pb2.FunctionDefinition(name=name, description="w", parameters=parameters)
    return message_pb2.Tool(function=definition)


def said(role: message_pb2.Role.ValueType, text: str, **fields: Any) -> Item:
    """Returns a message with one text."""
    part = response_pb2.ResponseContentPart(text=text)
    return Item(message=response_pb2.MessageItem(role=role, content=[part]), **fields)


def call(call_id: str, name: str, arguments: str = "{}") -> Item:
    """Returns a call of a function."""
    made = response_pb2.FunctionCallItem(call_id=call_id, name=name, arguments=arguments)
    return Item(function_call=made)


def result(call_id: str, text: str) -> Item:
    """Returns the result of a call."""
    output = [response_pb2.ResponseContentPart(text=text)]
    return Item(
        function_call_output=response_pb2.FunctionCallOutputItem(call_id=call_id, output=output)
    )


class Responses:
    """Responses from one service."""

    def __init__(self, channel: aio.Channel) -> None:
        self.stub = ResponseServiceStub(channel)

    async def whole(
        self, request: response_pb2.CreateResponseRequest
    ) -> response_pb2.ModelResponse:
        """Requests a unary answer, which OpenAI's SDK must be able to read."""
        answer = await self.stub.CreateResponse(request)
        response_reader.check(answer.response)
        return answer.response

    async def stream(self, request: response_pb2.CreateResponseRequest) -> list[Event]:
        """Requests an answer in events, which must be well-formed."""
        events = [event async for event in self.stub.StreamResponse(request)]
        check_order(events)
        response_reader.check_stream(events)
        return events

    async def broken(
        self, request: response_pb2.CreateResponseRequest
    ) -> tuple[list[Event], aio.AioRpcError]:
        """Reads a stream that must fail; returns the messages before the failure, and the error."""
        events: list[Event] = []
        try:
            async for event in self.stub.StreamResponse(request):
                events.append(event)
        except aio.AioRpcError as error:
            return events, error
        raise AssertionError(f"the stream did not fail after {len(events)} events")


def end_of(events: Sequence[Event]) -> response_pb2.ModelResponse:
    """Returns the response in the terminal event."""
    last = events[-1]
    return last.completed if last.HasField("completed") else last.incomplete


def check_order(events: Sequence[Event]) -> list[Item]:
    """Checks the order that StreamResponse promises; returns the sum of the events."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.WhichOneof("event") for event in events[:2]] == ["created", "in_progress"]
    assert events[-1].WhichOneof("event") in ("completed", "incomplete")
    for event in events[:2]:
        whole = getattr(event, str(event.WhichOneof("event")))
        assert whole.status == response_pb2.RESPONSE_STATUS_IN_PROGRESS
        assert whole.id
        assert whole.model
        assert whole.HasField("create_time")
        assert not whole.output
        assert not whole.HasField("usage")
    items = [_Follow() for event in events if event.HasField("output_item_added")]
    opened = 0
    for event in events[2:-1]:
        value = getattr(event, str(event.WhichOneof("event")))
        if event.HasField("output_item_added"):
            assert value.output_index == opened
            opened += 1
        items[value.output_index].take(event, value)
    assert all(item.done for item in items)
    end = end_of(events)
    assert end.HasField("usage")
    assert list(end.output) == [item.done for item in items]
    assert len({item.id for item in end.output}) == len(end.output)
    return list(end.output)


class _Follow:
    """Checks the events of one item."""

    def __init__(self) -> None:
        self.begun: Item | None = None
        self.done: Item | None = None
        self._parts: dict[int, str] = {}
        self._pieces: dict[int, list[str]] = defaultdict(list)
        self._open: int | None = None
        self._texts_done: set[int] = set()

    def take(self, event: Event, value: Any) -> None:
        assert self.done is None
        arm = str(event.WhichOneof("event"))
        if arm == "output_item_added":
            self._begin(value.item)
            return
        assert self.begun
        if arm == "output_item_done":
            self._end(value.item)
            return
        assert value.item_id == self.begun.id
        if arm == "content_part_added":
            assert self._open is None
            assert value.content_index == len(self._parts)
            assert not getattr(value.part, str(value.part.WhichOneof("part")))
            self._open = value.content_index
            self._parts[self._open] = str(value.part.WhichOneof("part"))
        elif arm == "content_part_done":
            assert self._open == value.content_index
            assert self._open in self._texts_done
            kind = self._parts[value.content_index]
            assert getattr(value.part, kind) == self._joined(value.content_index)
            self._open = None
        elif arm.startswith("function_call_arguments"):
            self._arguments(arm, value)
        else:
            self._text(arm, value)

    def _begin(self, item: Item) -> None:
        assert self.begun is None
        assert item.status == response_pb2.RESPONSE_STATUS_IN_PROGRESS
        assert not item.message.content
        assert not item.reasoning.content
        assert not item.function_call.arguments
        self.begun = item

    def _arguments(self, arm: str, value: Any) -> None:
        assert 0 not in self._texts_done
        if arm.endswith("delta"):
            self._pieces[0].append(value.arguments)
        else:
            assert value.arguments == self._joined(0)
            self._texts_done.add(0)

    def _text(self, arm: str, value: Any) -> None:
        kinds = {"output_text": "text", "refusal": "refusal", "reasoning_text": "reasoning"}
        index: int = value.content_index
        assert self._open == index
        assert self._parts[index] == kinds[arm.rpartition("_")[0]]
        assert index not in self._texts_done
        if arm.endswith("delta"):
            self._pieces[index].append(value.text)
        else:
            assert value.text == self._joined(index)
            self._texts_done.add(index)

    def _end(self, item: Item) -> None:
        assert self.begun
        assert self._open is None
        assert (item.id, item.WhichOneof("item")) == (self.begun.id, self.begun.WhichOneof("item"))
        match item.WhichOneof("item"):
            case "function_call":
                assert 0 in self._texts_done
                assert item.function_call.arguments == self._joined(0)
                assert item.function_call.call_id == self.begun.function_call.call_id
            case "message":
                parts = [getattr(one, self._parts[i]) for i, one in enumerate(item.message.content)]
                assert parts == [self._joined(index) for index in self._parts]
            case "reasoning":
                assert list(item.reasoning.content) == [self._joined(0)]
        self.done = item

    def _joined(self, index: int) -> str:
        return "".join(self._pieces[index])
