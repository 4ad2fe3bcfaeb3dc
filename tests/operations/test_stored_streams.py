"""Streams of stored responses: each event once, from any event on, and no silent end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
import pytest
from acceptance.refusals import Refusal, read, refused
from conftest import Serve
from grpc import aio
from rpc.calls import FREE_PORT, until
from upstream.wire import served, stream

from penstock.channel import open_async_channel
from penstock.v1 import response_pb2
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.fleet import State
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.config import NativeResponses

from .canned import in_json
from .response_calls import Event, Responses, asking, check_order, end_of
from .test_native_streams import STREAMS, WHOLE


class Stored:
    """A service in front of simulators that store responses.

    Attributes:
        service: the service.
        responses: calls of it.
        simulators: the simulators.
    """

    def __init__(self, service: Service, responses: Responses, simulators: list[Simulator]) -> None:
        self.service = service
        self.responses = responses
        self.simulators = simulators

    def paths(self) -> list[str]:
        """Returns the requests for stored responses, with their queries."""
        return [
            f"{one.method} {one.path}?{one.query}"
            for simulator in self.simulators
            for one in simulator.requests
            if one.path.startswith("/v1/responses/resp_")
        ]

    async def begun(self, text: str = "Say hello.", **fields: Any) -> list[Event]:
        """Requests a background stream; returns its events."""
        request = asking(text, background=True, model="tiny-chat", **fields)
        return [event async for event in self.responses.stub.StreamResponse(request)]

    async def again(self, response_id: str, after: int | None = None) -> list[Event]:
        """Returns the events of a stored response."""
        return [
            event
            async for event in self.responses.stub.StreamStoredResponse(wanted(response_id, after))
        ]

    async def refused(self, response_id: str, after: int | None = None) -> Refusal:
        """Returns why the events of a stored response cannot be streamed."""
        return await refused(
            self.responses.stub.StreamStoredResponse(wanted(response_id, after)).read()
        )


def wanted(response_id: str, after: int | None = None) -> response_pb2.StreamStoredResponseRequest:
    return response_pb2.StreamStoredResponseRequest(
        model="tiny-chat", response_id=response_id, starting_after=after
    )


@asynccontextmanager
async def storing(
    serve: Serve, number: int = 1, options: Any = None, **settings: Any
) -> AsyncIterator[Stored]:
    async with AsyncExitStack() as stack:
        simulators = [
            await stack.enter_async_context(
                Simulator(
                    SimulatorSettings(listen=FREE_PORT, response_store=True, seed=seed, **settings)
                )
            )
            for seed in range(number)
        ]
        urls = tuple(one.url for one in simulators)
        service = await serve(upstream=urls, native_responses="always", **(options or {}))
        await until(lambda: all(one.known.alive for one in service._fleet.replicas))
        channel = await stack.enter_async_context(open_async_channel(f"127.0.0.1:{service.port}"))
        yield Stored(service, Responses(channel), simulators)


async def test_a_stored_stream_is_the_same(serve: Serve) -> None:
    async with storing(serve, 2) as stored:
        first = await stored.begun()
        check_order(first)
        made = end_of(first)
        assert await stored.again(made.id) == first
        for after in range(len(first)):
            assert await stored.again(made.id, after) == first[after + 1 :]


async def test_a_running_response_is_resumed_after_an_event(serve: Serve) -> None:
    """The upstream is asked for the last event received and those that follow, not for all."""
    async with storing(serve, inter_token_latency=0.02) as stored:
        call: Any = stored.responses.stub.StreamResponse(asking("Say hello.", background=True))
        first = [await call.read() for _ in range(6)]
        call.cancel()
        made = first[0].created
        rest = await stored.again(made.id, first[-1].sequence_number)
        check_order([*first, *rest])
        assert f"GET /v1/responses/{made.id}?stream=true&starting_after=4" in stored.paths()


async def test_several_callers_follow_one_response(serve: Serve) -> None:
    async with storing(serve, inter_token_latency=0.01) as stored:
        call: Any = stored.responses.stub.StreamResponse(asking("Say hello.", background=True))
        made = (await call.read()).created
        every = await asyncio.gather(*(stored.again(made.id) for _ in range(5)))
        assert every == [every[0]] * 5
        check_order(every[0])


async def test_events_that_wait_are_not_merged(serve: Serve) -> None:
    """A caller continues after any number, so each event keeps its own."""
    async with storing(serve, options={"merge_deltas_within": 60.0}) as stored:
        first = await stored.begun("Tell me a story.")
        made = first[0].created
        assert [one.sequence_number for one in first] == list(range(len(first)))
        assert await stored.again(made.id) == first


@pytest.mark.parametrize("streamed", [True, False])
async def test_responses_without_stored_events_are_not_found(serve: Serve, streamed: bool) -> None:
    async with storing(serve) as stored:
        if streamed:
            made = end_of(await stored.responses.stream(asking("Say hello.")))
        else:
            request = asking("Say hello.", background=True)
            made = (await stored.responses.stub.CreateResponse(request)).response
        for after in (None, 3):
            refusal = await stored.refused(made.id, after)
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.NOT_FOUND,
                "RESPONSE_NOT_FOUND",
            )
        assert stored.service._fleet.snapshot()[0].errors == 0


async def test_unknown_responses_are_not_found(serve: Serve) -> None:
    async with storing(serve, 2) as stored:
        refusal = await stored.refused("resp_unknown")
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")


async def test_a_cancelled_response_has_no_whole_stream(serve: Serve) -> None:
    async with storing(serve, time_to_first_token=3600) as stored:
        call: Any = stored.responses.stub.StreamResponse(asking("Say hello.", background=True))
        made = (await call.read()).created
        cancel = response_pb2.CancelResponseRequest(response_id=made.id)
        await stored.responses.stub.CancelResponse(cancel)
        call.cancel()
        refusal = await stored.refused(made.id)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")


@pytest.mark.parametrize("after", [-1, 1000])
async def test_numbers_that_no_event_has(
    serve: Serve, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.fleet.stored._AT_ONCE_S", 0.01)
    async with storing(serve) as stored:
        made = end_of(await stored.begun())
        refusal = await stored.refused(made.id, after)
        assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ("starting_after",))


async def test_a_stream_that_breaks_again_and_again_loses_nothing(serve: Serve) -> None:
    async with storing(serve) as stored:
        request = asking("Say hello. [[simulate: cut after=6]]", background=True)
        events, error = await stored.responses.broken(request)
        made = events[0].created
        while not events[-1].HasField("completed"):
            assert read(error).reason == "STREAM_INTERRUPTED"
            call = stored.responses.stub.StreamStoredResponse(
                wanted(made.id, events[-1].sequence_number)
            )
            more, error = await _until_broken(call)
            events += more
        check_order(events)


async def _until_broken(call: Any) -> tuple[list[Event], Any]:
    events: list[Event] = []
    try:
        async for event in call:
            events.append(event)
    except aio.AioRpcError as error:
        return events, error
    return events, None


async def test_a_response_is_streamed_where_it_is_stored(serve: Serve) -> None:
    async with storing(serve, 3) as stored:
        made = [end_of(await stored.begun()) for _ in range(6)]
        for one in made:
            assert end_of(await stored.again(one.id)) == one


@pytest.mark.parametrize("native", ["never", "auto"])
async def test_converted_upstreams_store_nothing(serve: Serve, native: str) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, dialect="0.14.1")) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses=native)
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            call = Responses(channel).stub.StreamStoredResponse(wanted("resp_1"))
            refusal = await refused(call.read())
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "UNSUPPORTED_OPERATION",
        )
        assert refusal.fields == ("response_id",)


async def test_events_without_numbers_cannot_be_placed() -> None:
    """Without a number, the first event may be any."""
    whole = WHOLE | {"background": True, "status": "in_progress"}
    events = stream(json.dumps({"type": "response.completed", "response": WHOLE}))
    async with answering(whole | {"object": "response"}, events) as (responses, _):
        refusal = await refused(responses.stub.StreamStoredResponse(wanted("resp_1", 3)).read())
        assert refusal.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_events_before_the_requested_one_are_read_past() -> None:
    """An upstream may send more events than requested."""
    whole = WHOLE | {"background": True, "status": "completed"}
    numbered = [one | {"sequence_number": place} for place, one in enumerate(STREAMS["no output"])]
    async with answering(whole, stream(*map(json.dumps, numbered))) as (responses, asked):
        call = responses.stub.StreamStoredResponse(wanted("resp_1", 3))
        [event] = [event async for event in call]
        assert [item.id for item in event.completed.output] == ["rs_1", "msg_1", "fc_1"]
        assert asked == [
            "/v1/responses/resp_1",
            "/v1/responses/resp_1?stream=true&starting_after=2",
        ]


@asynccontextmanager
async def answering(whole: Any, events: bytes) -> AsyncIterator[tuple[Responses, list[str]]]:
    """Yields calls of an upstream that has a response and its events, and the requested paths."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            listing = {"data": [{"id": "tiny-chat"}]}
            if path.startswith("/v1/responses/resp_"):
                asked.append(path)
                writer.write(events if "stream" in path else in_json(whole))
            else:
                writer.write(in_json(listing))
            await writer.drain()
        writer.close()

    settings = Settings(
        listen=FREE_PORT,
        admin_listen="",
        metrics_listen="",
        native_responses=NativeResponses.ALWAYS,
    )
    async with (
        served(serve) as url,
        Service(replace(settings, upstream=(url,))) as service,
        open_async_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield Responses(channel), asked


# Engines that are asleep


@asynccontextmanager
async def asleep(
    serve: Serve, *, wakes: bool, number: int = 1, first_token: float = 0.0
) -> AsyncIterator[tuple[Stored, Any]]:
    """Yields a service whose engines are asleep, and the id of a response that one has."""
    options = {"wake_sleeping": wakes, "slow_start": 0}
    async with storing(
        serve, number, options, time_to_first_token=first_token, development_mode=True
    ) as stored:
        call: Any = stored.responses.stub.StreamResponse(
            asking("Say hello.", background=True, model="tiny-chat")
        )
        made = (await call.read()).created
        call.cancel()
        for simulator in stored.simulators:
            simulator.engine.sleep(1)
        await until(
            lambda: all(one.state is State.SLEEPING for one in stored.service._fleet.snapshot())
        )
        yield stored, made


def woken(stored: Stored) -> list[int]:
    return [
        sum(request.path == "/wake_up" for request in one.requests) for one in stored.simulators
    ]


async def test_continuing_a_response_wakes_only_the_replica_that_has_it(serve: Serve) -> None:
    async with asleep(serve, wakes=True, number=3) as (stored, made):
        request = asking("Say hello.", model="tiny-chat", previous_response_id=made.id)
        answer = (await stored.responses.stub.CreateResponse(request)).response
        assert answer.settings.previous_response_id == made.id
        assert sorted(woken(stored)) == [0, 0, 1]


async def test_continuing_an_unknown_response_wakes_none(serve: Serve) -> None:
    async with asleep(serve, wakes=True, number=2) as (stored, _):
        request = asking("Say hello.", model="tiny-chat", previous_response_id="resp_unknown")
        refusal = await refused(stored.responses.stub.CreateResponse(request))
        assert refusal.reason == "RESPONSE_NOT_FOUND"
        assert woken(stored) == [0, 0]


async def test_a_response_on_a_sleeping_replica_is_continued_next_to_one_awake(
    serve: Serve,
) -> None:
    async with asleep(serve, wakes=True, number=2) as (stored, made):
        [other] = [one for one in stored.simulators if made.id not in one.state.responses._kept]
        other.engine.wake_up()
        await until(
            lambda: any(one.state is State.READY for one in stored.service._fleet.snapshot())
        )
        request = asking("Say hello.", model="tiny-chat", previous_response_id=made.id)
        answer = (await stored.responses.stub.CreateResponse(request)).response
        assert answer.settings.previous_response_id == made.id
        assert sorted(woken(stored)) == [0, 1]


async def test_without_waking_a_response_on_a_sleeping_replica_is_not_continued(
    serve: Serve,
) -> None:
    async with asleep(serve, wakes=False, number=2) as (stored, made):
        request = asking("Say hello.", model="tiny-chat", previous_response_id=made.id)
        refusal = await refused(stored.responses.stub.CreateResponse(request))
        assert refusal.reason == "UPSTREAM_SLEEPING"
        assert woken(stored) == [0, 0]


async def test_following_a_running_response_wakes_its_replica(serve: Serve) -> None:
    async with asleep(serve, wakes=True, number=2, first_token=3600) as (stored, made):
        get = response_pb2.GetResponseRequest(response_id=made.id, model="tiny-chat")
        assert (await stored.responses.stub.GetResponse(get)).response.id == made.id
        assert woken(stored) == [0, 0]
        call: Any = stored.responses.stub.StreamStoredResponse(wanted(made.id))
        assert (await call.read()).created == made
        assert sorted(woken(stored)) == [0, 1]
        call.cancel()


async def test_a_running_response_on_an_engine_that_may_not_be_woken(serve: Serve) -> None:
    async with asleep(serve, wakes=False, first_token=3600) as (stored, made):
        refusal = await stored.refused(made.id)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "UPSTREAM_SLEEPING",
        )


async def test_an_ended_response_is_streamed_while_the_engine_is_asleep(serve: Serve) -> None:
    async with asleep(serve, wakes=True) as (stored, made):
        assert end_of(await stored.again(made.id)).id == made.id
        assert woken(stored) == [0]
