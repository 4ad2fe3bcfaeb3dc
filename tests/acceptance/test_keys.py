"""An upstream that requires a key."""

import grpc
import pytest
from conftest import Serve

from penstock.channel import open_async_channel
from penstock.v1.model_pb2 import ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub

from .chats import HELLO, Chats, asking
from .conftest import Target
from .refusals import Refusal, refused

pytestmark = pytest.mark.upstream("keyed")


async def test_with_the_key(chats: Chats, target: Target) -> None:
    assert (await chats.both(asking("Say hello."))).text == HELLO
    listing = await ModelServiceStub(target.channel).ListModels(ListModelsRequest())
    assert target.kind.model in [model.id for model in listing.models]


@pytest.mark.parametrize("key", ["", "sk-wrong"])
async def test_without_the_right_key(target: Target, serve: Serve, key: str) -> None:
    service = await serve(upstream=(target.upstream.url,), upstream_api_key=key)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        check(await Chats(channel).refused(asking("Say hello.")))
        check(await refused(ModelServiceStub(channel).ListModels(ListModelsRequest())))


def check(refusal: Refusal) -> None:
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.reason == "UPSTREAM_AUTH_FAILED"
    assert refusal.metadata["upstreamStatus"] == "401"
    assert "sk-" not in refusal.message
