"""The cost of a call does not grow with the number of the server's methods."""

import asyncio
from typing import Any

import pytest
from grpc import aio

from penstock.v1.model_pb2 import ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub

FEW = 4


async def test_a_call_does_not_wait_for_each_method(
    channel: aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    wait = asyncio.wait

    async def counted(tasks: Any, **options: Any) -> Any:
        waited.append(len(tasks))
        return await wait(tasks, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    for _ in range(3):
        await ModelServiceStub(channel).ListModels(ListModelsRequest())
    assert max(waited, default=0) <= FEW
