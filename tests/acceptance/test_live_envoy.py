"""A real vLLM behind two services behind the Envoy of deploy/envoy."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from conftest import Serve
from grpc import aio
from mesh.gateway import envoy, opened
from rpc.calls import BOUND_S, create, stream
from servers import HOST

from penstock.channel import open_async_channel
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub

from .chats import HELLO, asking
from .conftest import Target, serving

STREAM = "/penstock.v1.ChatCompletionService/StreamChatCompletion"


@dataclass(frozen=True, slots=True)
class Front:
    """The Envoy.

    Attributes:
        url: for callers of JSON.
        channel: for callers of gRPC.
    """

    url: str
    channel: aio.Channel


@pytest.fixture
async def front(target: Target, serve: Serve, tmp_path: Path) -> AsyncIterator[Front]:
    services = [await serve(upstream=(target.upstream.url,)) for _ in range(2)]
    addresses = [f"{HOST}:{service.port}" for service in services]
    for address in addresses:
        async with open_async_channel(address) as channel:
            await serving(channel)
    async with envoy(addresses, tmp_path) as running, opened(running.address) as channel:
        yield Front(f"http://{running.address}", channel)


async def test_grpc(front: Front) -> None:
    answer = await ChatCompletionServiceStub(front.channel).CreateChatCompletion(asking(HELLO))
    assert answer.choices[0].message.content[0].text
    streamed = await stream(front.channel, asking(HELLO))
    assert streamed.code is grpc.StatusCode.OK
    assert streamed.received[-1].HasField("usage")


async def test_a_refusal_of_vllm(front: Front) -> None:
    request = asking(HELLO)
    request.sampling.temperature = -1
    refused = await create(front.channel, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == ["sampling.temperature"]


async def test_server_sent_events(front: Front) -> None:
    request = {"messages": [{"role": "ROLE_USER", "content": [{"text": "Say hello."}]}]}
    async with httpx.AsyncClient(trust_env=False, timeout=BOUND_S) as http:
        answer = await http.post(f"{front.url}{STREAM}", json=request)
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert "usage" in events[-1]
    assert len(events) > 3
