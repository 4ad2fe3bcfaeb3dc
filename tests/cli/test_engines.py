"""`penstock engines`: requests, results, exit codes."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from penstock.v1 import admin_pb2
from penstock.v1.admin_pb2 import (
    ResetCachesRequest,
    ResetCachesResponse,
    SleepRequest,
    SleepResponse,
    WakeUpRequest,
    WakeUpResponse,
)

from .process import Result, penstock
from .test_upstreams import Admin, serving

SLEPT = """
results { upstream: "chat" address: "10.0.0.7:8000" asleep: true }
results { upstream: "chat" address: "10.0.0.8:8000" reason: "UPSTREAM_CLOSED" message: "it left" }
"""
WOKEN = 'results { upstream: "chat" address: "10.0.0.7:8000" }'


class Recording(Admin):
    """An AdminService that records requests."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.requests: list[Any] = []

    async def Sleep(self, request: SleepRequest, context: object) -> SleepResponse:
        self.requests.append(request)
        return await super().Sleep(request, context)

    async def WakeUp(self, request: WakeUpRequest, context: object) -> WakeUpResponse:
        self.requests.append(request)
        return await super().WakeUp(request, context)

    async def ResetCaches(
        self, request: ResetCachesRequest, context: object
    ) -> ResetCachesResponse:
        self.requests.append(request)
        return await super().ResetCaches(request, context)


async def run(admin: Recording, *arguments: str) -> Result:
    async with serving(admin) as target:
        return await penstock("engines", *arguments, "--target", target)


async def test_results() -> None:
    result = await run(Recording(SLEPT), "sleep", "chat")
    assert result == Result(
        1,
        "NAME  ADDRESS        RESULT\nchat  10.0.0.7:8000  asleep\nchat  10.0.0.8:8000  failed\n",
        "penstock: chat: UPSTREAM_CLOSED: it left\n",
    )
    result = await run(Recording(WOKEN), "wake", "chat", "--json")
    assert result.code == 0
    assert json.loads(result.out)["results"][0]["asleep"] is False


@pytest.mark.parametrize(
    ("arguments", "request_sent"),
    [
        (
            ("sleep", "a", "b", "--level", "2", "--mode", "keep"),
            SleepRequest(upstreams=["a", "b"], level=2, mode=admin_pb2.SLEEP_MODE_KEEP),
        ),
        (
            ("wake", "a", "--tag", "weights", "--tag", "kv_cache"),
            WakeUpRequest(upstreams=["a"], tags=["weights", "kv_cache"]),
        ),
        (
            ("reset", "a", "--cache", "encoder"),
            ResetCachesRequest(upstreams=["a"], caches=[admin_pb2.ENGINE_CACHE_ENCODER]),
        ),
        (
            ("reset", "a"),
            ResetCachesRequest(
                upstreams=["a"],
                caches=[
                    admin_pb2.ENGINE_CACHE_PREFIX,
                    admin_pb2.ENGINE_CACHE_MULTIMODAL,
                    admin_pb2.ENGINE_CACHE_ENCODER,
                ],
            ),
        ),
    ],
    ids=["sleep", "wake", "one cache", "all caches"],
)
async def test_requests(arguments: Sequence[str], request_sent: Any) -> None:
    admin = Recording(WOKEN)
    assert (await run(admin, *arguments)).code == 0
    assert admin.requests == [request_sent]


@pytest.mark.parametrize(
    "arguments", [(), ("sleep",), ("nap", "a"), ("sleep", "a", "--level", "3")]
)
async def test_usage(arguments: Sequence[str]) -> None:
    assert (await penstock("engines", *arguments)).code == 2
