"""Hedging: calls whose first byte is late are sent to a second replica."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any

import orjson
import pytest
from upstream.wire import http, read_request, served, stream

from penstock_server.fleet import Fleet, Policy
from penstock_server.rpc.status import resendable
from penstock_server.upstream import Body
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import (
    CHAT_COMPLETION,
    TRANSCRIPTION,
    Operation,
)

from .clock import Clock

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}]}
STORED = Operation("something that is kept", "/v1/keep", repeatable=False)
BOUND_S = 60


def answer(text: str) -> bytes:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return http(orjson.dumps({"id": "i", "choices": [choice]}))


def events(text: str) -> bytes:
    delta = {"index": 0, "delta": {"content": text}}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    sent: tuple[dict[str, Any], ...] = (
        {"choices": [delta]},
        {"choices": [end]},
        {"choices": [], "usage": {}},
    )
    return stream(*(orjson.dumps(one).decode() for one in sent), "[DONE]")


class Gate:
    """An upstream that answers a request when a test allows it.

    Attributes:
        name: its name.
        requests: number of requests.
        came: set when a request has arrived.
        left: set when the client has abandoned a request.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = 0
        self.came = asyncio.Event()
        self.left = asyncio.Event()
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def open(self, given: bytes) -> None:
        self._answer.set_result(given)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await read_request(reader)
            self.requests += 1
            self.came.set()
            gone = asyncio.ensure_future(reader.read())
            await asyncio.wait((gone, self._answer), return_when=asyncio.FIRST_COMPLETED)
            if self._answer.done():
                writer.write(self._answer.result())
                await writer.drain()
            await gone
            self.left.set()
        writer.close()


class Late:
    """A sleep that ends when a test allows it.

    Attributes:
        waited: requested durations.
        over: ends all sleeps.
    """

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)
        await self.over.wait()


class Hedging:
    """A hedging fleet in front of gates.

    Attributes:
        fleet: the fleet.
        late: makes the running call late.
        call: the running call.
    """

    def __init__(self, fleet: Fleet, gates: Sequence[Gate], late: Late) -> None:
        self.fleet = fleet
        self.late = late
        self.call = Call("id")
        self._gates = gates

    async def asked(self, *besides: Gate) -> Gate:
        """Returns the gate that has received a request, apart from those already known."""
        waiting = {
            asyncio.ensure_future(gate.came.wait()): gate
            for gate in self._gates
            if gate not in besides
        }
        done, pending = await asyncio.wait(
            waiting, timeout=BOUND_S, return_when=asyncio.FIRST_COMPLETED
        )
        for one in pending:
            one.cancel()
        [first] = done
        return waiting[first]

    def ask(self, operation: Operation = CHAT_COMPLETION, body: Body = HELLO) -> Any:
        self.call = Call("id")
        return asyncio.ensure_future(self.fleet.call(operation, body, self.call))

    async def stream(self) -> list[Any]:
        self.call = Call("id")
        body = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
        contract = ChoiceStream(choices=1)
        async with self.fleet.stream(CHAT_COMPLETION, body, self.call, contract) as streamed:
            return [event async for event in streamed]

    @property
    def requests(self) -> list[int]:
        return sorted(gate.requests for gate in self._gates)


@asynccontextmanager
async def hedging(count: int = 2, **policy: Any) -> AsyncIterator[Hedging]:
    late, clock = Late(), Clock()
    gates = [Gate(f"gate-{number}") for number in range(count)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(served(gate.serve)) for gate in gates]
        fleet = Fleet(
            [UpstreamConfig(url, name=gate.name) for url, gate in zip(urls, gates, strict=True)],
            Policy(**({"hedge_after": 0.7, "slow_start": 0} | policy)),
            resendable=resendable,
            clock=clock,
            sleep=late,
            chance=Random(1),
        )
        stack.callback(fleet.close)
        async with asyncio.timeout(BOUND_S):
            yield Hedging(fleet, gates, late)


async def test_a_late_call_is_sent_to_another_replica() -> None:
    async with hedging() as it:
        calling = it.ask()
        first = await it.asked()
        assert it.late.waited == [0.7]
        it.late.over.set()
        second = await it.asked(first)
        second.open(answer("second"))
        assert (await calling)["choices"][0]["message"]["content"] == "second"
        await first.left.wait()
        attempts = it.call.attempts
        assert (attempts.count, attempts.upstream, attempts.status) == (2, second.name, 200)


async def test_the_first_replicas_answer_counts_if_it_arrives_first() -> None:
    async with hedging() as it:
        calling = it.ask()
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        first.open(answer("first"))
        assert (await calling)["choices"][0]["message"]["content"] == "first"
        await second.left.wait()
        assert (it.call.attempts.count, it.call.attempts.upstream) == (2, first.name)


async def test_a_call_in_time_is_sent_once() -> None:
    async with hedging() as it:
        calling = it.ask()
        (await it.asked()).open(answer("first"))
        await calling
        assert (it.requests, it.call.attempts.count) == ([0, 1], 1)


async def test_streams() -> None:
    async with hedging() as it:
        calling = asyncio.ensure_future(it.stream())
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        second.open(events("second"))
        events_read = await calling
        assert events_read[0]["choices"][0]["delta"]["content"] == "second"
        assert len(events_read) == 3
        await first.left.wait()
        assert (it.call.attempts.count, it.call.attempts.upstream) == (2, second.name)
        assert it.call.attempts.offset  # follows the stream


async def test_a_call_is_hedged_once() -> None:
    async with hedging(3, max_attempts=9) as it:
        calling = it.ask()
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        second.open(answer("second"))
        await calling
        assert it.requests == [0, 1, 1]


async def test_the_second_answer_counts_if_the_first_request_fails() -> None:
    async with hedging() as it:
        calling = it.ask()
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        first.open(http(b"", status="503 Busy"))
        second.open(answer("second"))
        assert (await calling)["choices"][0]["message"]["content"] == "second"


async def test_both_fail() -> None:
    async with hedging(max_attempts=2) as it:
        calling = it.ask()
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        second.open(http(b"", "connection: close", status="500 Oops"))
        await second.left.wait()
        assert not calling.done()
        first.open(http(b"", "connection: close", status="501 None"))
        with pytest.raises(UpstreamFailure) as raised:
            await calling
        assert raised.value.status == 501
        assert it.requests == [1, 1]


async def test_a_caller_that_leaves_ends_both() -> None:
    async with hedging() as it:
        calling = it.ask()
        first = await it.asked()
        it.late.over.set()
        second = await it.asked(first)
        calling.cancel()
        await first.left.wait()
        await second.left.wait()
        assert [one.outstanding for one in it.fleet.snapshot()] == [0, 0]


@pytest.mark.parametrize("why", ["attempts", "budget", "off", "one replica", "stored", "upload"])
async def test_calls_that_are_not_hedged(why: str) -> None:
    policy = {"attempts": {"max_attempts": 1}, "off": {"hedge_after": 0}}.get(why, {})
    async with hedging(1 if why == "one replica" else 2, retry_budget=0, **policy) as it:
        if why == "budget":
            while it.fleet.budget.spend():
                pass
        operation = {"stored": STORED, "upload": TRANSCRIPTION}.get(why, CHAT_COMPLETION)
        calling = it.ask(operation, _upload() if why == "upload" else HELLO)
        it.late.over.set()
        first = await it.asked()
        await _settled()
        first.open(answer("first") if why != "upload" else http(b'{"text": "x"}'))
        await calling
        assert sum(it.requests) == 1


def _upload() -> Form:
    async def blocks() -> Any:
        yield b"RIFF"

    return Form((), File(blocks(), "a.wav", "audio/wav"))


async def _settled() -> None:
    """Lets all ready tasks run."""
    for _ in range(100):
        await asyncio.sleep(0)
