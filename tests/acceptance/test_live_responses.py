"""A real engine that stores responses: streams in the background, and what follows them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest
from conftest import Serve, unlimited
from operations.response_calls import Event, Responses, asking, check_order, end_of
from rpc.calls import until
from rpc.test_sleeping import states
from servers import FLEET, VllmServers

from penstock.channel import open_async_channel
from penstock.v1 import response_pb2
from penstock.v1.common_pb2 import SamplingParams
from penstock_server.app import Service
from penstock_server.fleet import State

from .conftest import serving
from .refusals import Refusal, refused

SERVER = replace(
    FLEET["chat"],
    name="storing",
    environment=(("VLLM_ENABLE_RESPONSES_API_STORE", "1"), ("VLLM_SERVER_DEV_MODE", "1")),
)
LONG = SamplingParams(max_tokens=200, ignore_eos=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, vllm: VllmServers) -> str:
    """The URL of a server that stores responses."""
    with unlimited(request.config):
        vllm.run_only(SERVER)
    return vllm.url(SERVER.name)


@pytest.fixture
async def service(url: str, serve: Serve) -> Service:
    return await serve(upstream=(url,), native_responses="always", probe_interval=1.0)


@pytest.fixture
async def responses(service: Service) -> AsyncIterator[Responses]:
    """Responses of the service."""
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
        yield Responses(channel)


def stored(response_id: str, after: int | None = None) -> response_pb2.StreamStoredResponseRequest:
    return response_pb2.StreamStoredResponseRequest(response_id=response_id, starting_after=after)


async def read(responses: Responses, response_id: str, after: int | None = None) -> list[Event]:
    call = responses.stub.StreamStoredResponse(stored(response_id, after))
    return [event async for event in call]


async def not_streamed(responses: Responses, response_id: str) -> None:
    for after in (None, 3):
        call = responses.stub.StreamStoredResponse(stored(response_id, after))
        refusal: Refusal = await refused(call.read())
        assert (refusal.code, refusal.reason, refusal.resource) == (
            grpc.StatusCode.NOT_FOUND,
            "RESPONSE_NOT_FOUND",
            response_id,
        )


async def test_a_stream_is_continued_after_any_event(responses: Responses) -> None:
    request = asking("Tell me a story.", background=True, sampling=LONG)
    call: Any = responses.stub.StreamResponse(request)
    first = [await call.read() for _ in range(8)]
    call.cancel()
    made = first[0].created
    followed = [read(responses, made.id), read(responses, made.id, 7), read(responses, made.id)]
    whole, rest, other = await asyncio.gather(*followed)
    assert [*first, *rest] == whole == other
    check_order(whole)
    assert end_of(whole).usage.output_tokens == 200
    for after in (0, 1, 100, len(whole) - 2, len(whole) - 1):
        assert await read(responses, made.id, after) == whole[after + 1 :]


async def test_numbers_that_no_event_has(responses: Responses) -> None:
    request = asking("Say hello.", background=True)
    made = end_of([event async for event in responses.stub.StreamResponse(request)])
    refusal = await refused(responses.stub.StreamStoredResponse(stored(made.id, 1000)).read())
    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ("starting_after",))


async def test_responses_without_stored_events(responses: Responses) -> None:
    await not_streamed(responses, "resp_unknown")
    await not_streamed(responses, (await responses.whole(asking("Say hello."))).id)
    request = asking("Say hello.", background=True)
    await not_streamed(responses, (await responses.stub.CreateResponse(request)).response.id)


async def test_a_cancelled_response(responses: Responses) -> None:
    call: Any = responses.stub.StreamResponse(
        asking("Tell me a story.", background=True, sampling=LONG)
    )
    made = (await call.read()).created
    cancel = response_pb2.CancelResponseRequest(response_id=made.id)
    cancelled = (await responses.stub.CancelResponse(cancel)).response
    assert cancelled.status == response_pb2.RESPONSE_STATUS_CANCELLED
    call.cancel()
    await not_streamed(responses, made.id)


async def test_an_engine_that_is_asleep(url: str, service: Service, responses: Responses) -> None:
    """Its HTTP server still has the responses."""
    request = asking("Say hello.", background=True)
    made = [event async for event in responses.stub.StreamResponse(request)]
    response_id = end_of(made).id
    async with httpx.AsyncClient(base_url=url) as engine:
        # A CPU has no other level, from which no call wakes an engine.
        assert (await engine.post("/sleep?level=0")).status_code == 200
        await until(lambda: states(service) == [State.SLEEPING])
        get = response_pb2.GetResponseRequest(response_id=response_id)
        assert (await responses.stub.GetResponse(get)).response == end_of(made)
        assert await read(responses, response_id) == made
        for previous, reason in (
            (response_id, "UPSTREAM_SLEEPING"),
            ("resp_unknown", "RESPONSE_NOT_FOUND"),
        ):
            again = asking("Say hello.", previous_response_id=previous)
            assert (await refused(responses.stub.CreateResponse(again))).reason == reason
        assert (await engine.post("/wake_up")).status_code == 200
        await until(lambda: states(service) == [State.READY])
        again = asking("Say hello.", previous_response_id=response_id)
        answer = await responses.whole(again)
        assert answer.settings.previous_response_id == response_id
