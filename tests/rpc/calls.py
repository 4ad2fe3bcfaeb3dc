"""Calls of the service, and their statuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import text_format
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.item_pb2 import ItemError
from penstock_server.app import Service

CHAT = "/penstock.v1.ChatCompletionService/CreateChatCompletion"
STORY = "Tell me a story."
FREE_PORT = "127.0.0.1:0"
BOUND_S = 60
"""Longest wait for something that should happen at once."""

Serve = Callable[..., Awaitable[Service]]
"""Starts a service with the given settings."""


@dataclass
class Ended:
    """The end of a call as its caller sees it."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    resource: str = ""
    request_id: str = ""
    retry_s: float | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    details_size: int = 0
    quotas: list[tuple[str, str]] = field(default_factory=list)
    debug: str = ""
    help: str = ""
    stack: list[str] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)

    @property
    def pushback(self) -> str | None:
        return self.trailers.get("grpc-retry-pushback-ms")


def ended(error: aio.AioRpcError) -> Ended:
    """Reads the status and its details."""
    trailers = dict(error.trailing_metadata())
    rich = trailers.pop("grpc-status-details-bin", b"")
    assert isinstance(rich, bytes)
    return read_details(
        Ended(
            error.code(),
            error.details() or "",
            trailers={str(key): str(value) for key, value in trailers.items()},
            details_size=len(rich),
        ),
        rich,
    )


def read_details(result: Ended, rich: bytes) -> Ended:
    """Reads the details in `grpc-status-details-bin`."""
    status = status_pb2.Status.FromString(rich)
    if rich:
        assert (status.code, status.message) == (result.code.value[0], result.message)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, resource = error_details_pb2.RetryInfo(), error_details_pb2.ResourceInfo()
    request, quota = error_details_pb2.RequestInfo(), error_details_pb2.QuotaFailure()
    debug, pages = error_details_pb2.DebugInfo(), error_details_pb2.Help()
    kinds = (info, bad, retry, resource, request, quota, debug, pages)
    for detail in status.details:
        assert any(detail.Unpack(kind) for kind in kinds)
        if detail.Is(retry.DESCRIPTOR):
            result.retry_s = retry.retry_delay.ToNanoseconds() / 1e9
    result.reason, result.domain, result.metadata = info.reason, info.domain, dict(info.metadata)
    result.fields = [violation.field for violation in bad.field_violations]
    result.resource, result.request_id = resource.resource_name, request.request_id
    result.quotas = [(violation.subject, violation.description) for violation in quota.violations]
    result.debug, result.stack = debug.detail, list(debug.stack_entries)
    result.help = " ".join(link.url for link in pages.links)
    return result


def item_ended(error: ItemError) -> Ended:
    """Reads the error of an item, whose bytes are those of a google.rpc.Status."""
    rich = status_pb2.Status.FromString(error.SerializeToString())
    rich.DiscardUnknownFields()
    [code] = (one for one in grpc.StatusCode if one.value[0] == error.code)
    made = read_details(Ended(code, error.message), rich.SerializeToString())
    assert made.reason == error.reason
    return made


def chat(text: str = "Say hello.", fault: str = "") -> CreateChatCompletionRequest:
    """Returns a request that makes the simulator have a fault."""
    return chat_request(f"{text} [[simulate: {fault}]]" if fault else text)


def parsed(text: str, question: str = "Say hello.") -> CreateChatCompletionRequest:
    """Returns a request with fields in text format added."""
    return text_format.Merge(text, chat_request(question))


async def create(
    channel: aio.Channel, request: CreateChatCompletionRequest, **options: Any
) -> Ended:
    """Makes a unary call that must fail."""
    try:
        answer = await ChatCompletionServiceStub(channel).CreateChatCompletion(request, **options)
    except aio.AioRpcError as error:
        return ended(error)
    raise AssertionError(f"it did not fail: {answer}")


async def stream(
    channel: aio.Channel,
    request: CreateChatCompletionRequest,
    begun: asyncio.Event | None = None,
    **options: Any,
) -> Ended:
    """Makes a streaming call, whatever comes of it; sets `begun` at its first message."""
    received: list[Any] = []
    call = ChatCompletionServiceStub(channel).StreamChatCompletion(request, **options)
    try:
        async for message in call:
            received.append(message)
            if begun:
                begun.set()
    except aio.AioRpcError as error:
        result = ended(error)
        result.received = received
        return result
    return Ended(await call.code(), "", received=received)


async def both(channel: aio.Channel, request: CreateChatCompletionRequest, **options: Any) -> Ended:
    """Makes a unary and a streaming call, which must fail alike and before any message."""
    unary = await create(channel, request, **options)
    streamed = await stream(channel, request, **options)
    assert (streamed.code, streamed.reason) == (unary.code, unary.reason)
    assert streamed.fields == unary.fields
    assert streamed.received == []
    return unary


@asynccontextmanager
async def plain_channel(service: Service, *options: tuple[str, Any]) -> AsyncIterator[aio.Channel]:
    """Opens a channel without retries and with its own connection."""
    settings = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), *options)
    async with aio.insecure_channel(f"127.0.0.1:{service.port}", options=settings) as opened:
        yield opened


async def until(condition: Callable[[], bool], seconds: float = BOUND_S) -> None:
    """Waits for a condition that no event reports; fails after a bound."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  no event reports it
            await asyncio.sleep(0.005)
