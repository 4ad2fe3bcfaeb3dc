"""Answers to another request are refused if that can be detected."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.operations import CHAT_COMPLETION, TOKENIZATION
from penstock_server.upstream.request_id import is_of_another, unique

from .test_stream import WHOLE, opened
from .wire import client, http, read_request, served, stream

Answer = Callable[[str], bytes]


def unary(request_id: str) -> bytes:
    return http(json.dumps({"id": f"chatcmpl-{request_id}"}).encode())


def streamed(request_id: str) -> bytes:
    named = json.dumps({"id": f"chatcmpl-{request_id}", "choices": []})
    return stream(named, *WHOLE, "[DONE]")


def echoing(request_id: str) -> bytes:
    return http(b'{"tokens": []}', f"X-Request-Id: {request_id}")


def echoing_stream(request_id: str) -> bytes:
    head = f"content-type: text/event-stream\r\nX-Request-Id: {request_id}"
    return stream(*WHOLE, "[DONE]", head=head)


def refusing(request_id: str) -> bytes:
    return http(b"{}", f"X-Request-Id: {request_id}", status="503 No")


async def call(upstream: Upstream) -> None:
    await upstream.call(CHAT_COMPLETION, {}, Call("mine"))


async def read(upstream: Upstream) -> None:
    async with opened(upstream) as events:
        async for _ in events:
            pass


async def tokenize(upstream: Upstream) -> None:
    await upstream.call(TOKENIZATION, {}, Call("mine"))


KINDS: dict[str, tuple[Answer, Callable[[Upstream], Awaitable[None]]]] = {
    "unary": (unary, call),
    "stream": (streamed, read),
    "header": (echoing, tokenize),
    "header of a stream": (echoing_stream, read),
    "header of an error": (refusing, call),
}


class Shifted:
    """A server that answers each request on a connection with the answer to the previous one."""

    def __init__(self, answer: Answer) -> None:
        self.connections = 0
        self._answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        latest = b""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await read_request(reader)).decode()
                named = head.lower().partition("x-request-id: ")[2].partition("\r")[0]
                own = self._answer(named)
                writer.write(latest or own)
                latest = own
        writer.close()


@pytest.mark.parametrize(("answer", "ask"), KINDS.values(), ids=KINDS)
async def test_the_answer_to_an_earlier_request_is_refused(
    answer: Answer, ask: Callable[[Upstream], Awaitable[None]]
) -> None:
    server = Shifted(answer)
    async with served(server) as url, client(url) as upstream:
        for _ in range(3):
            with suppress(UpstreamFailure):  # the first request is answered with an error, too
                await ask(upstream)
            with pytest.raises(UpstreamFailure) as raised:
                await ask(upstream)
            assert raised.value.kind is Kind.MALFORMED
            assert "another request" in raised.value.message
    assert server.connections == 3


def test_only_ids_that_certainly_belong_to_another_request_count() -> None:
    sent, other = unique("mine"), unique("mine")
    assert is_of_another(sent, f"chatcmpl-{other}")
    assert is_of_another(sent, other)
    for named in (sent, f"cmpl-{sent}-0", "chatcmpl-1234abcd", "mine", "mine-2", "", sent[:-1]):
        assert not is_of_another(sent, named)


def test_an_id_that_a_caller_copied_from_an_answer_is_accepted() -> None:
    first = unique("mine")
    sent = unique(f"chatcmpl-{first}")
    for named in (f"chatcmpl-{sent}", f"chatcmpl-chatcmpl-{first}", sent[:-3]):
        assert not is_of_another(sent, named)
    assert is_of_another(sent, unique(f"chatcmpl-{first}"))


EXTRA = {
    "a second answer": (http(b'{"id": "other"}'), False),
    "its beginning": (b"HTTP/1.1 2", False),
    "one byte": (b"H", False),
    "a line end": (b"\r\n", False),
    "not HTTP": (b"x", False),
    "a second answer with the first": (http(b'{"id": "other"}'), True),
    "its beginning with the first": (b"HTTP/1.1 2", True),
}


@pytest.mark.parametrize(("extra", "together"), EXTRA.values(), ids=EXTRA)
async def test_unsolicited_bytes_close_an_idle_connection(
    extra: bytes, together: bool, scheme: str
) -> None:
    answered, left = asyncio.Event(), asyncio.Event()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(http(b'{"id": "own"}') + (extra if together else b""))
        if not together:
            await answered.wait()
            writer.write(extra)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        left.set()
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        assert await upstream.call(CHAT_COMPLETION, {}, Call("mine")) == {"id": "own"}
        answered.set()
        if not together:
            await left.wait()
        assert await upstream.call(CHAT_COMPLETION, {}, Call("mine")) == {"id": "own"}
        assert connections == 2
