"""Deltas that arrive within a window are delivered as one message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio
from skipping import LIMIT_S, Skipping

from penstock_server.upstream import stream
from penstock_server.upstream.answer import observe

from .calls import BOUND_S, Ended, Serve, ended, plain_channel, until
from .every_rpc import EVERY_RPC, STREAM_HEAD, Called, Upstream, event, names, running

STREAMS = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
CHAT, COMPLETION = STREAMS[:2]
SPEECH = next(rpc for rpc in STREAMS if rpc.name.endswith("/StreamTranscribe"))
OF_TEXTS = (COMPLETION, *(rpc for rpc in STREAMS if rpc.name.endswith("/StreamGenerate")))
every_stream = pytest.mark.parametrize("rpc", STREAMS, ids=names(STREAMS))

WINDOW = {"merge_deltas_within": int(1000 * LIMIT_S)}
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_FRAME = {"id": "i", "model": "m", "created": 1, "object": "chunk"}
_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
_RESPONSE = {
    "id": "resp_1",
    "model": "m",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}


def choice(index: int = 0, /, **more: Any) -> dict[str, Any]:
    return _FRAME | {"choices": [{"index": index, **more}]}


def said(index: int = 0, /, **delta: Any) -> dict[str, Any]:
    return choice(index, delta=delta)


def piece(rpc: Called, text: str) -> dict[str, Any]:
    if rpc.settings:
        return (rpc.event or {}) | {"delta": text}
    return choice(text=text) if rpc in OF_TEXTS else said(content=text)


def ending(rpc: Called) -> list[dict[str, Any]]:
    if rpc.settings:
        return [{"type": "response.completed", "response": _RESPONSE}]
    more: dict[str, Any] = {"text": ""} if rpc in OF_TEXTS else {"delta": {}}
    return [choice(**more, finish_reason="stop"), _FRAME | {"choices": [], "usage": _USAGE}]


def text_of(message: Any) -> str:
    kind = type(message).__name__
    if kind == "StreamResponseResponse":
        return str(message.output_text_delta.text)
    if "Transcribe" in kind:
        return str(message.delta.text)
    chat = kind == "StreamChatCompletionResponse"
    return "".join(one.delta.content if chat else one.text for one in message.choices)


class Paced(Upstream):
    """An upstream whose events a test sends one by one."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = asyncio.get_running_loop().create_future()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        self._writer.set_result(writer)
        await reader.read()

    async def send(self, *events: dict[str, Any], last: bytes = b"") -> None:
        (await self._writer).write(b"".join(map(event, events)) + last)

    async def close(self) -> None:
        (await self._writer).transport.abort()


class Streamed:
    """A call that is being answered.

    Attributes:
        upstream: its upstream.
        messages: the messages received so far.
        observed: number of events that the service has read.
        result: its end.
    """

    def __init__(self, upstream: Paced, rpc: Called, channel: aio.Channel) -> None:
        self.upstream = upstream
        self.messages: list[Any] = []
        self.observed = 0
        self.call = rpc.start(channel)
        self.result = asyncio.create_task(self._read())

    @property
    def texts(self) -> list[str]:
        return [text for text in map(text_of, self.messages) if text]

    async def _read(self) -> Ended:
        try:
            async for message in self.call:
                self.messages.append(message)
        except aio.AioRpcError as error:
            return ended(error)
        return Ended(await self.call.code(), "")

    async def send(self, *events: dict[str, Any]) -> None:
        """Sends events, and waits until the service has read them."""
        expected = self.observed + len(events)
        await self.upstream.send(*events)
        await until(lambda: self.observed >= expected)

    async def receives(self, *texts: str) -> None:
        await until(lambda: self.texts == list(texts))


Open = Callable[..., Any]


@pytest.fixture
def streamed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Makes a streaming call: `async with streamed(rpc, **settings) as call`."""

    @asynccontextmanager
    async def opened(rpc: Called, **settings: Any) -> AsyncIterator[Streamed]:
        async with running(Paced()) as upstream, asyncio.timeout(5 * BOUND_S):
            service = await serve(
                upstream=(upstream.url,), probe_interval=3600, **rpc.settings, **settings
            )
            async with plain_channel(service) as channel:
                call = Streamed(upstream, rpc, channel)

                def counted(*arguments: Any) -> None:
                    observe(*arguments)
                    call.observed += 1

                monkeypatch.setattr(stream, "observe", counted)
                yield call

    return opened


@every_stream
async def test_deltas_within_the_window(rpc: Called, streamed: Open, skip: Skipping) -> None:
    async with streamed(rpc, **WINDOW) as call:
        await call.send(piece(rpc, "one "))
        await call.receives("one ")
        await call.send(piece(rpc, "two "))
        await call.send(piece(rpc, "three "))
        assert call.texts == ["one "]
        await skip()
        await call.receives("one ", "two three ")
        await call.upstream.send(piece(rpc, "four "), *ending(rpc), last=DONE)
        assert (await call.result).code is Code.OK
    assert call.texts == ["one ", "two three ", "four "]


def windowed(rpc: Called, seconds: float) -> Called:
    """Returns an RPC whose request sets its own window."""
    nanos = int(1e9 * (seconds % 1))
    window = f"merge_deltas_within {{seconds: {int(seconds)} nanos: {nanos}}}"
    first, *others = rpc.requests
    option = f"stream_options {{{window}}}"
    if first.startswith("config {"):
        first = first.replace("config {", f"config {{{option} ")
    else:
        first = f"{first} {option}"
    return replace(rpc, requests=(first, *others))


@every_stream
async def test_the_window_of_a_request(rpc: Called, streamed: Open, skip: Skipping) -> None:
    async with streamed(windowed(rpc, LIMIT_S)) as call:
        await call.send(piece(rpc, "one "))
        await call.send(piece(rpc, "two "), piece(rpc, "three "))
        await skip()
        await call.receives("one ", "two three ")


async def test_a_request_without_a_window(streamed: Open) -> None:
    async with streamed(windowed(CHAT, 0), **WINDOW) as call:
        await call.send(said(content="one "), said(content="two "), said(content="three "))
        await call.receives("one ", "two ", "three ")


WRONG = {"negative": -1.0, "above a minute": 60.5}


@pytest.mark.parametrize("seconds", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("rpc", [CHAT, SPEECH], ids=names((CHAT, SPEECH)))
async def test_a_wrong_window(rpc: Called, seconds: float, streamed: Open) -> None:
    async with streamed(windowed(rpc, seconds)) as call:
        result = await call.result
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    prefix = "config." if rpc is SPEECH else ""
    assert result.fields == [f"{prefix}stream_options.merge_deltas_within"]
    assert call.upstream.requests == 0


LOST = {
    "an error": (event({"error": {"message": "no", "code": 503}}), "UPSTREAM_UNAVAILABLE"),
    "an event that cannot be read": (b"b\r\ndata: {no}\n\n\r\n", "UPSTREAM_MALFORMED_RESPONSE"),
    "a finish that is a failure": (
        event(said(content="!") | {"choices": [{"index": 0, "finish_reason": "error"}]}),
        "UPSTREAM_INTERNAL",
    ),
    "the end of the body": (b"0\r\n\r\n", "STREAM_INTERRUPTED"),
}


@pytest.mark.parametrize(("rest", "reason"), LOST.values(), ids=LOST)
async def test_a_failure_follows_the_deltas(rest: bytes, reason: str, streamed: Open) -> None:
    async with streamed(CHAT, **WINDOW) as call:
        await call.send(said(content="one "), said(content="two "), said(content="three "))
        await call.upstream.send(last=rest)
        assert (await call.result).reason == reason
    assert call.texts == ["one ", "two three "]


async def test_a_lost_connection_follows_the_deltas(streamed: Open) -> None:
    async with streamed(CHAT, **WINDOW) as call:
        await call.send(said(content="one "), said(content="two "), said(content="three "))
        await call.upstream.close()
        assert (await call.result).reason == "STREAM_INTERRUPTED"
    assert call.texts == ["one ", "two three "]


async def test_a_cancelled_call_ends_the_exchange(streamed: Open) -> None:
    async with streamed(CHAT, **WINDOW) as call:
        await call.send(said(content="one "), said(content="two "))
        call.call.cancel()
        await call.upstream.left.wait()
        call.result.cancel()


async def test_the_idle_timeout_ends_the_window(streamed: Open, skip: Skipping) -> None:
    async with streamed(CHAT, **WINDOW, idle_timeout=LIMIT_S - 5) as call:
        await call.send(said(content="one "), said(content="two "))
        await skip(LIMIT_S - 5)
        await call.receives("one ", "two ")
        await skip(LIMIT_S - 5)
        assert (await call.result).reason == "STREAM_INTERRUPTED"
    assert call.texts == ["one ", "two "]


async def test_the_first_piece_of_each_text_is_not_delayed(streamed: Open) -> None:
    """Even while pieces of another text wait, which are then delivered with it."""
    call_of = {"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}
    async with streamed(CHAT, **WINDOW) as call:
        await call.send(said(role="assistant", content=""), said(reasoning="Hm"))
        await until(lambda: len(call.messages) == 2)
        await call.send(said(reasoning="m."), said(content="one "))
        await call.receives("one ")
        assert [m.choices[0].delta.reasoning for m in call.messages[1:]] == ["Hm", "m.", ""]
        await call.send(said(content="two "), said(1, content="Other"))
        await call.receives("one ", "two Other")
        assert [c.index for c in call.messages[-1].choices] == [0, 1]
        await call.send(said(content="three "), said(tool_calls=[call_of]))
        await call.receives("one ", "two Other", "three ")
        await until(lambda: bool(call.messages[-1].choices[0].delta.tool_calls))


async def test_several_choices(streamed: Open, skip: Skipping) -> None:
    chat = replace(CHAT, requests=(f"{CHAT.requests[0]} sampling {{n: 2}}",))
    async with streamed(chat, **WINDOW) as call:
        await call.send(said(content="a"), said(1, content="1"))
        await call.receives("a", "1")
        pieces = [said(content="b"), said(1, content="2"), said(content="c"), said(1, content="3")]
        await call.send(*pieces)
        await skip()
        await until(lambda: len(call.messages) == 3)
        got = [(one.index, one.delta.content) for one in call.messages[-1].choices]
        assert got == [(0, "bc"), (1, "23")]
