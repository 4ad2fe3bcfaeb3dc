"""Each fault has the effect that its description promises."""

import asyncio
import json
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import connect

from penstock_server.simulator import FAULTS, Simulator, SimulatorSettings

from .calls import PATH, Stream, chat, client, stream, user
from .test_chat import BOTH, TIME, WEATHER

HELLO = user("Say hello.")
USAGE = user("Say hello.", stream_options={"include_usage": True})
THOUGHT = user("What is 2+2?", reasoning_effort="low")


async def raw_stream(simulator: Simulator, fault: str) -> tuple[bytes, BaseException | None]:
    """Returns all bytes of a stream, and the error that ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    body = json.dumps({**HELLO, "stream": True}).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"connection: close\r\nx-simulate: {fault}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    received = b""
    try:
        while data := await reader.read(65536):
            received += data
    except ConnectionResetError as error:
        return received, error
    finally:
        writer.close()
    return received, None


async def read_until_cut(http: httpx.AsyncClient, fault: str) -> list[Any]:
    """Returns the events before the connection breaks."""
    events: list[Any] = []
    body = {**HELLO, "stream": True}
    async with http.stream("POST", PATH, json=body, headers={"x-simulate": fault}) as response:
        try:
            async for line in response.aiter_lines():
                events += [json.loads(line[6:])] if line.startswith("data: ") else []
        except httpx.RemoteProtocolError:
            return events
    raise AssertionError("the stream ended as if it were whole")


# Requests for a fault


async def test_a_fault_in_the_prompt_is_not_answered_as_text(http: httpx.AsyncClient) -> None:
    refused = await chat(http, user("Say hello. [[simulate: status code=503]]"))
    assert refused.status_code == 503
    plain = await chat(http, user("Say hello. [[simulate: unknown-fields]]"))
    assert plain.json()["choices"][0]["message"]["content"] == "Hello! How can I help you today?"


async def test_only_the_last_message_counts(http: httpx.AsyncClient) -> None:
    messages = [*user("Hi [[simulate: status]]")["messages"], *user("Hi")["messages"]]
    assert (await chat(http, {"messages": messages})).status_code == 200


async def test_header_overrides_prompt_and_setting() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", faults="status;code=500")
    async with Simulator(settings) as running, client(running.url) as http:
        assert (await chat(http, HELLO)).status_code == 500
        prompt = user("Hi [[simulate: status code=501]]")
        assert (await chat(http, prompt)).status_code == 501
        assert (await chat(http, prompt, "status;code=502")).status_code == 502
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/health", headers={"x-simulate": "status"})).status_code == 500
        running.faults = ""
        assert (await chat(http, HELLO)).status_code == 200


async def test_several_faults_at_once(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "comments, no-done;")
    assert b": comment" in parts.raw
    assert not parts.done


@pytest.mark.parametrize(
    "wrong", ["nothing", "cut;afterwards=1", "cut;after=x", "stall;heartbeats=?"]
)
async def test_unknown_fault_is_refused(http: httpx.AsyncClient, wrong: str) -> None:
    response = await chat(http, HELLO, wrong)
    assert response.status_code == 400
    assert wrong.partition(";")[0] in response.json()["error"]["message"]


def test_every_fault_has_a_description() -> None:
    assert all(fault.description.endswith(".") for fault in FAULTS.values())


# Bodies


@pytest.mark.parametrize("code", [418, 429, 500, 502, 503, 504])
async def test_status(http: httpx.AsyncClient, code: int) -> None:
    response = await chat(http, HELLO, f"status;code={code};retry_after=7;message=busy")
    assert response.status_code == code
    assert response.headers["retry-after"] == "7"
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["message"] == "busy"


async def test_values_with_commas_and_spaces(http: httpx.AsyncClient) -> None:
    date = formatdate(time.time() + 60, usegmt=True)
    response = await chat(http, HELLO, f"status;code=503;retry_after={quote(date)}")
    assert response.headers["retry-after"] == date
    asked = user(f"Hi [[simulate: status code=418 message={quote('so, so')}]]")
    assert (await chat(http, asked)).json()["error"]["message"] == "so, so"


BODIES: dict[str, Callable[[httpx.Response], bool]] = {
    "nested": lambda r: r.json()["error"]["code"] == 503,
    "flat": lambda r: r.json()["object"] == "error" and r.json()["code"] == 503,
    "string": lambda r: isinstance(r.json()["error"], str),
    "detail": lambda r: isinstance(r.json()["detail"], str),
    "detail-list": lambda r: isinstance(r.json()["detail"], list),
    "empty": lambda r: r.content == b"" and "content-type" not in r.headers,
    "html": lambda r: r.headers["content-type"] == "text/html" and b"<html>" in r.content,
    "text": lambda r: r.headers["content-type"] == "text/plain" and bool(r.text),
}


@pytest.mark.parametrize("body", BODIES)
async def test_body_of_a_status(http: httpx.AsyncClient, body: str) -> None:
    response = await chat(http, HELLO, f"status;code=503;body={body}")
    assert response.status_code == 503
    assert BODIES[body](response)


async def test_status_instead_of_a_stream(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "status;code=503")
    assert parts.response.status_code == 503


async def test_redirect(http: httpx.AsyncClient) -> None:
    response = await chat(http, HELLO, "status;code=307;location=http://127.0.0.1:1/")
    assert response.is_redirect


@pytest.mark.parametrize(("code", "value"), [("429", 429), ("rate_limited", "rate_limited")])
async def test_error_in_200(http: httpx.AsyncClient, code: str, value: Any) -> None:
    nested = await chat(http, HELLO, f"error-in-200;code={code}")
    flat = await chat(http, HELLO, f"error-in-200;code={code};body=flat")
    assert nested.status_code == flat.status_code == 200
    assert nested.json()["error"]["code"] == value
    assert flat.json()["code"] == value


async def test_html(http: httpx.AsyncClient) -> None:
    response = await chat(http, HELLO, "html")
    assert response.headers["content-type"].startswith("text/html")
    assert "<html>" in response.text


async def test_empty_body(http: httpx.AsyncClient) -> None:
    assert (await chat(http, HELLO, "empty-body")).content == b""
    parts = await stream(http, HELLO, "empty-body")
    assert parts.raw == b""
    assert parts.response.headers["content-type"].startswith("text/event-stream")


async def test_wrong_content_type(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "wrong-content-type")
    assert parts.response.headers["content-type"] == "text/plain"
    assert parts.done


# Sequences of events


async def test_error_event_first(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "error-event;code=503")
    assert [event["error"]["code"] for event in parts.events] == [503]
    assert parts.done


async def test_error_event_later(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "error-event;after=3")
    assert len(parts.events) == 4
    assert parts.events[-1]["error"]["code"] == 500
    assert not (await stream(http, HELLO, "error-event;after=3;done=0")).done


async def test_error_event_of_a_unary_answer(http: httpx.AsyncClient) -> None:
    assert (await chat(http, HELLO, "error-event;code=503")).status_code == 503


async def test_cut_between_events(http: httpx.AsyncClient, simulator: Simulator) -> None:
    assert len(await read_until_cut(http, "cut;after=3")) == 3
    raw, error = await raw_stream(simulator, "cut;after=3")
    assert error is None
    assert raw.endswith(b"}\n\n\r\n")


async def test_cut_inside_a_chunk(simulator: Simulator) -> None:
    raw, error = await raw_stream(simulator, "cut;after=3;mid_chunk=1")
    assert error is None
    assert raw.count(b"data: ") == 4
    assert not raw.endswith(b"\n\n\r\n")


async def test_cut_before_done(http: httpx.AsyncClient) -> None:
    assert len(await read_until_cut(http, "cut;after=999")) == 11


async def test_cut_of_a_unary_answer(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="received"):
        await chat(http, HELLO, "cut")


async def test_reset(simulator: Simulator, http: httpx.AsyncClient) -> None:
    _, error = await raw_stream(simulator, "reset;after=3")
    assert isinstance(error, ConnectionResetError)
    with pytest.raises(httpx.ReadError):
        await chat(http, HELLO, "reset")


async def test_no_done(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "no-done")
    assert (len(parts.events), parts.done) == (11, False)


async def test_done_only(http: httpx.AsyncClient) -> None:
    assert (await stream(http, HELLO, "done-only")).raw == b"data: [DONE]\n\n"


async def test_events_after_done(http: httpx.AsyncClient) -> None:
    raw = (await stream(http, HELLO, "events-after-done")).raw
    assert b"chat.completion.chunk" in raw.partition(b"[DONE]")[2]


async def test_no_usage(http: httpx.AsyncClient) -> None:
    assert "usage" not in (await chat(http, HELLO, "no-usage")).json()
    parts = await stream(http, USAGE, "no-usage")
    assert not any("usage" in event for event in parts.events)
    assert parts.done


async def test_no_finish(http: httpx.AsyncClient) -> None:
    assert (await stream(http, HELLO, "no-finish")).finish is None
    whole = (await chat(http, HELLO, "no-finish")).json()
    assert whole["choices"][0]["finish_reason"] is None


async def test_duplicate_finish(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "duplicate-finish")
    assert [c["finish_reason"] for c in parts.choices()].count("stop") == 2


async def test_malformed_event(http: httpx.AsyncClient, simulator: Simulator) -> None:
    raw, _ = await raw_stream(simulator, "malformed-event;after=2")
    assert raw.count(b"chat.completion.chunk") == 11
    before, broken, _ = raw.partition(b'data: {"id": "chatcmpl-broken"')
    assert broken
    assert before.count(b"data: ") == 2
    whole = await chat(http, HELLO, "malformed-event")
    with pytest.raises(ValueError, match="Expecting"):
        whole.json()


async def test_comments(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "comments")
    assert parts.raw.count(b": comment\n\n") == 12
    assert parts.text == "Hello! How can I help you today?"


async def test_several_tool_deltas(http: httpx.AsyncClient) -> None:
    body = user(BOTH, tools=[WEATHER, TIME])
    parts = await stream(http, body, "several-tool-deltas")
    deltas = [delta["tool_calls"] for delta in parts.deltas() if delta.get("tool_calls")]
    assert [[call["function"] for call in calls] for calls in deltas] == [
        [
            {"name": "get_weather", "arguments": '{"city": "Paris"}'},
            {"name": "get_time", "arguments": '{"city": "London"}'},
        ]
    ]
    assert parts.text == "Let me check both.\n"
    assert parts.finish == "tool_calls"


# Documents


async def edited(http: httpx.AsyncClient, fault: str, body: Any = USAGE) -> tuple[Any, Stream]:
    whole = {key: value for key, value in body.items() if key != "stream_options"}
    return (await chat(http, whole, fault)).json(), await stream(http, body, fault)


async def test_wrong_type(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "wrong-type")
    assert whole["choices"][0]["message"]["content"] == 42
    assert {"content": 42} in parts.deltas()


async def test_missing_choices(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "missing-choices")
    assert "choices" not in whole
    assert not any("choices" in event for event in parts.events)


async def test_missing_index(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, HELLO, "missing-index")).json()
    assert "index" not in whole["choices"][0]


async def test_huge_int(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "huge-int")
    assert whole["usage"]["prompt_tokens"] > 2**31
    assert parts.events[-1]["usage"]["prompt_tokens"] > 2**31


async def test_unknown_fields(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "unknown-fields")
    choice, event = whole["choices"][0], parts.events[0]
    for holder in (whole, choice, choice["message"], event, event["choices"][0]):
        assert holder["penstock_unknown"]
    assert parts.deltas()[0]["penstock_unknown"]


async def test_unknown_finish(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "unknown-finish")
    assert whole["choices"][0]["finish_reason"] == parts.finish == "galactic"


async def test_reasoning_content(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "reasoning-content", THOUGHT)
    message = whole["choices"][0]["message"]
    assert "reasoning" not in message
    assert "Two plus two" in message["reasoning_content"]
    assert "Two plus two" in "".join(d.get("reasoning_content", "") for d in parts.deltas())
    both = (await chat(http, THOUGHT, "reasoning-content;both=1")).json()["choices"][0]["message"]
    assert both["reasoning"] == both["reasoning_content"]


async def test_no_role(http: httpx.AsyncClient) -> None:
    whole, parts = await edited(http, "no-role")
    assert "role" not in whole["choices"][0]["message"]
    assert not any("role" in delta for delta in parts.deltas())


# Bytes


async def test_split_bytes(http: httpx.AsyncClient, simulator: Simulator) -> None:
    raw, _ = await raw_stream(simulator, "split-bytes")
    assert b"1\r\nd\r\n1\r\na\r\n1\r\nt\r\n1\r\na\r\n" in raw
    assert (await stream(http, HELLO, "split-bytes")).text == "Hello! How can I help you today?"
    assert (await chat(http, HELLO, "split-bytes")).json()["choices"]


async def test_crlf(http: httpx.AsyncClient) -> None:
    headers = {"x-simulate": "crlf"}
    raw = (await http.post(PATH, json={**HELLO, "stream": True}, headers=headers)).content
    assert raw.count(b"\r\n\r\n") == 12
    assert raw.count(b"\n") == raw.count(b"\r\n")


async def test_multi_line_data(http: httpx.AsyncClient, simulator: Simulator) -> None:
    raw, _ = await raw_stream(simulator, "multi-line-data")
    body = (
        await http.post(
            PATH,
            json={**user('a, "b", c'), "stream": True},
            headers={"x-simulate": "multi-line-data"},
        )
    ).text
    events = [event.split("\n") for event in body.split("\n\n") if event]
    joined = ["\n".join(line[6:] for line in lines) for lines in events]
    assert all(len(lines) > 3 for lines in events[:-1])
    texts = [json.loads(data)["choices"][0]["delta"].get("content", "") for data in joined[:-1]]
    assert "".join(texts) == 'You said: a, "b", c'
    assert raw.count(b"\ndata: ") > 12


async def test_lone_surrogate(http: httpx.AsyncClient) -> None:
    whole = await chat(http, HELLO, "lone-surrogate")
    assert json.loads(whole.content)["choices"][0]["message"]["content"].startswith("\ud83d")
    parts = await stream(http, HELLO, "lone-surrogate")
    assert parts.text.startswith("\ud83dHello")


async def test_invalid_utf8(http: httpx.AsyncClient, simulator: Simulator) -> None:
    whole = await chat(http, HELLO, "invalid-utf8")
    raw, _ = await raw_stream(simulator, "invalid-utf8")
    for data in (whole.content, raw):
        with pytest.raises(UnicodeDecodeError):
            data.decode()


async def test_nan(http: httpx.AsyncClient) -> None:
    assert b'"total_tokens":NaN' in (await chat(http, HELLO, "nan")).content


@pytest.mark.parametrize("streamed", [False, True])
async def test_wrong_length_that_is_too_long(http: httpx.AsyncClient, streamed: bool) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await chat(http, {**HELLO, "stream": streamed}, "wrong-length;by=3")


@pytest.mark.parametrize("by", [0, -20])
async def test_wrong_length_that_is_too_short(simulator: Simulator, by: int) -> None:
    received, _ = await raw_stream(simulator, f"wrong-length;by={by}")
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {len(body) + by}".encode() in head.lower()
    assert body.endswith(b"data: [DONE]\n\n")


async def test_gzip(http: httpx.AsyncClient) -> None:
    parts = await stream(http, HELLO, "gzip")
    assert parts.response.headers["content-encoding"] == "gzip"
    assert parts.text == "Hello! How can I help you today?"
    headers = {"x-simulate": "gzip"}
    async with http.stream("POST", PATH, json=HELLO, headers=headers) as response:
        packed = b"".join([part async for part in response.aiter_raw()])
    assert json.loads(zlib.decompress(packed, wbits=31))["object"] == "chat.completion"


# Time


async def test_slow_headers(http: httpx.AsyncClient) -> None:
    started = time.perf_counter()
    assert (await chat(http, HELLO, "slow-headers;seconds=0.05")).status_code == 200
    assert time.perf_counter() - started >= 0.05


async def test_slow_first_event(http: httpx.AsyncClient) -> None:
    headers = {"x-simulate": "slow-first-event;seconds=0.05"}
    async with http.stream(
        "POST", PATH, json={**HELLO, "stream": True}, headers=headers
    ) as response:
        started = time.perf_counter()
        await anext(response.aiter_bytes())
    assert time.perf_counter() - started >= 0.04


@pytest.mark.parametrize("fault", ["silent", "stall;after=0", "stall;after=2"])
async def test_silence_lasts_until_the_caller_disconnects(
    simulator: Simulator, http: httpx.AsyncClient, fault: str
) -> None:
    call = asyncio.create_task(stream(http, HELLO, fault))
    await simulator.wait_active(1)
    call.cancel()
    await simulator.wait_aborted(1)
    assert (simulator.active, simulator.aborted) == (0, 1)


async def test_stall_sends_the_first_events(http: httpx.AsyncClient, simulator: Simulator) -> None:
    headers = {"x-simulate": "stall;after=2"}
    body = {**HELLO, "stream": True}
    async with http.stream("POST", PATH, json=body, headers=headers) as response:
        lines = response.aiter_lines()
        seen = [await anext(lines) for _ in range(3)]
    assert [line[:5] for line in seen] == ["data:", "", "data:"]
    await simulator.wait_aborted(1)


async def test_heartbeats(http: httpx.AsyncClient) -> None:
    headers = {"x-simulate": "stall;after=1;heartbeats=1;interval=0.001"}
    body = {**HELLO, "stream": True}
    async with http.stream("POST", PATH, json=body, headers=headers) as response:
        lines = response.aiter_lines()
        seen = [await anext(lines) for _ in range(6)]
    assert seen[2::2] == [": ping", ": ping"]


SPOILED: dict[str, Callable[[list[Any]], bool]] = {
    "no-object": lambda results: results[-1] == "one more",
    "no-index": lambda results: "index" not in results[-1],
    "word-index": lambda results: results[-1]["index"] == "0",
    "outside": lambda results: results[-1]["index"] == 99,
    "twice": lambda results: results[0]["index"] == results[1]["index"],
    "short": lambda results: len(results) == 1,
    "no-score": lambda results: "relevance_score" not in results[-1],
    "null-score": lambda results: results[-1]["relevance_score"] is None,
    "word-score": lambda results: results[-1]["relevance_score"] == "high",
    "renamed": lambda results: all("score" in result for result in results),
}


@pytest.mark.parametrize("how", [*SPOILED, "missing", "no-list"])
async def test_bad_results(how: str) -> None:
    settings = SimulatorSettings(
        listen="127.0.0.1:0", kind="rerank", faults=f"bad-results how={how}"
    )
    body = {"query": "mill", "documents": ["mill", "wheel"]}
    async with Simulator(settings) as simulator, client(simulator.url) as http:
        answer = (await http.post("/v1/rerank", json=body)).json()
    results = answer.get("results")
    if how in SPOILED:
        assert SPOILED[how](results)
    else:
        assert not isinstance(results, list)


async def test_unknown_kind_of_bad_results(http: httpx.AsyncClient) -> None:
    assert "unknown way 'x'" in (await chat(http, HELLO, "bad-results;how=x")).text


async def test_faults_by_path() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="rerank", faults="html")
    body = {"query": "mill", "documents": ["mill"]}
    async with Simulator(settings) as simulator, client(simulator.url) as http:
        simulator.path_faults["/v1/rerank"] = "status code=405"
        found = [(await http.post(path, json=body)) for path in ("/v1/rerank", "/rerank")]
    assert found[0].status_code == 405
    assert found[1].headers["content-type"].startswith("text/html")


async def test_an_error_in_a_live_transcription() -> None:
    settings = SimulatorSettings(
        listen="127.0.0.1:0", kind="realtime", faults="live-error after=1 code=x"
    )
    async with (
        Simulator(settings) as simulator,
        connect(f"ws://127.0.0.1:{simulator.port}/v1/realtime") as socket,
    ):
        created = json.loads(await socket.recv())
        await socket.send('{"type": "x"}')
        errors = [json.loads(await socket.recv()) for _ in range(2)]
    assert created["type"] == "session.created"
    assert [error["code"] for error in errors] == ["x", "unknown_event"]


def test_every_fault_has_a_test() -> None:
    files = Path(__file__).parent.glob("test_*faults.py")
    text = "".join(file.read_text("utf-8") for file in files)
    assert [name for name in FAULTS if f'"{name}' not in text] == []
