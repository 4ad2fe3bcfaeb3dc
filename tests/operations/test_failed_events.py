"""The terminal event of a failed response reveals no more than the status."""

import json
from typing import Any

import pytest
from upstream.wire import client, stream, wire

from penstock.v1.response_pb2 import CancelResponseRequest
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.completeness import ResponseEvents
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.operations import NATIVE_RESPONSE

from .canned import canned, in_json
from .response_calls import Responses, asking

KEY = "our-long-api-key"
SAID = f"key {KEY} or sk-live-0123456789 refused; see /root/models/m/config.json"
TOLD = "key (hidden) or (hidden) refused; see (path)"
NATIVE = {"id": "resp_1", "object": "response", "created_at": 1, "output": []}


def chunk(**choice: Any) -> str:
    return json.dumps({"id": "chatcmpl-1", "choices": [{"index": 0, **choice}]})


def native(status: str, **more: Any) -> str:
    kind = "created" if status == "in_progress" else "failed" if more else "completed"
    return json.dumps({"type": f"response.{kind}", "response": NATIVE | {"status": status} | more})


STREAMS = {
    "never": (
        chunk(delta={"role": "assistant", "content": "H"}),
        json.dumps({"error": {"message": SAID, "code": 503}}),
    ),
    "always": (
        native("in_progress"),
        native("failed", error={"code": "server_error", "message": SAID}),
    ),
}


async def streamed(answer: bytes, **settings: Any) -> tuple[list[Any], str]:
    """Returns the events of a failing response, and the message of its status."""
    async with canned(answer, **settings) as (channel, _):
        found, error = await Responses(channel).broken(asking("x"))
    return found, error.details() or ""


@pytest.mark.parametrize("way", STREAMS)
async def test_no_secret_in_the_failed_event(way: str) -> None:
    found, message = await streamed(
        stream(*STREAMS[way]), native_responses=way, upstream_api_key=KEY
    )
    assert found[-1].failed.error.message == message == TOLD


async def test_no_secret_in_a_stored_response() -> None:
    failed = NATIVE | {"status": "failed", "error": {"code": "server_error", "message": SAID}}
    settings = {"native_responses": "always", "upstream_api_key": KEY}
    async with canned(in_json(failed), **settings) as (channel, _):
        cancel = CancelResponseRequest(response_id="resp_1")
        answer = await Responses(channel).stub.CancelResponse(cancel)
    assert answer.response.error.message == TOLD


async def test_a_malformed_entry_before_an_error() -> None:
    _, message = await streamed(
        stream(
            chunk(delta={"role": "assistant", "content": "H"}),
            chunk(delta={"content": ""}, logprobs={"content": [{"no": "token"}]}),
            json.dumps({"error": {"message": "busy", "code": 503}}),
        )
    )
    assert "it lacks token" in message


async def read(upstream: Upstream) -> None:
    opened = upstream.stream(NATIVE_RESPONSE, {}, Call("id-1"), ResponseEvents())
    async with opened as events:
        async for _ in events:
            pass


async def test_an_aborted_native_response_fails() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    whole = NATIVE | {"status": "cancelled", "usage": usage}
    done = json.dumps({"type": "response.completed", "response": whole})
    async with wire(in_json(whole)) as server, client(server.url) as upstream:
        with pytest.raises(UpstreamFailure) as raised:
            await upstream.call(NATIVE_RESPONSE, {}, Call("id-1"))
    assert raised.value.kind is Kind.ABORTED
    async with wire(stream(native("in_progress"), done)) as server, client(server.url) as upstream:
        with pytest.raises(UpstreamFailure) as raised:
            await read(upstream)
    assert raised.value.kind is Kind.ABORTED
