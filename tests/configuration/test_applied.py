"""The settings of an upstream table apply to calls to it."""

import grpc
import pytest
from conftest import Serve
from grpc import aio

from penstock.channel import open_async_channel
from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.configuration import UpstreamTable
from penstock_server.simulator import Simulator


async def failed(serve: Serve, table: UpstreamTable, text: str) -> aio.AioRpcError:
    """Returns the status of a chat with an upstream."""
    service = await serve(upstream=(table,))
    async with open_async_channel(service.addresses[0], retries=0) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(chat_request(text))
    return raised.value


async def test_headers_and_key(serve: Serve, simulator: Simulator) -> None:
    headers = {"x-team": "search", "x-secret": "sk-in-a-header"}
    table = UpstreamTable(simulator.url, api_key="sk-a", headers=headers)
    service = await serve(upstream=(table,), upstream_api_key="sk-all")
    async with open_async_channel(service.addresses[0]) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat_request("Hi"))
    for sent in simulator.requests:
        assert sent.headers["authorization"] == "Bearer sk-a"
        assert sent.headers["x-team"] == "search"
    assert {sent.path for sent in simulator.requests} >= {"/health", "/v1/chat/completions"}


async def test_a_secret_header_is_redacted_in_errors(serve: Serve, simulator: Simulator) -> None:
    headers = {"x-secret": "sk-in-a-header", "x-short": "said"}
    table = UpstreamTable(simulator.url, headers=headers)
    error = await failed(serve, table, "[[simulate: status code=400 message=said:sk-in-a-header]]")
    assert "sk-in-a-header" not in f"{error.details()} {error.trailing_metadata()}"
    assert "said:(hidden)" in str(error.details())


async def test_timeouts(serve: Serve, simulator: Simulator) -> None:
    table = UpstreamTable(simulator.url, first_byte_timeout=0.05)
    error = await failed(serve, table, "[[simulate: silent]]")
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "0.05 s" in str(error.details())
