"""A real engine that stores responses: streams in the background, and what follows them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from conftest import Serve, unlimited
from operations.response_calls import Event, Responses, asking, check_order, end_of
from servers import FLEET, VllmServers

from penstock.channel import open_async_channel
from penstock.v1 import response_pb2
from penstock.v1.common_pb2 import SamplingParams

from .conftest import serving
from .refusals import Refusal, refused

SERVER = replace(
    FLEET["chat"],
    name="storing",
    environment=(("VLLM_ENABLE_RESPONSES_API_STORE", "1"),),
)
LONG = SamplingParams(max_tokens=200, ignore_eos=True)


@pytest.fixture
async def responses(
    request: pytest.FixtureRequest, vllm: VllmServers, serve: Serve
) -> AsyncIterator[Responses]:
    """Responses of a server that stores them."""
    with unlimited(request.config):
        vllm.run_only(SERVER)
    service = await serve(upstream=(vllm.url(SERVER.name),), native_responses="always")
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
