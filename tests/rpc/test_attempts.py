"""Every answer names the upstream and the attempts, in its trailing metadata and in the log."""

import io
import logging
import wave
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import text_encoding
from grpc import StatusCode as Code
from grpc import aio

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, CHAT, FREE_PORT, Serve, chat, create, plain_channel, until
from .every_rpc import EVERY_RPC, Called, Upstream, event, failing, names, running
from .every_rpc import STREAM_HEAD as HEAD


def _silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        audio.writeframes(bytes(3200))
    return file.getvalue()


WAV = _silence()
UPSTREAM, ATTEMPTS = "x-penstock-upstream", "x-penstock-attempts"

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


def expected(rpc: Called, url: str, requests: int = 1) -> dict[str, str]:
    """Returns the trailers about the upstream; model lists come from all upstreams."""
    if rpc.name.startswith("ModelService"):
        return {}
    return {UPSTREAM: url.removeprefix("http://"), ATTEMPTS: str(requests)}


def way(trailers: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in trailers.items() if key.startswith("x-penstock-")}


async def completed(rpc: Called, channel: aio.Channel) -> dict[str, Any]:
    """Returns the trailers of a call that succeeds."""
    call = rpc.start(channel, timeout=BOUND_S)
    if rpc.streams:
        assert [message async for message in call]
    else:
        await call
    assert await call.code() is Code.OK
    return dict(await call.trailing_metadata())


@every_rpc
async def test_an_answer(rpc: Called, serve: Serve) -> None:
    settings = SimulatorSettings(
        listen=FREE_PORT,
        kind="all",
        models=("m",),
        response_store=bool(rpc.settings),
        time_to_first_token=3600 if "Cancel" in rpc.name else 0,
    )
    async with Simulator(settings) as simulator:
        url = simulator.url
        service = await serve(upstream=(url,), **rpc.settings)
        async with plain_channel(service) as channel:
            trailers = await completed(await _prepared(rpc, channel), channel)
    assert way(trailers) == expected(rpc, url)
    assert trailers["x-request-id"]


async def _prepared(rpc: Called, channel: aio.Channel) -> Called:
    """Returns the RPC with input that a simulator accepts: real audio, an existing response."""
    sent = tuple(text.replace("RIFF", text_encoding.CEscape(WAV, False)) for text in rpc.requests)
    if "resp_1" in rpc.requests[0]:
        asked = CreateResponseRequest(model="m", input_text="x", background="Cancel" in rpc.name)
        answer = await ResponseServiceStub(channel).CreateResponse(asked)
        sent = (f'response_id: "{answer.response.id}"',)
    return replace(rpc, requests=sent)


@every_rpc
async def test_a_failure(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(failing("503 x", code=503))) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert way(result.trailers) == expected(rpc, upstream.url, upstream.requests)
    assert result.metadata.get("attempts") == result.trailers.get(ATTEMPTS)


STREAMS = tuple(rpc for rpc in EVERY_RPC if rpc.streams)


@pytest.mark.parametrize("rpc", STREAMS, ids=names(STREAMS))
async def test_an_interrupted_stream(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(HEAD, event(rpc.event))) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")
    assert result.received
    assert way(result.trailers) == expected(rpc, upstream.url, upstream.requests)
    assert result.metadata["attempts"] == "1"


async def test_a_call_without_an_upstream(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        request = chat()
        request.sampling.temperature = float("nan")
        refused = await create(channel, request)
        assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert way(refused.trailers) == {}
        assert "attempts" not in refused.metadata
        unknown: Any = channel.unary_unary("/penstock.v1.Nothing/Nothing")
        with pytest.raises(aio.AioRpcError) as raised:
            await unknown(b"")
        assert way(dict(raised.value.trailing_metadata())) == {}


async def test_no_connection(serve: Serve) -> None:
    async with running(Upstream()) as gone:
        pass
    service = await serve(upstream=(gone.url,))
    async with plain_channel(service) as channel:
        result = await create(channel, chat())
    assert result.reason == "UPSTREAM_CONNECT_FAILED"
    assert result.trailers[UPSTREAM] == gone.url.removeprefix("http://")
    assert result.trailers[ATTEMPTS] == result.metadata["attempts"]


async def test_another_upstream(serve: Serve) -> None:
    settings = SimulatorSettings(listen=FREE_PORT)
    async with Simulator(settings) as well, Simulator(settings) as ill:
        ill.faults = "status;code=503"
        service = await serve(upstream=(well.url, ill.url))
        async with plain_channel(service) as channel:
            asked = 0
            while not asked:
                call = ChatCompletionServiceStub(channel).CreateChatCompletion(
                    chat_request("Hi", model="tiny-chat")
                )
                await call
                asked = len([one for one in ill.requests if one.path == "/v1/chat/completions"])
            trailers = dict(await call.trailing_metadata())
        assert way(trailers) == {UPSTREAM: well.url.removeprefix("http://"), ATTEMPTS: "2"}


@pytest.mark.parametrize(("most", "logged"), [(1, None), (3, 3)])
async def test_the_log(
    most: int,
    logged: int | None,
    serve: Serve,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(upstream=(simulator.url,), max_attempts=most)
    with caplog.at_level(logging.INFO, "penstock.rpc"):
        async with plain_channel(service) as channel:
            failed = await create(channel, chat(fault="status code=503"))
            # The caller may receive the answer before the line is logged.
            await until(lambda: any(record.msg == "rpc" for record in caplog.records))
    [fields] = [record.__dict__["fields"] for record in caplog.records if record.msg == "rpc"]
    assert (fields["method"], fields.get("attempts")) == (CHAT, logged)
    assert fields["upstream"] == simulator.url.removeprefix("http://")
    assert failed.metadata["attempts"] == str(most)
