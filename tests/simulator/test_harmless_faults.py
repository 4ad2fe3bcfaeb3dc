"""Each harmless fault writes a stream in the form that its description promises."""

import gzip
import json
import re
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import PATH, Stream, chat, client, stream, user
from .test_chat import BOTH, TIME, WEATHER

HELLO = user("Say hello.", stream_options={"include_usage": True})
TEXT = "Hello! How can I help you today?"
CALLS = user(BOTH, tools=[WEATHER, TIME])
DONE = b"data: [DONE]\n\n"


async def raw(http: httpx.AsyncClient, fault: str, body: Any = HELLO, path: str = PATH) -> bytes:
    """Returns the bytes of a stream."""
    said = (await http.post(path, json={**body, "stream": True}, headers=asking(fault))).content
    return re.sub(rb'"created":1\d+', b'"created":1', said)


def asking(fault: str) -> dict[str, str]:
    """Returns the headers of a request whose answer always has the same id."""
    return {"x-simulate": fault, "x-request-id": "same"}


def calls_of(parts: Stream) -> list[Any]:
    """Returns the pieces of tool calls."""
    return [call for delta in parts.deltas() for call in delta.get("tool_calls") or ()]


@pytest.fixture
def responses(http: httpx.AsyncClient) -> Any:
    """Requests the events of a response."""

    async def ask(fault: str) -> list[Any]:
        said = await raw(http, fault, {"input": "Say hello."}, "/v1/responses")
        return [json.loads(line[6:]) for line in said.split(b"\n") if line.startswith(b"data: ")]

    return ask


# Empty events

EMPTY = {
    "data": b"data:\n\n",
    "blank": b"data: \n\n",
    "null": b"data: null\n\n",
    "object": b"data: {}\n\n",
    "field": b"data\n\n",
    "event": b"event: ping\n\n",
    "id": b"id: 7\n\n",
    "retry": b"retry: 3000\n\n",
    "named": b"event: ping\nid: 8\ndata: null\n\n",
    "comment": b": ping\n",
    "line": b"\n",
    "unknown": b"x-field: 1\n",
}


@pytest.mark.parametrize("form", EMPTY)
async def test_empty_events(http: httpx.AsyncClient, form: str) -> None:
    plain = await raw(http, "")
    said = await raw(http, f"empty-events;form={form}")
    assert said.count(EMPTY[form] + b"data: ") == 13
    assert len(said) == len(plain) + 13 * len(EMPTY[form])


async def test_empty_events_of_all_forms_at_some_places(http: httpx.AsyncClient) -> None:
    assert (await raw(http, "empty-events;form=all")).count(EMPTY["null"]) == 2
    assert (await raw(http, "empty-events;form=null;after=3;every=4")).count(EMPTY["null"]) == 3
    assert (
        b"valid forms: all, data, blank"
        in (await chat(http, user("Hi"), "empty-events;form=x")).content
    )


async def test_keep_alives(http: httpx.AsyncClient, responses: Any) -> None:
    parts = await stream(http, HELLO, "keep-alives;every=5")
    alive = [event for event in parts.events if event["model"] == "keepalive"]
    assert parts.events[0] == alive[0]
    assert alive[0]["choices"] == []
    assert (len(alive), len(parts.events), parts.text) == (3, 15, TEXT)
    assert {"type": "keepalive"} in await responses("keep-alives")


# The end of a stream


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("blank", b"\n\ndata: [DONE] \n\n"),
        ("tight", b"\n\ndata:[DONE]\n\n"),
        ("named", b"\n\nevent: done\n" + DONE),
        ("twice", b"\n\n" + DONE + DONE),
    ],
)
async def test_done(http: httpx.AsyncClient, form: str, end: bytes) -> None:
    assert (await raw(http, f"done;form={form}")).endswith(b"}" + end)


async def test_tail_before_done(http: httpx.AsyncClient) -> None:
    cost = (await stream(http, HELLO, "tail;form=cost")).events
    assert cost[-1] == {"choices": [], "x-cost": "0.00001400"}
    assert cost[-2]["usage"]
    assert (await stream(http, HELLO, "tail;form=nothing")).events[-1] == {"choices": []}
    again = (await stream(http, HELLO, "tail;form=usage")).events
    assert again[-1] == again[-2]
    assert again[-1]["usage"]
    assert (await stream(http, HELLO, "no-done, tail")).events[-1] == cost[-1]


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("comment", b": bye\n\n"),
        ("event", b"event: done\n\n"),
        ("broken", b'data: {"choices": [\n\n'),
        ("text", b"bye"),
    ],
)
async def test_tail_after_done(http: httpx.AsyncClient, form: str, end: bytes) -> None:
    assert (await raw(http, f"tail;form={form}")).endswith(DONE + end)


async def test_tail_of_a_response(http: httpx.AsyncClient) -> None:
    body = {"input": "Say hello."}
    assert (await raw(http, "tail;form=cost", body, "/v1/responses")).endswith(DONE)
    assert b"unknown form 'x'" in (await chat(http, user("Hi"), "tail;form=x")).content


async def test_finish_again(http: httpx.AsyncClient) -> None:
    parts = await stream(http, {**HELLO, "n": 2}, "finish-again")
    for index in range(2):
        first, second = [one for one in parts.choices(index) if one["finish_reason"]]
        assert second == {"index": index, "delta": {}, "finish_reason": first["finish_reason"]}


async def test_unended(http: httpx.AsyncClient) -> None:
    assert (await raw(http, "unended")).endswith(b"[DONE]\n")
    assert (await raw(http, "unended;ends=0")).endswith(b"[DONE]")
    assert (await raw(http, "unended, no-done")).endswith(b"}\n")
    assert (await raw(http, "crlf, unended")).endswith(b"[DONE]\r\n")


# The same JSON in other forms


@pytest.mark.parametrize(
    ("form", "index", "total"),
    [("float", "0.0", "22.0"), ("text", '"0"', '"22"')],
)
async def test_numbers(http: httpx.AsyncClient, form: str, index: str, total: str) -> None:
    said = (await raw(http, f"numbers;form={form}")).decode()
    assert f'"index":{index},' in said
    assert re.search(r'"created":"?1\d*[.0]*"?,', said)
    plain = json.loads((await chat(http, user("Say hello."))).content)["usage"]["total_tokens"]
    assert f'"total_tokens":{total.replace("22", str(plain))}' in said


async def test_times_with_fractions(http: httpx.AsyncClient) -> None:
    event = (await stream(http, HELLO, "numbers;form=fraction")).events[-1]
    assert event["created"] % 1 == 0.5
    assert isinstance(event["usage"]["total_tokens"], int)
    assert b"unknown form 'x'" in (await chat(http, user("Hi"), "numbers;form=x")).content


async def test_nulls(http: httpx.AsyncClient) -> None:
    parts = await stream(http, CALLS, "nulls")
    assert all("usage" in event and "error" in event for event in parts.events)
    assert {"reasoning", "refusal", "tool_calls", "role"} <= parts.deltas()[1].keys()
    *_, last = calls_of(parts)
    assert (last["id"], last["type"], last["function"]["name"]) == (None, None, None)
    whole = (await chat(http, user("Hi"), "nulls")).json()
    assert whole["choices"][0]["message"]["reasoning_content"] is None


async def test_empties(http: httpx.AsyncClient) -> None:
    parts = await stream(http, CALLS, "empties")
    assert parts.deltas()[-1]["content"] == ""
    assert parts.deltas()[-1]["tool_calls"] == []
    *_, last = calls_of(parts)
    assert (last["id"], last["function"]["name"]) == ("", "")
    texts = await raw(http, "empties", {"prompt": "x"}, "/v1/completions")
    assert b'"finish_reason":""' not in texts


async def test_no_nulls(http: httpx.AsyncClient, responses: Any) -> None:
    assert b"null" in await raw(http, "")
    assert b"null" not in await raw(http, "no-nulls")
    assert b"null" not in (await chat(http, user("Hi"), "no-nulls")).content
    assert "null" not in json.dumps(await responses("no-nulls"))


async def test_first_only(http: httpx.AsyncClient, responses: Any) -> None:
    first, *others = (await stream(http, HELLO, "first-only")).events
    keys = {"id", "object", "created", "model"}
    assert keys <= first.keys()
    assert not any(keys & event.keys() for event in others)
    assert not any("sequence_number" in event for event in await responses("first-only"))


async def test_roles(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "roles")
    assert all(delta["role"] == "assistant" for delta in parts.deltas())


async def test_repeated_calls(http: httpx.AsyncClient) -> None:
    plain = calls_of(await stream(http, CALLS))
    calls = calls_of(await stream(http, CALLS, "repeated-calls"))
    assert len(calls) == len(plain) > 4
    names = {(call["id"], call["type"], call["function"]["name"]) for call in calls}
    assert {name for _, _, name in names} == {"get_weather", "get_time"}
    assert len(names) == 2


async def test_call_index(http: httpx.AsyncClient) -> None:
    assert not any("index" in call for call in calls_of(await stream(http, CALLS, "call-index")))
    zero = calls_of(await stream(http, CALLS, "call-index;form=zero"))
    assert {call["index"] for call in zero} == {0}
    assert b"unknown form 'x'" in (await chat(http, user("Hi"), "call-index;form=x")).content


async def test_no_zeros(http: httpx.AsyncClient, responses: Any) -> None:
    events = (await stream(http, {**HELLO, "n": 2}, "no-zeros")).events
    indices = {choice.get("index") for event in events for choice in event["choices"]}
    assert indices == {None, 1}
    assert not any(event.get("content_index") == 0 for event in await responses("no-zeros"))


async def test_bare_responses(responses: Any) -> None:
    events = await responses("bare-responses")
    assert events[0] == {"type": "response.created", "sequence_number": 0}
    assert events[-1]["response"]["output"] == []
    assert any(event["type"] == "response.output_item.done" for event in events)


async def test_no_items(responses: Any) -> None:
    assert any("item_id" in event for event in await responses(""))
    assert not any("item_id" in event for event in await responses("no-items"))


async def test_escapes(http: httpx.AsyncClient) -> None:
    said = await raw(http, "escapes", user("Grüße 👋"))
    assert said.isascii()
    assert b'" : "' in said
    assert rb"\ud83d" in said


async def test_argument_objects(http: httpx.AsyncClient) -> None:
    calls = calls_of(await stream(http, CALLS, "argument-objects"))
    expected = [{"city": "Paris"}, {"city": "London"}]
    assert [call["function"]["arguments"] for call in calls] == expected
    whole = (await chat(http, CALLS, "argument-objects")).json()["choices"][0]["message"]
    assert [call["function"]["arguments"] for call in whole["tool_calls"]] == expected


@pytest.mark.parametrize(
    "fault", ["roles, nulls", "repeated-calls", "call-index", "call-index;form=zero", "empties"]
)
async def test_calls_are_merged_across_text(http: httpx.AsyncClient, fault: str) -> None:
    calls = calls_of(await stream(http, CALLS, f"{fault}, several-tool-deltas"))
    assert [
        (call["function"]["name"], call["function"]["arguments"]) for call in calls if call
    ] == [
        ("get_weather", '{"city": "Paris"}'),
        ("get_time", '{"city": "London"}'),
    ]


async def test_logprobs_stay_if_calls_are_merged(http: httpx.AsyncClient) -> None:
    def tokens(parts: Stream) -> list[str]:
        found = [choice.get("logprobs") for choice in parts.choices()]
        return [entry["token"] for one in found if one for entry in one["content"]]

    body = {**CALLS, "logprobs": True}
    gathered = tokens(await stream(http, body, "several-tool-deltas"))
    assert gathered == tokens(await stream(http, body)) != []


async def test_empty_reasoning_next_to_its_old_name(http: httpx.AsyncClient) -> None:
    thought = user("What is 2+2?", reasoning_effort="low")
    parts = await stream(http, thought, "reasoning-content;empty=1")
    thinking = [delta for delta in parts.deltas() if "reasoning_content" in delta]
    assert "Two plus two" in "".join(delta["reasoning_content"] for delta in thinking)
    assert all(delta["reasoning"] == "" for delta in thinking)


async def test_unknown_fields_everywhere(http: httpx.AsyncClient, responses: Any) -> None:
    parts = await stream(http, CALLS, "unknown-fields")
    assert all("penstock_unknown" in call for call in calls_of(parts))
    usage = (await stream(http, HELLO, "unknown-fields")).events[-1]["usage"]
    assert "penstock_unknown" in usage
    for event in await responses("unknown-fields"):
        for holder in (event, event.get("response"), event.get("item"), event.get("part")):
            assert holder is None or "penstock_unknown" in holder


# Bytes


async def test_cr(http: httpx.AsyncClient) -> None:
    said = await raw(http, "cr")
    assert said == (await raw(http, "")).replace(b"\n", b"\r")


async def test_mixed_line_ends(http: httpx.AsyncClient) -> None:
    said = await raw(http, "mixed-line-ends, empty-events;form=line")
    ends = re.findall(rb"\r\n|\r|\n", said)
    assert set(ends) == {b"\r\n", b"\r", b"\n"}
    # No line ending merges with the next one.
    assert len(ends) == (await raw(http, "empty-events;form=line")).count(b"\n")


async def test_byte_order_mark(http: httpx.AsyncClient) -> None:
    assert await raw(http, "byte-order-mark") == b"\xef\xbb\xbf" + await raw(http, "")


async def test_split_bytes_wherever_events_end(http: httpx.AsyncClient) -> None:
    body = {**HELLO, "stream": True}
    headers = asking("split-bytes;size=1000")
    async with http.stream("POST", PATH, json=body, headers=headers) as response:
        blocks = [block async for block in response.aiter_raw()]
    *full, rest = blocks
    assert len(full) > 1
    assert {len(block) for block in full} == {1000} != {len(rest)}


async def test_gzip_members() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", faults="gzip members=1 coding=x-gzip")
    async with Simulator(settings) as simulator, client(simulator.url) as http:
        body = {**HELLO, "stream": True}
        async with http.stream("POST", PATH, json=body) as response:
            packed = b"".join([block async for block in response.aiter_raw()])
    assert response.headers["content-encoding"] == "x-gzip"
    assert packed.count(b"\x1f\x8b\x08") >= 12
    assert gzip.decompress(packed).endswith(DONE)
