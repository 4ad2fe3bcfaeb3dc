"""Calls without a model name: the upstream receives the model that they were routed to."""

import contextlib
from dataclasses import replace

import pytest
from acceptance.conftest import serving
from conftest import Serve
from grpc import aio

from penstock.channel import open_async_channel
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.http.form import read_form
from penstock_server.simulator.http.requests import Request

from .every_rpc import EVERY_RPC, Called, names

CALLS = tuple(
    replace(call, requests=tuple(text.replace('model: "m"', "") for text in call.requests))
    for call in EVERY_RPC
    if 'model: "m"' in call.requests[0] and not call.name.endswith("GetModel")
)


@pytest.mark.parametrize("call", CALLS, ids=names(CALLS))
async def test_the_upstream_receives_the_name_of_the_only_model(call: Called, serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="all", models=("only",))
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), **call.settings)
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            await serving(channel)
            await _made(call, channel)
        [request] = [one for one in simulator.requests if one.method == "POST"]
    assert _model(request) == "only"


async def _made(call: Called, channel: aio.Channel) -> None:
    made = call.start(channel)
    # The simulator cannot answer every request.
    with contextlib.suppress(aio.AioRpcError):
        await (made.read() if call.streams else made)


def _model(request: Request) -> str | None:
    if request.headers["content-type"].startswith("multipart/"):
        return dict(read_form(request).fields).get("model")
    model: str | None = request.json.get("model")
    return model
