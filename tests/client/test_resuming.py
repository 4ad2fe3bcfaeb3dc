"""Streams that continue by themselves: each event once, a limit to attempts, honest errors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from grpc import aio

from penstock import AsyncClient, CallError, Client
from penstock.v1 import response_pb2
from penstock.v1.response_pb2_grpc import (
    ResponseServiceServicer,
    add_ResponseServiceServicer_to_server,
)

Part = tuple[Sequence[int], grpc.StatusCode]

BREAK, OK = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK
LAST = 5


class Script(ResponseServiceServicer):
    """Sends the events and the status of one part of a script for each call.

    Attributes:
        asked: `starting_after` of each call that continues the stream.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = iter(parts)
        self.asked: list[int] = []

    async def StreamResponse(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for message in self._part(context):
            yield message

    async def CreateResponse(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    GetResponse = CancelResponse = CreateResponse

    async def StreamStoredResponse(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert request.response_id == "resp_1"
        self.asked.append(request.starting_after)
        async for message in self._part(context):
            yield message

    async def _part(self, context: Any) -> AsyncIterator[Any]:
        numbers, code = next(self._parts, ((), BREAK))
        for number in numbers:
            yield event(number)
        if code is not OK:
            await context.abort(code, f"part {len(self.asked)}")


def event(number: int) -> response_pb2.StreamResponseResponse:
    made = response_pb2.StreamResponseResponse(sequence_number=number)
    if number == 0:
        made.created.id = "resp_1"
    elif number == LAST:
        made.completed.id = "resp_1"
    else:
        made.output_text_delta.text = str(number)
    return made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock._base.resuming._FIRST_DELAY_S", 0.0)


async def received(parts: Sequence[Part]) -> tuple[list[int], Any, list[int]]:
    """Returns the numbers of the events that each client receives, its error, and what it asked."""
    outcomes = []
    for read in (_read, _read_blocking):
        script, server = Script(parts), aio.server()
        add_ResponseServiceServicer_to_server(script, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        numbers, error = await read(f"127.0.0.1:{port}")
        await server.stop(None)
        outcomes.append((numbers, error and (error.code, error.status.message), script.asked))
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


async def _read(target: str) -> tuple[list[int], CallError | None]:
    numbers: list[int] = []
    async with AsyncClient(target, retries=0) as client:
        try:
            async for one in client.responses.stream("Hi", background=True, resume=True):
                numbers.append(one.proto.sequence_number)
        except CallError as error:
            return numbers, error
    return numbers, None


async def _read_blocking(target: str) -> tuple[list[int], CallError | None]:
    def read() -> tuple[list[int], CallError | None]:
        numbers: list[int] = []
        with Client(target, retries=0) as client:
            try:
                for one in client.responses.stream("Hi", background=True, resume=True):
                    numbers.append(one.proto.sequence_number)
            except CallError as error:
                return numbers, error
        return numbers, None

    return await asyncio.to_thread(read)


async def test_each_event_arrives_once() -> None:
    parts = [((0, 1), BREAK), ((), BREAK), ((1, 2, 3), BREAK), ((4, 5), OK)]
    numbers, error, asked = await received(parts)
    assert (numbers, error) == ([0, 1, 2, 3, 4, 5], None)
    assert asked == [1, 1, 3]


async def test_attempts_without_an_event_are_limited() -> None:
    numbers, error, asked = await received([((0, 1), BREAK)])
    assert numbers == [0, 1]
    assert error == (BREAK, "part 0")
    assert asked == [1] * 5


async def test_an_event_begins_the_count_anew() -> None:
    parts: list[Part] = [((0,), BREAK)]
    for number in range(1, LAST):
        parts += [*[((), BREAK)] * 4, ((number,), BREAK)]
    numbers, error, _ = await received([*parts, ((LAST,), OK)])
    assert (numbers, error) == (list(range(LAST + 1)), None)


@pytest.mark.parametrize(
    "then",
    [((), grpc.StatusCode.NOT_FOUND), ((), grpc.StatusCode.INTERNAL), ((3,), OK)],
    ids=["not found", "another error", "events are missing"],
)
async def test_the_original_error_is_raised_if_it_cannot_be_resumed(then: Part) -> None:
    numbers, error, asked = await received([((0, 1), BREAK), then])
    assert numbers == [0, 1]
    assert error == (BREAK, "part 0")
    assert asked == [1]


@pytest.mark.parametrize(
    "part", [((), BREAK), ((0, 1), grpc.StatusCode.INTERNAL)], ids=["no id", "another error"]
)
async def test_what_is_not_a_break_is_not_resumed(part: Part) -> None:
    numbers, error, asked = await received([part])
    assert numbers == list(part[0])
    assert (error, asked) == ((part[1], "part 0"), [])
