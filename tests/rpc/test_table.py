"""The status table at the socket, row by row, for every RPC to which a row applies."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from fuzz.conversation import Conversation, conversing
from fuzz.test_requests import usual
from grpc import StatusCode as Code

from .calls import Ended, Serve, chat, create, plain_channel
from .every_rpc import (
    EVERY_RPC,
    STREAM_HEAD,
    Called,
    Upstream,
    answer,
    event,
    failing,
    names,
    running,
)
from .test_status import CALLER, ELSEWHERE, HTTP, NEVER, NO, YES, check_resend

UNARY = tuple(rpc for rpc in EVERY_RPC if not rpc.streams)
STREAMING = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
every_unary = pytest.mark.parametrize("rpc", UNARY, ids=names(UNARY))
every_stream = pytest.mark.parametrize("rpc", STREAMING, ids=names(STREAMING))

ONCE = {"max_attempts": 1}
MALFORMED = (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", CALLER)


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, **ONCE, **rpc.settings) as running:
        yield running


def check(result: Ended, row: tuple[Code, str, str], case: Any) -> None:
    assert (result.code, result.reason) == row[:2], case
    check_resend(result, row[2], None)


@every_rpc
async def test_every_http_status(rpc: Called, conversation: Conversation) -> None:
    for status, row in HTTP.items():
        conversation.upstream.respond_with(failing(f"{status} x", code=status, param="model"))
        result = await conversation.call(rpc, usual(rpc))
        check(result, row, status)
        assert result.metadata["upstreamStatus"] == str(status)
        assert result.metadata["path"] == conversation.upstream.asked[0].path.partition("?")[0]
        field = "config.model" if "Transcribe" in rpc.name else "model"
        assert result.fields == ([field] if row[0] is Code.INVALID_ARGUMENT else [])


@every_rpc
async def test_other_statuses(rpc: Called, conversation: Conversation) -> None:
    rows = {
        201: MALFORMED,
        204: MALFORMED,
        307: (Code.INTERNAL, "GATEWAY_ERROR", NO),
        418: (Code.UNKNOWN, "UPSTREAM_UNEXPECTED_STATUS", NO),
        599: (Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS", CALLER),
    }
    for status, row in rows.items():
        conversation.upstream.respond_with(answer(f"{status} x", b""))
        check(await conversation.call(rpc, usual(rpc)), row, status)


_CONTEXT = "This model's maximum context length is 8 tokens, not your 9 input tokens."
_ENGINE_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
# Rows that depend on more than the status.
SPECIAL: Mapping[str, tuple[bytes, tuple[Code, str, str], dict[str, str]]] = {
    "context length": (
        failing("400 x", code=400, message=_CONTEXT),
        (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", NO),
        {"maxModelLen": "8", "promptTokens": "9"},
    ),
    "context length by its parameter": (
        failing("400 x", code=400, param="input_tokens"),
        (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", NO),
        {"upstreamParam": "input_tokens"},
    ),
    "media": (
        failing("422 x", code=422, param="image_url"),
        (Code.INVALID_ARGUMENT, "MEDIA_FETCH_FAILED", CALLER),
        {"upstreamStatus": "422"},
    ),
    "no response": (
        failing("404 x", code=404, param="response_id"),
        (Code.NOT_FOUND, "RESPONSE_NOT_FOUND", NO),
        {},
    ),
    "no route": (
        answer("404 x", b'{"detail": "Not Found"}'),
        (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED", NO),
        {},
    ),
    "no route, no body": (
        answer("404 x", b""),
        (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED", NO),
        {},
    ),
    "engine dead": (
        failing("500 x", code=500, message=_ENGINE_DEAD),
        (Code.UNAVAILABLE, "ENGINE_DEAD", YES),
        {"upstreamStatus": "500"},
    ),
}


@every_rpc
async def test_special_rows(rpc: Called, conversation: Conversation) -> None:
    for said, row, metadata in SPECIAL.values():
        conversation.upstream.respond_with(said)
        result = await conversation.call(rpc, usual(rpc))
        check(result, row, said)
        assert metadata.items() <= result.metadata.items()


@every_rpc
async def test_a_message_of_64_kib_changes_no_code(rpc: Called, conversation: Conversation) -> None:
    for status in (400, 404, 429, 500, 503):
        said = {letter * (65536 // len(letter.encode())): status for letter in ("x", "好")}
        for message in said:
            error = failing(f"{status} x", code=status, param=message, message=message)
            conversation.upstream.respond_with(error)
            check(await conversation.call(rpc, usual(rpc)), HTTP[status], status)


_INTERNAL = HTTP[500]
# Error in an answer with status 200, or in an event of a stream.
STATED: Mapping[str, tuple[Any, tuple[Code, str, str]]] = {
    "nested": ({"error": {"message": "no", "code": 404}}, HTTP[404]),
    "nested 400": ({"error": {"message": "no", "type": "BadRequestError", "code": 400}}, HTTP[400]),
    "nested 503": ({"error": {"message": "no", "code": 503}}, HTTP[503]),
    "digits": ({"error": {"message": "no", "code": "429"}}, HTTP[429]),
    "a word": (
        {"error": {"message": "no", "code": "context_length_exceeded"}},
        (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", NO),
    ),
    "unknown word": ({"error": {"message": "no", "code": "whatever"}}, _INTERNAL),
    "a type": ({"error": {"message": "no", "type": "NotFoundError"}}, HTTP[404]),
    "no message": ({"error": {"message": ""}}, _INTERNAL),
    "empty": ({"error": {}}, _INTERNAL),
    "a string": ({"error": "went wrong"}, _INTERNAL),
    "flat": ({"object": "error", "message": "no", "code": 400}, HTTP[400]),
    "flat, a word": ({"object": "error", "message": "no", "code": "not_found"}, HTTP[404]),
    "detail": ({"detail": "no"}, _INTERNAL),
    "detail list": ({"detail": [{"loc": ["body", "x"], "msg": "no"}, 7]}, _INTERNAL),
    "odd detail": ({"detail": [{"loc": 7, "msg": None}]}, _INTERNAL),
}


@every_rpc
async def test_errors_in_a_200(rpc: Called, conversation: Conversation) -> None:
    for shape, row in STATED.values():
        conversation.upstream.respond_with(answer("200 OK", json.dumps(shape).encode()))
        result = await conversation.call(rpc, usual(rpc))
        check(result, row, shape)
        assert not conversation.received


# Neither an error nor an answer.
NOTHING = {
    "null error": b'{"error": null}',
    "empty object": b"{}",
    "empty list": b"[]",
    "number": b"7",
    "nothing": b"",
    "page": b"<html>",
    "half": b'{"id": "x", "choi',
    "no UTF-8": b'{"id": "\xff"}',
    "NaN": b'{"id": NaN}',
    "half of a pair": b'{"id": "\\ud83d"}',
}


@every_rpc
async def test_neither_an_error_nor_an_answer(rpc: Called, conversation: Conversation) -> None:
    for kind in ("application/json", "text/html", ""):
        for body in NOTHING.values():
            conversation.upstream.respond_with(answer("200 OK", body, kind))
            result = await conversation.call(rpc, usual(rpc))
            check(result, MALFORMED, body)
            assert "<html>" not in result.message


@every_rpc
async def test_the_offset_in_a_body_that_is_not_json(
    rpc: Called, conversation: Conversation
) -> None:
    for body, offset in ((b'{"\xc3\xa9": x}', "7"), (b'{"a": "\xff"}', "7"), (b"", "0")):
        conversation.upstream.respond_with(answer("200 OK", body))
        result = await conversation.call(rpc, usual(rpc))
        assert (result.reason, result.metadata["offset"]) == (MALFORMED[1], offset)


@every_unary
async def test_a_truncated_body(rpc: Called, conversation: Conversation) -> None:
    conversation.upstream.respond_with(answer("200 OK", b'{"id": "x"}')[:-3])
    result = await conversation.call(rpc, usual(rpc))
    check(result, (Code.UNAVAILABLE, "UPSTREAM_CLOSED", CALLER), "cut")


# Streams


def streamed(*chunks: bytes, ended: bool = True) -> bytes:
    """Returns a stream of events, each in a separate chunk."""
    return STREAM_HEAD + b"".join(chunks) + (b"0\r\n\r\n" if ended else b"")


@every_stream
async def test_an_error_as_the_first_event(rpc: Called, conversation: Conversation) -> None:
    for shape, row in STATED.values():
        conversation.upstream.respond_with(streamed(event(shape)))
        check(await conversation.call(rpc, usual(rpc)), row, shape)
        assert not conversation.received


@every_stream
async def test_an_error_as_a_later_event(rpc: Called, conversation: Conversation) -> None:
    for shape, (code, reason, _) in STATED.values():
        conversation.upstream.respond_with(streamed(event(rpc.event), event(shape)))
        check(await conversation.call(rpc, usual(rpc)), (code, reason, NEVER), shape)
        assert conversation.received


def text(data: bytes) -> bytes:
    """Returns an event of any bytes in a separate chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


# Bytes in place of the first event or after it: code and reason, without and with a message.
_CLOSED = (Code.UNAVAILABLE, "UPSTREAM_CLOSED", CALLER)
_INTERRUPTED = (Code.UNAVAILABLE, "STREAM_INTERRUPTED", NEVER)
_BROKEN = (*MALFORMED[:2], NEVER)
BREAKS: Mapping[str, tuple[bytes, bool, Any, Any]] = {
    "closed": (b"", False, _CLOSED, _INTERRUPTED),
    "ended": (b"", True, _CLOSED, _INTERRUPTED),
    "cut in a chunk": (text(b'data: {"id": "x"}\n\n')[:-8], False, _CLOSED, _INTERRUPTED),
    "ended in an event": (text(b'data: {"id"'), True, _CLOSED, _INTERRUPTED),
    "only comments": (text(b": ping\n\n") * 3, True, _CLOSED, _INTERRUPTED),
    "no JSON": (text(b"data: {\n\n"), True, MALFORMED, _BROKEN),
    "no UTF-8": (text(b'data: {"id": "\xff"}\n\n'), True, MALFORMED, _BROKEN),
    "NaN": (text(b'data: {"id": NaN}\n\n'), True, MALFORMED, _BROKEN),
    "half of a pair": (text(b'data: {"id": "\\ud83d"}\n\n'), True, MALFORMED, _BROKEN),
    "no object": (text(b"data: [1]\n\n"), True, MALFORMED, _BROKEN),
    "not a chunk": (b"zz\r\n", False, MALFORMED, _BROKEN),
}


@every_stream
async def test_a_stream_that_breaks(rpc: Called, conversation: Conversation) -> None:
    for data, ended, before, after in BREAKS.values():
        conversation.upstream.respond_with(streamed(data, ended=ended))
        check(await conversation.call(rpc, usual(rpc)), before, data)
        assert not conversation.received
        conversation.upstream.respond_with(streamed(event(rpc.event), data, ended=ended))
        check(await conversation.call(rpc, usual(rpc)), after, data)
        assert conversation.received


@every_stream
async def test_done_is_not_enough(rpc: Called, conversation: Conversation) -> None:
    done = text(b"data: [DONE]\n\n")
    conversation.upstream.respond_with(streamed(done))
    check(await conversation.call(rpc, usual(rpc)), MALFORMED, "DONE only")
    conversation.upstream.respond_with(streamed(event(rpc.event), done))
    check(await conversation.call(rpc, usual(rpc)), _BROKEN, "DONE early")


@every_stream
async def test_the_offset_in_an_event_that_is_not_json(
    rpc: Called, conversation: Conversation
) -> None:
    first = b"data: " + json.dumps(rpc.event).encode() + b"\n\n"
    comment = ": é\r\nevent: x\r\n".encode()
    conversation.upstream.respond_with(streamed(text(first), text(comment), text(b"data: {\n\n")))
    result = await conversation.call(rpc, usual(rpc))
    assert (result.reason, result.metadata["stage"]) == (MALFORMED[1], "stream")
    assert result.metadata["offset"] == str(len(first + comment))


# Silence

_TIMED_OUT = (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", CALLER)
# ModelService asks all upstreams, with its own time limit.
ASKING = tuple(rpc for rpc in EVERY_RPC if not rpc.name.startswith("Model"))


async def _silent(rpc: Called, serve: Serve, upstream: Upstream, limit: str) -> Ended:
    async with running(upstream):
        settings = {"probe_interval": 3600, limit: 0.25, **ONCE, **rpc.settings}
        service = await serve(upstream=(upstream.url,), **settings)
        async with plain_channel(service) as channel:
            return await rpc.run(service, channel, timeout=60)


@pytest.mark.parametrize("rpc", ASKING, ids=names(ASKING))
async def test_silence_before_the_answer(rpc: Called, serve: Serve) -> None:
    result = await _silent(rpc, serve, Upstream(hold=True), "first_byte_timeout")
    check(result, _TIMED_OUT, "silent")
    assert result.metadata["limit"] == "first_byte_timeout"


@pytest.mark.parametrize("ping", [b"", text(b": ping\n\n")], ids=["silent", "heartbeats"])
@every_stream
async def test_silence_in_a_stream(rpc: Called, ping: bytes, serve: Serve) -> None:
    said = STREAM_HEAD + event(rpc.event)
    upstream = Upstream(said, repeat=ping, hold=not ping)
    result = await _silent(rpc, serve, upstream, "idle_timeout")
    check(result, _INTERRUPTED, "idle")
    assert result.metadata["limit"] == "idle_timeout"
    assert int(result.metadata["messagesSent"]) == len(result.received) > 0


def test_every_retry_class_is_tested() -> None:
    assert {row[2] for row in HTTP.values()} == {YES, ELSEWHERE, CALLER, NO, NEVER}


# A request that does not get through


class Refuses(Upstream):
    """An upstream that reads only the headers of a request, then resets the connection."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += b"x-request-id: probe-" not in head.lower()
        writer.transport.abort()


async def test_a_request_that_cannot_be_sent_completely(serve: Serve) -> None:
    async with running(Refuses()) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **ONCE)
        async with plain_channel(service) as channel:
            for _ in range(5):
                result = await create(channel, chat("x" * 20_000_000), timeout=60)
                assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
                assert result.metadata["stage"] == "request"
