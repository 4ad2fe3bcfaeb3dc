"""Calls of all kinds: answered, refused, failed, retried, hedged, cancelled, late."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from observability.stack import CERTIFICATES, ROOT, Stack
from penstock import TLS, AsyncClient, CallError, chat_request

MODEL = "tiny-chat"
SLOW = "[[simulate: slow-headers seconds=0.6]] Hi"
REFUSED = "[[simulate: status code=503]] Hi"
BROKEN = "[[simulate: status code=500]] Hi"

# Long enough for the prefix cache.
LONG = "Say hello. " * 40

_Call = Callable[[AsyncClient], Awaitable[Any]]


class Load:
    """Calls a service in rounds, on a thread of its own, until the end of the block."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._rounds())

    async def _rounds(self) -> None:
        options: dict[str, Any] = {
            "retries": 0,
            "timeout": 60,
            "tls": TLS(ca=CERTIFICATES / "cert.pem", server_name="penstock.test"),
        }
        async with (
            AsyncClient(self._stack.target, api_key="sk-team", **options) as team,
            AsyncClient(self._stack.target, api_key="sk-batch", **options) as batch,
            AsyncClient(self._stack.target, api_key="sk-unknown", **options) as unknown,
            AsyncClient(self._stack.admin_target) as operator,
        ):
            while not self._over.is_set():
                await operator.admin.upstreams()
                for call in CALLS:
                    await _end(call(team))
                await asyncio.gather(*(_end(call(team)) for call in FAILING))
                await asyncio.gather(*(_end(_chat(SLOW)(team)) for _ in range(20)))
                await asyncio.gather(*(_end(_chat("Hi")(each)) for each in (batch, unknown)))


async def _end(call: Awaitable[Any]) -> None:
    with contextlib.suppress(CallError, TimeoutError):
        await call


def _chat(text: str, **options: Any) -> _Call:
    return lambda client: client.chat.create(text, **({"model": MODEL} | options))


async def _stream(stream: Any, events: int = 1000) -> None:
    """Reads a stream, or its first events."""
    async with stream:
        async for _ in stream:
            events -= 1
            if not events:
                return


async def _left(client: AsyncClient) -> None:
    """Cancels a call that waits for the headers of its answer."""
    async with asyncio.timeout(0.1):
        await _chat("[[simulate: slow-headers seconds=9]] Hi")(client)


CALLS: Sequence[_Call] = (
    _chat(LONG),
    _chat(LONG),
    _chat("What is 2+2?", reasoning_effort="high"),
    lambda client: _stream(client.chat.stream("Count to ten.", model=MODEL)),
    lambda client: _stream(client.chat.stream("Tell me a story.", model=MODEL), 2),
    lambda client: client.completions.create("Once upon", model=MODEL),
    lambda client: _stream(client.completions.stream("Once upon", model=MODEL)),
    lambda client: client.responses.create("Say hello.", model=MODEL),
    lambda client: _stream(client.responses.stream("Say hello.", model=MODEL)),
    lambda client: client.embeddings.create(["a cat", "a kitten"], model=MODEL),
    lambda client: client.pool("a cat", model=MODEL),
    lambda client: client.classify("a cat", model=MODEL),
    lambda client: client.rerank("cats", ["a cat", "a dog"], model=MODEL),
    lambda client: client.score("cats", ["a cat", "a dog"], model=MODEL),
    lambda client: client.tokenize("Hello world", model=MODEL),
    lambda client: client.detokenize([1, 2], model=MODEL),
    lambda client: client.transcribe(ROOT / "examples/tone.wav", model=MODEL),
    lambda client: _stream(client.transcribe.stream(ROOT / "examples/tone.wav", model=MODEL)),
    lambda client: _stream(client.batch.run({"a": chat_request("Hi", model=MODEL)})),
    lambda client: client.models.list(),
    lambda client: client.models.get(MODEL),
)
FAILING: Sequence[_Call] = (
    _chat("Hi", model="nobody"),
    _chat("Hi", temperature=-1),
    _chat(REFUSED),
    *[_chat(BROKEN)] * 8,
    _chat("[[simulate: slow-headers seconds=9]] Hi", timeout=0.3),
    _left,
)
