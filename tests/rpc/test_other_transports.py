"""The service over another httpx transport: the fleet uses only its interface."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from grpc import StatusCode, aio
from skipping import LIMIT_S, Skipping

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.transcription_pb2 import TranscribeRequest
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings

from .calls import FREE_PORT, chat, create, plain_channel, stream
from .test_health import SERVING, Watcher

Handler = Callable[[httpx.Request], Any]

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "from a mock"},
            "finish_reason": "stop",
        }
    ],
}


DONE = b"data: [DONE]\n\n"
EVENTS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "from "}}]},
    {"choices": [{"index": 0, "delta": {"content": "a mock"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
]


def models(request: httpx.Request) -> httpx.Response | None:
    """Answers a probe."""
    if request.method == "POST":
        return None
    found = {"object": "list", "data": [{"id": "m", "object": "model"}]}
    return httpx.Response(200 if request.url.path == "/v1/models" else 404, json=found)


@contextlib.asynccontextmanager
async def mocked(handler: Handler, **settings: Any) -> AsyncIterator[aio.Channel]:
    """Opens a channel to a service whose upstreams are a handler of requests."""
    transport = httpx.MockTransport(lambda request: models(request) or handler(request))
    given: dict[str, Any] = {
        "listen": FREE_PORT,
        "admin_listen": "",
        "metrics_listen": "",
        "upstream": ("http://vllm:1",),
    }
    async with (
        Service(Settings(**(given | settings)), transport=transport) as service,
        plain_channel(service) as channel,
    ):
        await Watcher(channel).until(SERVING)
        yield channel


class Parts(httpx.AsyncByteStream):
    """The body of a response in parts; an exception among them is raised, an event awaited.

    Attributes:
        closed: set once the exchange is over.
    """

    def __init__(self, *parts: bytes | Exception | asyncio.Event | None) -> None:
        self.closed = asyncio.Event()
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if part is None:
                await asyncio.Event().wait()
            elif isinstance(part, Exception):
                raise part
            elif isinstance(part, asyncio.Event):
                await part.wait()
            else:
                yield part

    async def aclose(self) -> None:
        self.closed.set()


def event(content: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(head | content)}\n\n".encode()


async def test_unary() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER, headers={"X-Request-Id": "of-a-router"})

    async with mocked(handler) as channel:
        answer = await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
        assert answer.choices[0].message.content[0].text == "from a mock"
    [request] = asked
    assert request.url == "http://vllm:1/v1/chat/completions"
    assert request.headers["host"] == "vllm:1"
    assert request.headers["content-length"] == str(len(request.content))
    assert json.loads(request.content)["model"] == "m"


async def test_an_error() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        error = {"message": "too long", "type": "BadRequestError", "code": 400}
        return httpx.Response(400, json={"error": error})

    async with mocked(handler) as channel:
        result = await create(channel, chat())
    assert result.code is StatusCode.INVALID_ARGUMENT
    assert "too long" in result.message


FAILURES: dict[str, tuple[Exception, StatusCode]] = {
    "connecting": (httpx.ConnectError("refused"), StatusCode.UNAVAILABLE),
    "reading": (httpx.ReadTimeout("slow"), StatusCode.DEADLINE_EXCEEDED),
    "decoding": (httpx.DecodingError("not gzip"), StatusCode.INTERNAL),
}


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("kind", FAILURES)
async def test_exceptions(kind: str, in_body: bool) -> None:
    error, code = FAILURES[kind]

    def handler(request: httpx.Request) -> httpx.Response:
        if in_body:
            return httpx.Response(200, stream=Parts(b'{"id":', error))
        raise error

    async with mocked(handler, max_attempts=1) as channel:
        assert (await create(channel, chat())).code is code


async def test_stream() -> None:
    rest = map(event, EVENTS[1:])
    parts = Parts(event(EVENTS[0])[:40], b"", event(EVENTS[0])[40:], *rest, DONE)

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=parts, headers={"Content-Type": "text/event-stream"})

    async with mocked(handler) as channel:
        result = await stream(channel, chat())
        assert result.code is StatusCode.OK
        deltas = [choice.delta for message in result.received for choice in message.choices]
        assert "".join(delta.content for delta in deltas) == "from a mock"
        await asyncio.wait_for(parts.closed.wait(), 60)


async def test_a_stream_that_stops() -> None:
    parts = Parts(event(EVENTS[0]), None)

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=parts, headers={"Content-Type": "text/event-stream"})

    async with mocked(handler, idle_timeout=0.05) as channel:
        result = await stream(channel, chat())
        assert (result.code, len(result.received)) == (StatusCode.UNAVAILABLE, 1)
        await asyncio.wait_for(parts.closed.wait(), 60)


async def test_a_window_that_ends_before_the_next_part(skip: Skipping) -> None:
    """The wait for the next part is not the end of the stream."""
    first, last, counts = EVENTS
    piece = {"choices": [{"index": 0, "delta": {"content": "a "}}]}
    may_end = asyncio.Event()
    parts = Parts(event(first), event(piece), event(piece), may_end, event(last), event(counts))

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=parts, headers={"Content-Type": "text/event-stream"})

    texts = []
    async with mocked(handler, merge_deltas_within=int(1000 * LIMIT_S)) as channel:
        async for message in ChatCompletionServiceStub(channel).StreamChatCompletion(chat()):
            texts += [choice.delta.content for choice in message.choices]
            if len(texts) == 2:
                await skip()
            if len(texts) == 3:
                may_end.set()
    assert texts == ["from ", "a ", "a ", "a mock"]


async def test_upload() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert b"the sound" in request.content
        return httpx.Response(200, json={"text": "heard", "usage": None})

    async with mocked(handler) as channel:
        request = TranscribeRequest(audio=b"the sound")
        answer = await TranscriptionServiceStub(channel).Transcribe(request)
        assert answer.transcription.text == "heard"
