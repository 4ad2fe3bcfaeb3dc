"""Complete streams in unusual forms: each RPC returns the same as for the usual form."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio

from .calls import Ended, Serve, ended, plain_channel
from .every_rpc import EVERY_RPC, Called, Upstream, names, running

DONE = "data: [DONE]\n\n"
_FRAME = {"id": "i", "model": "m", "created": 1, "object": "chunk"}
_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}

STREAMS = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
every_stream = pytest.mark.parametrize("rpc", STREAMS, ids=names(STREAMS))
choice_streams = pytest.mark.parametrize(
    "rpc",
    [rpc for rpc in STREAMS if not rpc.settings],
    ids=names(tuple(rpc for rpc in STREAMS if not rpc.settings)),
)


def finish(rpc: Called, index: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = {"text": ""} if rpc.name.startswith("Completion") else {"delta": {}}
    return _FRAME | {"choices": [{"index": index, **said, "finish_reason": "stop"}]}


USAGE = _FRAME | {"choices": [], "usage": _USAGE}


def whole(rpc: Called) -> list[str]:
    """Returns the events of a complete stream."""
    if rpc.settings:
        created = {"type": "response.created", "response": _RESPONSE | {"status": "in_progress"}}
        return written(created, rpc.event, {"type": "response.completed", "response": _RESPONSE})
    return written(rpc.event, finish(rpc), USAGE)


def written(*events: Any) -> list[str]:
    return [f"data: {json.dumps(event)}\n\n" for event in events]


def answer(body: str | bytes, size: int = 7) -> bytes:
    """Returns an event stream in chunks of a few bytes."""
    data = body.encode() if isinstance(body, str) else body
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    head = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    return b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + chunks + b"0\r\n\r\n"


async def called(rpc: Called, serve: Serve, reply: bytes) -> Ended:
    async with running(Upstream(reply)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **rpc.settings)
        async with plain_channel(service) as channel:
            call, received = rpc.start(channel), list[Any]()
            try:
                async for message in call:
                    received.append(message)
            except aio.AioRpcError as error:
                result = ended(error)
                result.received = received
                return result
            return Ended(await call.code(), await call.details(), received=received)


NOTHING = (
    "data:\n\n",
    "data: null\n\n",
    'data: ""\n\n',
    "data: {}\n\n",
    "event: ping\n\n",
    "id: 7\nretry: 5\n\n",
    ": comment\n\n",
    "\n\n",
)
Form = Callable[[list[str]], str]
FORMS: dict[str, Form] = {
    "empty events everywhere": lambda events: "".join(
        "".join(NOTHING) + event for event in [*events, DONE, ""]
    ),
    "lines that end with CR": lambda events: "".join([*events, DONE]).replace("\n", "\r"),
    "lines that end with CRLF": lambda events: "".join([*events, DONE]).replace("\n", "\r\n"),
    "a byte order mark": lambda events: "\N{BYTE ORDER MARK}" + "".join([*events, DONE]),
    "an empty choice with the usage": lambda events: "".join([*events, DONE]).replace(
        '"choices": []', '"choices": [{"index": 0, "delta": {}}]'
    ),
    "a blank after DONE": lambda events: "".join([*events, "data: [DONE] \t\n\n"]),
    "DONE twice": lambda events: "".join([*events, DONE, DONE]),
    "no blank line at the end": lambda events: "".join(events)[:-1],
    "no end of the last line": lambda events: "".join(events)[:-2],
    "DONE on the next line": lambda events: "".join(events)[:-1] + DONE,
    "an error after the end": lambda events: "".join(
        [*events, 'data: {"error": {"message": "late", "code": 500}}\n\n', DONE]
    ),
    "no event after the end": lambda events: "".join([*events, "data: {\n\n", DONE]),
}


@every_stream
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_a_complete_stream_in_another_form(rpc: Called, serve: Serve, form: Form) -> None:
    usual = await called(rpc, serve, answer("".join([*whole(rpc), DONE])))
    assert usual.code is Code.OK
    unusual = await called(rpc, serve, answer(form(whole(rpc))))
    assert (unusual.code, unusual.message) == (Code.OK, "")
    assert unusual.received == usual.received


Tail = Callable[[Called], list[Any]]
TAILS: dict[str, Tail] = {
    "usage again": lambda _: [USAGE],
    "a second finish": lambda rpc: [finish(rpc)],
    "an empty choice": lambda _: [_FRAME | {"choices": [{"index": 0, "delta": {}}]}],
    "an empty piece of a call": lambda _: [
        _FRAME | {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}
        for piece in (None, {"index": 1, "type": "function", "function": {"arguments": ""}})
    ],
    "no choices": lambda _: [_FRAME | {"choices": None}, {"choices": [None]}],
}


@choice_streams
@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
async def test_empty_events_after_the_usage(rpc: Called, serve: Serve, tail: Tail) -> None:
    usual = await called(rpc, serve, answer("".join([*whole(rpc), DONE])))
    unusual = await called(rpc, serve, answer("".join([*whole(rpc), *written(*tail(rpc)), DONE])))
    assert unusual.code is Code.OK
    assert _ended(unusual) == _ended(usual)


def _ended(result: Ended) -> list[Any]:
    """Returns the messages up to the first with usage, and the differences of later ones."""
    place = next(n for n, one in enumerate(result.received) if "total_tokens: 3" in str(one))
    last = result.received[place]
    return [*result.received[: place + 1], *(one for one in result.received[place:] if one != last)]


@choice_streams
async def test_a_second_finish_before_the_usage(rpc: Called, serve: Serve) -> None:
    usual = await called(rpc, serve, answer("".join([*whole(rpc), DONE])))
    first, end, last = whole(rpc)
    unusual = await called(rpc, serve, answer("".join([first, end, end, last, DONE])))
    assert unusual.code is Code.OK
    assert unusual.received == usual.received


@choice_streams
@pytest.mark.parametrize("follows", [[USAGE], []], ids=["usage", "nothing"])
async def test_a_finish_reason_that_is_not_a_text(
    rpc: Called, serve: Serve, follows: list[Any]
) -> None:
    end = finish(rpc)
    end["choices"][0]["finish_reason"] = 3
    result = await called(rpc, serve, answer("".join([*written(rpc.event, end, *follows), DONE])))
    assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")


@choice_streams
async def test_new_keys_after_the_usage_are_passed_on(rpc: Called, serve: Serve) -> None:
    [cost] = written({"id": "i", "choices": [], "x-cost": "0.00001400"})
    result = await called(rpc, serve, answer("".join([*whole(rpc), cost, DONE])))
    assert result.code is Code.OK
    assert "x-cost" in str(result.received[-1])
    assert "0.00001400" in str(result.received[-1])
    assert "total_tokens: 3" in str(result.received[-1])


@every_stream
async def test_content_after_the_end_makes_a_stream_incomplete(rpc: Called, serve: Serve) -> None:
    more = written(rpc.event)
    result = await called(rpc, serve, answer("".join([*whole(rpc), *more, DONE])))
    assert result.code is Code.INTERNAL
    assert result.reason == "UPSTREAM_MALFORMED_RESPONSE"


@every_stream
async def test_a_cut_event_at_the_end_of_a_body_does_not_count(rpc: Called, serve: Serve) -> None:
    body = "".join(whole(rpc))[:-3]
    result = await called(rpc, serve, answer(body))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")


@every_stream
async def test_a_complete_event_at_the_end_of_a_cut_body_does_not_count(
    rpc: Called, serve: Serve
) -> None:
    reply = answer("".join(whole(rpc))[:-1]).removesuffix(b"0\r\n\r\n")
    result = await called(rpc, serve, reply)
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")
