"""`penstock adapters`: requests, results, exit codes."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from penstock.v1.admin_pb2 import (
    ListAdaptersRequest,
    ListAdaptersResponse,
    LoadAdapterRequest,
    LoadAdapterResponse,
    UnloadAdapterRequest,
    UnloadAdapterResponse,
)

from .process import Result, penstock
from .test_upstreams import Admin, serving

LISTED = """
adapters {
  name: "jokes" model: "tiny-chat" path: "/adapters/jokes" kept: true
  replicas { upstream: "chat" address: "10.0.0.7:8000" loaded: true }
  replicas { upstream: "chat" address: "10.0.0.8:8000" last_error: "no room" }
}
"""
LOADED = """
results { upstream: "chat" address: "10.0.0.7:8000" }
results { upstream: "chat" address: "10.0.0.8:8000" reason: "UPSTREAM_CLOSED" message: "it left" }
"""
UNLOADED = 'results { upstream: "chat" address: "10.0.0.7:8000" }'


class Recording(Admin):
    """An AdminService that records requests."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.requests: list[Any] = []

    async def ListAdapters(
        self, request: ListAdaptersRequest, context: object
    ) -> ListAdaptersResponse:
        self.requests.append(request)
        return await super().ListAdapters(request, context)

    async def LoadAdapter(
        self, request: LoadAdapterRequest, context: object
    ) -> LoadAdapterResponse:
        self.requests.append(request)
        return await super().LoadAdapter(request, context)

    async def UnloadAdapter(
        self, request: UnloadAdapterRequest, context: object
    ) -> UnloadAdapterResponse:
        self.requests.append(request)
        return await super().UnloadAdapter(request, context)


async def run(admin: Recording, *arguments: str) -> Result:
    async with serving(admin) as target:
        return await penstock("adapters", *arguments, "--target", target)


async def test_list() -> None:
    result = await run(Recording(LISTED), "list")
    assert result == Result(
        0,
        "NAME   MODEL      PATH             KEPT  REPLICAS\n"
        "jokes  tiny-chat  /adapters/jokes  yes   1/2\n",
        "penstock: jokes: 10.0.0.8:8000: no room\n",
    )
    result = await run(Recording(LISTED), "list", "--json")
    assert json.loads(result.out)["adapters"][0]["kept"] is True


async def test_results() -> None:
    admin = Recording(LOADED)
    assert await run(
        admin, "load", "jokes", "--model", "tiny-chat", "--path", "/adapters/jokes"
    ) == Result(
        1,
        "NAME  ADDRESS        RESULT\nchat  10.0.0.7:8000  loaded\nchat  10.0.0.8:8000  failed\n",
        "penstock: chat: UPSTREAM_CLOSED: it left\n",
    )
    assert admin.requests == [
        LoadAdapterRequest(model="tiny-chat", name="jokes", path="/adapters/jokes")
    ]
    admin = Recording(UNLOADED)
    assert await run(admin, "unload", "jokes") == Result(
        0, "NAME  ADDRESS        RESULT\nchat  10.0.0.7:8000  unloaded\n", ""
    )
    assert admin.requests == [UnloadAdapterRequest(name="jokes")]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("load", "jokes", "--model", "tiny-chat"),
        ("load", "--model", "tiny-chat", "--path", "/adapters/jokes"),
        ("unload",),
        ("unload", "jokes", "--path", "/adapters/jokes"),
        ("list", "jokes"),
        ("drop", "jokes"),
    ],
)
async def test_usage(arguments: Sequence[str]) -> None:
    assert (await penstock("adapters", *arguments)).code == 2
