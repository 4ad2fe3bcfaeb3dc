"""Facts from the answer are known after the call: model, tokens, finish reasons."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from grpc import aio
from operations.canned import canned, in_json
from upstream.wire import stream as event_stream

from penstock.v1.response_pb2 import CreateResponseRequest, StreamStoredResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock_server.rpc import middleware
from penstock_server.rpc.calls import CallNext, Rpc, Usage
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Serve, chat, plain_channel, stream, until
from .every_rpc import EVERY_RPC, Called, names

_UNCOUNTED = {"GetResponse", "CancelResponse", "ListModels", "GetModel", "Tokenize", "Detokenize"}


class Observer:
    """Observes a call, and ignores what happens."""

    traceparent = tracestate = ""

    def ignore(self, *given: Any, **named: Any) -> "Observer":
        return self

    describe: Any = ignore
    begin_request: Any = ignore
    record_retry: Any = ignore
    record_hedge: Any = ignore
    end: Any = ignore


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Rpc]:
    """The finished calls, in order."""
    over: list[Rpc] = []
    stack = middleware.stack

    async def note(call_next: CallNext, rpc: Rpc) -> Any:
        rpc.observer = Observer()
        try:
            return await call_next(rpc)
        finally:
            over.append(rpc)

    monkeypatch.setattr(middleware, "stack", lambda **options: [note, *stack(**options)])
    return over


@pytest.fixture
async def channel(calls: list[Rpc], serve: Serve) -> AsyncIterator[aio.Channel]:
    settings = SimulatorSettings(listen=FREE_PORT, kind="all")
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with plain_channel(service) as opened:
            yield opened


async def test_tokens_of_a_stored_response_are_counted_once(calls: list[Rpc], serve: Serve) -> None:
    settings = SimulatorSettings(listen=FREE_PORT, response_store=True)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses="always")
        async with plain_channel(service) as opened:
            stub = ResponseServiceStub(opened)
            request = CreateResponseRequest(input_text="Say hello.", background=True)
            events = [event async for event in stub.StreamResponse(request)]
            again = StreamStoredResponseRequest(response_id=events[-1].completed.id)
            assert [event async for event in stub.StreamStoredResponse(again)] == events
    first, second = calls
    assert first.usage
    assert first.usage.output == 10
    assert second.usage is None


def _without_model(rpc: Called) -> Called:
    requests = tuple(text.replace('model: "m"', "") for text in rpc.requests)
    return replace(rpc, requests=requests)


def _usage(message: Any) -> Any:
    for name in ("response", "completed", "transcription", "delta"):
        if name in message.DESCRIPTOR.fields_by_name and message.HasField(name):
            return _usage(getattr(message, name))
    return message.usage if "usage" in message.DESCRIPTOR.fields_by_name else None


COUNTED = [
    rpc
    for rpc in EVERY_RPC
    if not rpc.settings
    and "Transcri" not in rpc.name
    and rpc.name.partition("/")[2] not in _UNCOUNTED
]


@pytest.mark.parametrize("rpc", COUNTED, ids=names(tuple(COUNTED)))
async def test_counts_are_those_of_the_answer(
    channel: aio.Channel, calls: list[Rpc], rpc: Called
) -> None:
    call = _without_model(rpc).start(channel)
    received = [one async for one in call] if rpc.streams else [await call]
    await until(lambda: bool(calls))
    [known] = calls
    usage = _usage(received[-1])
    given = getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", 0)
    generated = getattr(usage, "completion_tokens", None) or getattr(usage, "output_tokens", 0)
    assert given
    assert known.usage
    assert (known.usage.input, known.usage.output) == (given, generated)
    # vLLM does not name the model in streams of token ids.
    assert known.response_model or "StreamGenerate" in rpc.name
    assert known.messages_received == 1
    assert known.bytes_received >= 0
    assert known.bytes_sent == sum(one.ByteSize() for one in received)
    assert bool(known.first_message) is rpc.streams
    assert not known.first_message or known.first_message > known.started


async def test_upload_counts_its_messages(channel: aio.Channel, calls: list[Rpc]) -> None:
    [rpc] = [one for one in EVERY_RPC if one.name.endswith("/UploadTranscribe")]
    with pytest.raises(aio.AioRpcError):  # it is not audio
        await _without_model(rpc).start(channel)
    await until(lambda: bool(calls))
    assert calls[0].messages_received == len(rpc.requests)
    assert calls[0].bytes_received


async def test_finish_reasons_of_a_chat(channel: aio.Channel, calls: list[Rpc]) -> None:
    await stream(channel, chat())
    await until(lambda: bool(calls))
    assert calls[0].finish_reasons == ("stop",)


async def test_finish_reason_of_a_response(channel: aio.Channel, calls: list[Rpc]) -> None:
    [rpc, _] = [one for one in EVERY_RPC if one.name.endswith("/StreamResponse")]
    assert [one async for one in _without_model(rpc).start(channel)]
    await until(lambda: bool(calls))
    assert calls[0].finish_reasons == ("completed",)


DETAILED = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
_FRAME = {"id": "i", "object": "chat.completion", "created": 1, "model": "canned"}
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"}
_PIECE = {"index": 0, "delta": {"content": "x"}, "finish_reason": "odd"}
EVERYTHING = Usage(7, 3, 0, 2)


async def test_parts_of_the_counts(calls: list[Rpc]) -> None:
    async with canned(in_json(_FRAME | {"choices": [_CHOICE], "usage": DETAILED})) as (opened, _):
        await EVERY_RPC[0].start(opened)
        await until(lambda: bool(calls))
    assert calls[0].usage == EVERYTHING
    assert calls[0].finish_reasons == ("length",)


async def test_counts_with_the_finish_of_a_stream(calls: list[Rpc]) -> None:
    event = _FRAME | {"choices": [_PIECE], "usage": DETAILED}
    async with canned(event_stream(json.dumps(event))) as (opened, _):
        assert [one async for one in EVERY_RPC[1].start(opened)]
        await until(lambda: bool(calls))
    assert calls[0].usage == EVERYTHING
    assert calls[0].finish_reasons == ("odd",)


async def test_nothing_is_reported_for_a_failed_call(
    channel: aio.Channel, calls: list[Rpc]
) -> None:
    await stream(channel, chat(fault="error code=500"))
    await until(lambda: bool(calls))
    assert (calls[0].usage, calls[0].finish_reasons) == (None, ())
    assert (calls[0].first_message, calls[0].bytes_sent) == (0, 0)
