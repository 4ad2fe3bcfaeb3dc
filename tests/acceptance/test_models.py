"""The models that the service offers."""

from typing import Any

import grpc
from documents import value_of

from penstock.v1.model_pb2 import (
    CAPABILITY_CHAT,
    CAPABILITY_RESPONSES,
    GetModelRequest,
    ListModelsRequest,
    Model,
)
from penstock.v1.model_pb2_grpc import ModelServiceStub

from .conftest import Target
from .refusals import refused

NAMES = ["tiny-chat", "tiny-chat-alias"]


def check(model: Model) -> None:
    assert model.owned_by == "vllm"
    assert model.max_model_len == 512
    assert model.create_time.seconds > 1_600_000_000
    assert model.root
    assert not model.parent
    assert {CAPABILITY_CHAT, CAPABILITY_RESPONSES} <= set(model.capabilities)
    permission: Any = value_of(model.extra)["permission"]
    assert permission[0]["object"] == "model_permission"


async def test_list(target: Target) -> None:
    listing = await ModelServiceStub(target.channel).ListModels(ListModelsRequest())
    assert [model.id for model in listing.models] == NAMES
    assert not listing.unreachable
    assert not listing.next_page_token
    for model in listing.models:
        check(model)


async def test_pages(target: Target) -> None:
    models = ModelServiceStub(target.channel)
    first = await models.ListModels(ListModelsRequest(page_size=1))
    assert [model.id for model in first.models] == NAMES[:1]
    second = await models.ListModels(
        ListModelsRequest(page_size=1, page_token=first.next_page_token)
    )
    assert [model.id for model in second.models] == NAMES[1:]
    assert not second.next_page_token


async def test_bad_page(target: Target) -> None:
    models = ModelServiceStub(target.channel)
    refusal = await refused(models.ListModels(ListModelsRequest(page_size=-1)))
    assert refusal.fields == ("page_size",)
    refusal = await refused(models.ListModels(ListModelsRequest(page_token="!")))
    assert refusal.fields == ("page_token",)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_get(target: Target) -> None:
    models = ModelServiceStub(target.channel)
    answer = await models.GetModel(GetModelRequest(model="tiny-chat-alias"))
    assert answer.model.id == "tiny-chat-alias"
    check(answer.model)


async def test_get_unknown_model(target: Target) -> None:
    refusal = await refused(
        ModelServiceStub(target.channel).GetModel(GetModelRequest(model="nope"))
    )
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "MODEL_NOT_FOUND"
    assert refusal.resource == "nope"


async def test_get_without_a_name(target: Target) -> None:
    """The only model of the upstream has two names; either may be returned."""
    answer = await ModelServiceStub(target.channel).GetModel(GetModelRequest())
    assert answer.model.id in ("tiny-chat", "tiny-chat-alias")
