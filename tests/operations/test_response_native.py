"""Responses through the upstream's own Responses API: no losses, and no silent ends."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from acceptance.refusals import read, refused
from closed_port import closed_url
from conftest import Serve
from documents import document, value_of
from google.protobuf import text_format
from grpc import aio
from rpc.calls import FREE_PORT, until
from upstream.wire import http

from penstock.channel import open_async_channel
from penstock.v1 import message_pb2, response_pb2
from penstock.v1.common_pb2 import JsonDocument
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock_server.app import Service
from penstock_server.configuration import UpstreamTable
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.convert.response import native_answer, native_request
from penstock_server.fleet import Fleet
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.dialects.versions import NEWEST
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.config import NativeResponses, UpstreamConfig

from . import response_reader
from .canned import canned, in_json
from .response_calls import Responses, asking, check_order, end_of, said, tool

CAPTURES = Path(__file__).parents[1] / "captures" / "response"
WHOLE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "model": "m",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}


def load(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def names(key: str) -> list[str]:
    """Returns the names of captures of unary answers that have a key."""
    found = [path.stem for path in sorted(CAPTURES.glob("*.json"))]
    return [one for one in found if load(one)["status"] == 200 and load(one).get(key)]


# Captured from vLLM


@pytest.mark.parametrize("name", names("body"))
def test_captured_answer(name: str) -> None:
    capture = load(name)["body"]
    response = native_answer.response(capture)
    assert not response.HasField("extra")
    response_reader.check(response)
    assert (response.id, response.model) == (capture["id"], capture["model"])
    shown = response_reader.response_json(response)
    for key in ("status", "temperature", "top_p", "max_output_tokens", "parallel_tool_calls"):
        assert shown[key] == capture[key]
    assert [_essence(item) for item in shown["output"]] == [
        _essence(item) for item in capture["output"]
    ]


def _essence(item: Any) -> Any:
    """Returns an item without its nulls."""
    if isinstance(item, dict):
        return {key: _essence(one) for key, one in item.items() if one not in (None, [])}
    return [_essence(one) for one in item] if isinstance(item, list) else item


@pytest.mark.parametrize("name", [one for one in names("events") if load(one)["complete"]])
def test_captured_stream(name: str) -> None:
    stream = native_answer.NativeStream()
    capture = load(name)["events"]
    events = [stream.message(event) for event in capture]
    assert not any(event.HasField("extra") or event.HasField("other") for event in events)
    assert [response_reader.event_type(event) for event in events] == [
        event["type"] for event in capture
    ]
    check_order(events)
    response_reader.check_stream(events)


def test_incomplete_response_may_end_as_completed() -> None:
    stream = native_answer.NativeStream()
    *_, end = [stream.message(event) for event in load("resp_incomplete_stream")["events"]]
    assert end.WhichOneof("event") == "completed"
    assert end.completed.status == response_pb2.RESPONSE_STATUS_INCOMPLETE
    assert end.completed.incomplete_reason == "max_output_tokens"


# Not sent by any vLLM so far


def item_of(data: Any) -> response_pb2.ResponseItem:
    return native_answer.response(WHOLE | {"output": [data]}).output[0]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"q": "x"}},
        {"type": "message", "id": "m", "role": "wizard", "content": []},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_image", "url": "x"}]},
        {"id": "nameless", "z": 1, "a": {"deep": [1, 2.5, None]}},
    ],
)
def test_unknown_item_is_passed_on_unchanged(data: Any) -> None:
    item = item_of(data)
    assert item.other.json == json.dumps(data, separators=(",", ":"))
    assert not item.id
    request = CreateResponseRequest(input=[item])
    assert _sent(request)["input"] == [data]


def test_further_keys_are_kept_and_can_be_sent_back() -> None:
    data: dict[str, Any] = {"type": "function_call", "id": "fc_1", "status": "completed"}
    data |= {"call_id": "c", "name": "f", "arguments": "{}", "namespace": "n", "caller": None}
    item = item_of(data)
    assert value_of(item.extra) == {"namespace": "n"}
    assert _sent(CreateResponseRequest(input=[item]))["input"] == [
        {key: value for key, value in data.items() if value is not None}
    ]


def test_unknown_part_and_status() -> None:
    part = {"type": "output_image", "url": "x"}
    data = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
    item = item_of(data | {"status": "paused"})
    assert json.loads(item.message.content[0].other.json) == part
    assert value_of(item.extra) == {"status": "paused"}


def test_unknown_event_is_passed_on_unchanged() -> None:
    stream = native_answer.NativeStream()
    event = {"type": "response.web_search_call.searching", "item_id": "ws", "sequence_number": 9}
    message = stream.message(event)
    assert (response_reader.event_type(message), message.sequence_number) == (event["type"], 0)
    assert json.loads(message.other.json) == event


def test_further_keys_of_an_event_are_kept() -> None:
    place = {"output_index": 0, "content_index": 0, "item_id": "m", "sequence_number": 0}
    event = {"type": "response.output_text.delta", "delta": "a", "obfuscation": "xyz"}
    message = native_answer.NativeStream().message(event | place)
    assert message.output_text_delta.text == "a"
    assert value_of(message.extra) == {"obfuscation": "xyz"}


def test_counts_without_a_field_are_kept() -> None:
    usage = WHOLE["usage"] | {"input_tokens_details": {"cached_tokens": 1, "audio_tokens": 2}}
    response = native_answer.response(WHOLE | {"usage": usage})
    assert response.usage.input_tokens_details.cached_tokens == 1
    assert value_of(response.usage.extra) == {"input_tokens_details": {"audio_tokens": 2}}


@pytest.mark.parametrize("broken", [{}, {"id": 1}, WHOLE | {"output": [1]}, WHOLE | {"usage": 5}])
def test_malformed_answer(broken: Any) -> None:
    with pytest.raises(MalformedAnswer):
        native_answer.response(broken)


# Requests


def _sent(request: CreateResponseRequest, *, stream: bool = False) -> Any:
    return orjson.loads(orjson.dumps(native_request.body(request, stream=stream)))


def test_result_of_one_image_is_a_list() -> None:
    request = text_format.Parse(
        """input {function_call_output {call_id: "c" output {image {url: "https://x.org/i"}}}}""",
        CreateResponseRequest(),
    )
    image = {"type": "input_image", "image_url": "https://x.org/i", "detail": "auto"}
    assert _sent(request)["input"][0]["output"] == [image]


def test_request_in_full() -> None:
    request = text_format.Parse(
        """
        model: "m" instructions: "i" parallel_tool_calls: false store: true background: false
        input {message {role: ROLE_USER content {text: "a"}}}
        input {message {role: ROLE_USER content {text: "b"}
               content {image {data: "AB" mime_type: "image/png"}}}}
        input {id: "rs_1" reasoning {content: "r" summary: "s" encrypted_content: "e"}}
        input {id: "msg_1" status: RESPONSE_STATUS_COMPLETED
               message {role: ROLE_ASSISTANT phase: "final_answer"
                        content {text: "t" annotations {json: '{"type": "file_citation"}'}}}}
        input {function_call {call_id: "c" name: "f" arguments: "{}"}}
        input {function_call_output {call_id: "c" output {text: "o"}}}
        sampling {temperature: 0 max_tokens: 7 stop: "x"}
        tools {function {name: "f" parameters {json: '{"type": "object"}'} strict: true}}
        tools {other {json: '{"type": "web_search"}'}}
        tool_choice {function_name: "f"}
        text_format {json_schema {name: "n" schema {json: '{}'}}} text_verbosity: TEXT_VERBOSITY_LOW
        reasoning {effort: "high" summary: REASONING_SUMMARY_AUTO}
        logprobs {top_logprobs: 2} include: "reasoning.encrypted_content"
        previous_response_id: "resp_0" max_tool_calls: 0 truncation: TRUNCATION_AUTO
        service_tier: "flex" metadata {key: "k" value: "v"} user: "u"
        engine {priority: 1 request_id: "resp_mine"}
        prompt_cache_retention: "24h" prompt_cache_options {json: '{"mode": "auto"}'}
        extra_body {json: '{"conversation": "c"}'}
        """,
        CreateResponseRequest(),
    )
    assert _sent(request, stream=True) == {
        "model": "m",
        "instructions": "i",
        "parallel_tool_calls": False,
        "store": True,
        "background": False,
        "input": [
            {"type": "message", "role": "user", "content": "a"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "b"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,QUI=",
                        "detail": "auto",
                    },
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "content": [{"type": "reasoning_text", "text": "r"}],
                "encrypted_content": "e",
            },
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "phase": "final_answer",
                "content": [
                    {
                        "type": "output_text",
                        "text": "t",
                        "annotations": [{"type": "file_citation"}],
                    }
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "o"},
        ],
        "temperature": 0,
        "max_output_tokens": 7,
        "stop": ["x"],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {}},
            "verbosity": "low",
        },
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 2,
        "previous_response_id": "resp_0",
        "max_tool_calls": 0,
        "truncation": "auto",
        "service_tier": "flex",
        "metadata": {"k": "v"},
        "user": "u",
        "priority": 1,
        "request_id": "resp_mine",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "auto"},
        "conversation": "c",
        "stream": True,
    }


def _with_field(text: str) -> CreateResponseRequest:
    request = text_format.Parse(text, CreateResponseRequest())
    if not request.input:
        request.input_text = "x"
    return request


@pytest.mark.parametrize(
    "key",
    [
        *("max_tokens", "max_completion_tokens", "n", "min_tokens", "logprobs"),
        *("stream_options", "messages", "response_format"),
    ],
)
def test_keys_of_a_chat_are_not_ignored(key: str) -> None:
    request = _with_field("sampling {max_tokens: 5}")
    request.extra_body.CopyFrom(document({key: 5}))
    with pytest.raises(InvalidRequest) as caught:
        _sent(request)
    assert caught.value.conflicting
    assert [violation.field for violation in caught.value.violations] == [f"extra_body.{key}"]


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("max_tokens", "sampling.max_tokens"),
        ("max_output_tokens", "sampling.max_tokens"),
        ("input_tokens", "input"),
        ("input_text", "input"),
        ("text.format", "text_format"),
    ],
)
async def test_a_refused_parameter_is_mapped_to_our_field(param: str, field: str) -> None:
    error = {"message": "no", "type": "invalid_request_error", "param": param, "code": 400}
    refusal = in_json({"error": error}, status="400 Bad Request")
    async with canned(refusal, native_responses="always") as (channel, _):
        found = await refused(Responses(channel).stub.CreateResponse(asking("x")))
    assert found.fields == (field,)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("sampling.n", "sampling {n: 2}"),
        ("sampling.min_tokens", "sampling {min_tokens: 2}"),
        ("logprobs.token_ids", "logprobs {token_ids: 2}"),
        ("template.echo", "template {echo: true}"),
        ("text_format.structural_tag", "text_format {structural_tag {json: '{}'}}"),
        ("stream_options.stream_interval", "stream_options {stream_interval: 2}"),
        (
            "input[0].message.content[0].video",
            'input {message {role: ROLE_USER content {video {url: "http://x/v"}}}}',
        ),
        (
            "input[0].message.content[0].audio",
            'input {message {role: ROLE_USER content {audio {url: "http://x/v"}}}}',
        ),
        (
            "input[0].message.content[0].audio",
            'input {message {role: ROLE_USER content {audio {data: "A" mime_type: "audio/ogg"}}}}',
        ),
    ],
)
def test_fields_that_require_a_chat_are_named(field: str, text: str) -> None:
    with pytest.raises(UnsupportedRequest) as caught:
        _sent(_with_field(text), stream=True)
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize(
    "other",
    [
        {"type": "mcp", "function": {"name": "f"}},
        {"type": "custom", "function": "f"},
        {"type": "function", "name": "f"},
        {"type": "function", "function": "f"},
    ],
)
def test_other_types_are_sent_unchanged(other: Any) -> None:
    request = CreateResponseRequest(input_text="x")
    request.tools.add().other.object.update(other)
    request.tool_choice.other.object.update(other)
    sent = _sent(request)
    assert (sent["tools"], sent["tool_choice"]) == ([other], other)


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("input[0].other", response_pb2.ResponseItem(id="x", other=JsonDocument(json="{}"))),
        ("input[0]", response_pb2.ResponseItem(id="x")),
        ("input[0].message.role", said(message_pb2.ROLE_UNSPECIFIED, "x")),
    ],
)
def test_fault_is_named(field: str, item: response_pb2.ResponseItem) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _sent(CreateResponseRequest(input=[item]))
    assert [violation.field for violation in caught.value.violations] == [field]


# Streams that fail


def events(*found: Any) -> bytes:
    """Returns a stream of events that then ends."""
    lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in found]
    head = "content-type: text/event-stream"
    return http("".join(lines).encode(), head, "connection: close")


async def streamed(answer: bytes) -> tuple[list[Any], aio.AioRpcError]:
    """Returns the events of a stream that must fail, and its status."""
    async with canned(answer, native_responses="always") as (channel, _):
        return await Responses(channel).broken(asking("x"))


CREATED = {"type": "response.created", "response": WHOLE | {"status": "in_progress"}}
DELTA = {
    "type": "response.output_text.delta",
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "more",
}


async def test_cut_body() -> None:
    found, error = await streamed(events(CREATED))
    assert [event.WhichOneof("event") for event in found] == ["created"]
    refusal = read(error)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
    assert refusal.metadata["messagesSent"] == "1"
    assert ("grpc-retry-pushback-ms", "-1") in tuple(error.trailing_metadata())


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("server_error", grpc.StatusCode.INTERNAL),
        ("rate_limit_exceeded", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_failed_response(code: str, status: grpc.StatusCode) -> None:
    error = {"code": code, "message": "boom"}
    failed = WHOLE | {"status": "failed", "error": error, "usage": None}
    found, ended = await streamed(events(CREATED, {"type": "response.failed", "response": failed}))
    assert found[-1].failed.status == response_pb2.RESPONSE_STATUS_FAILED
    assert (found[-1].failed.error.code, found[-1].failed.error.message) == (code, "boom")
    assert (read(ended).code, read(ended).message) == (status, "boom")
    async with canned(in_json(failed), native_responses="always") as (channel, _):
        refusal = await refused(Responses(channel).stub.CreateResponse(asking("x")))
        assert (refusal.code, refusal.message) == (status, "boom")
        get = response_pb2.GetResponseRequest(response_id="resp_1")
        assert await refused(Responses(channel).stub.GetResponse(get))


async def test_error_event() -> None:
    error = {"type": "error", "code": "server_error", "message": "boom", "param": None}
    _, ended = await streamed(events(CREATED, error))
    assert (read(ended).code, read(ended).message) == (grpc.StatusCode.INTERNAL, "boom")


@pytest.mark.parametrize(
    "last",
    [
        [{"type": "response.completed", "response": WHOLE | {"usage": None}}],
        [{"type": "response.completed", "response": WHOLE}, DELTA],
        [{"type": "response.completed", "response": WHOLE | {"status": "in_progress"}}],
    ],
    ids=["no usage", "text after the end", "not ended"],
)
async def test_broken_contract(last: list[Any]) -> None:
    _, ended = await streamed(events(CREATED, *last))
    assert read(ended).reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize("status", ["in_progress", "queued"])
async def test_only_background_responses_may_be_in_progress(status: str) -> None:
    async with canned(in_json(WHOLE | {"status": status}), native_responses="always") as (
        channel,
        _,
    ):
        stub = Responses(channel).stub
        request = CreateResponseRequest(input_text="x")
        assert (await refused(stub.CreateResponse(request))).reason == "UPSTREAM_MALFORMED_RESPONSE"
        request.background = True
        assert (await stub.CreateResponse(request)).response.id == "resp_1"


async def test_a_completed_response_that_failed() -> None:
    failed = WHOLE | {"status": "failed", "error": {"code": "server_error", "message": "boom"}}
    _, ended = await streamed(events(CREATED, {"type": "response.completed", "response": failed}))
    assert (read(ended).code, read(ended).message) == (grpc.StatusCode.INTERNAL, "boom")


async def test_stream_ends_with_its_terminal_event_alone() -> None:
    answer = events(CREATED, {"type": "response.incomplete", "response": WHOLE})
    async with canned(answer, native_responses="always") as (channel, _):
        stream = Responses(channel).stub.StreamResponse(asking("x"))
        assert [event.WhichOneof("event") async for event in stream][-1] == "incomplete"


# Choice of the API


async def paths(simulator: Simulator, service: Service, *texts: str) -> list[str]:
    """Returns the paths of requests, without those of the service's own probes."""
    before = len(simulator.requests)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        for text in texts:
            await Responses(channel).whole(asking(text))
    own = ("/health", "/v1/models", "/openapi.json", "/version", "/metrics")
    return [one.path for one in list(simulator.requests)[before:] if one.path not in own]


async def test_chats_are_the_default(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,))
    assert await paths(simulator, service, "Hi") == ["/v1/chat/completions"]


async def test_always(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), native_responses="always")
    assert await paths(simulator, service, "Hi") == ["/v1/responses"]


async def test_never(simulator: Simulator, serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0")) as other:
        entries = (
            UpstreamTable(simulator.url, native_responses=NativeResponses.NEVER),
            UpstreamTable(other.url, native_responses=NativeResponses.ALWAYS),
        )
        service = await serve(upstream=entries)
        await paths(other, service, *["Hi"] * 20)
        assert "/v1/responses" in {one.path for one in other.requests}
        assert "/v1/responses" not in {one.path for one in simulator.requests}


async def test_auto_asks_once(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), native_responses="auto")
    probe, *calls = await paths(simulator, service, "Hi", "Hi", "Hi")
    assert probe.startswith("/v1/responses/probe-")
    assert calls == ["/v1/responses"] * 3


async def test_auto_on_an_upstream_without_the_api() -> None:
    chat = {
        "id": "chatcmpl-1",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    async with canned(in_json(chat), native_responses="auto") as (channel, upstream):
        for _ in range(2):
            await Responses(channel).whole(asking("Hi"))
        assert [path for path, _ in upstream.requests] == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize(("kind", "has"), [("chat", True), ("embed", False)])
async def test_whether_an_upstream_has_the_api(kind: str, has: bool) -> None:
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0", kind=kind)) as simulator:
        url = simulator.url
        assert await asked(url) is has
    assert await asked(url) is None


@pytest.mark.parametrize(("dialect", "native"), [("0.14.1", False), (NEWEST, True)])
async def test_an_old_version_is_known_before_the_first_probe(dialect: str, native: bool) -> None:
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0", dialect=dialect)) as simulator:
        config = UpstreamConfig(simulator.url, native_responses=NativeResponses.AUTO)
        fleet = Fleet([config])  # nobody watches it, so it makes no probe
        try:
            assert await fleet.responds_natively(Call(request_id="first")) is native
        finally:
            fleet.close()


async def asked(url: str) -> bool | None:
    upstream = Upstream(UpstreamConfig(url))
    try:
        return await upstream.has_responses(Call(request_id="probe"), 5)
    finally:
        upstream.close()


# Stored responses


@pytest.fixture
async def stored(serve: Serve) -> Any:
    """Responses of an upstream that stores them, and of a slow one."""
    settings = SimulatorSettings(
        listen="127.0.0.1:0", response_store=True, time_to_first_token=0.01
    )
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses="always")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            yield Responses(channel)


async def test_stored_response(stored: Responses) -> None:
    made = await stored.whole(asking("Say hello."))
    get = response_pb2.GetResponseRequest(response_id=made.id)
    assert (await stored.stub.GetResponse(get)).response == made
    streamed = end_of(await stored.stream(asking("Say hello.")))
    get.response_id = streamed.id
    assert (await stored.stub.GetResponse(get)).response == streamed
    cancel = response_pb2.CancelResponseRequest(response_id=made.id)
    refusal = await refused(stored.stub.CancelResponse(cancel))
    assert (refusal.reason, refusal.fields) == ("UPSTREAM_REJECTED", ("response_id",))


@pytest.mark.parametrize("response_id", ["", ".", "..", "x" * 70_000])
async def test_invalid_ids(response_id: str) -> None:
    async with canned(in_json(WHOLE), native_responses="always") as (channel, upstream):
        get = response_pb2.GetResponseRequest(response_id=response_id)
        cancel = response_pb2.CancelResponseRequest(response_id=response_id)
        stub = Responses(channel).stub
        for refusal in (
            await refused(stub.GetResponse(get)),
            await refused(stub.CancelResponse(cancel)),
        ):
            assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ("response_id",))
        assert not upstream.requests


async def test_previous_response(stored: Responses) -> None:
    first = asking("What is the weather in Paris?", tools=[tool("get_weather")])
    made = await stored.whole(first)
    again = asking("Say hello.", previous_response_id=made.id)
    assert (await stored.whole(again)).settings.previous_response_id == made.id


async def test_background(serve: Serve) -> None:
    settings = SimulatorSettings(
        listen="127.0.0.1:0", response_store=True, time_to_first_token=3600
    )
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses="always")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            stub = Responses(channel).stub
            made = (await stub.CreateResponse(asking("Say hello.", background=True))).response
            assert made.status == response_pb2.RESPONSE_STATUS_QUEUED
            get = response_pb2.GetResponseRequest(response_id=made.id)
            status = (await stub.GetResponse(get)).response.status
            assert status == response_pb2.RESPONSE_STATUS_IN_PROGRESS
            cancel = response_pb2.CancelResponseRequest(response_id=made.id)
            status = (await stub.CancelResponse(cancel)).response.status
            assert status == response_pb2.RESPONSE_STATUS_CANCELLED
            status = (await stub.GetResponse(get)).response.status
            assert status == response_pb2.RESPONSE_STATUS_CANCELLED


async def test_stored_on_one_of_several(serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as one, Simulator(settings) as other:
        alone = await serve(upstream=(other.url,), native_responses="always")
        service = await serve(upstream=(one.url, other.url), native_responses="always")
        async with (
            open_async_channel(f"127.0.0.1:{alone.port}") as first,
            open_async_channel(f"127.0.0.1:{service.port}") as channel,
        ):
            made = await Responses(first).whole(asking("Say hello.", model="tiny-chat"))
            get = response_pb2.GetResponseRequest(response_id=made.id, model="tiny-chat")
            assert (await Responses(channel).stub.GetResponse(get)).response == made
            get.response_id = "resp_nowhere"
            refusal = await refused(Responses(channel).stub.GetResponse(get))
            assert refusal.reason == "RESPONSE_NOT_FOUND"


@pytest.mark.parametrize(
    ("replicas", "policy"),
    [(5, {}), (2, {"max_attempts": 1})],
    ids=["many replicas", "one attempt"],
)
async def test_continued_where_it_is_stored(
    serve: Serve, replicas: int, policy: dict[str, Any]
) -> None:
    """A search on other replicas does not count as attempts."""
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(Simulator(settings)) for _ in range(replicas)]
        urls = tuple(one.url for one in started)
        service = await serve(upstream=urls, native_responses="always", **policy)
        await until(lambda: all(one.known.alive for one in service._fleet.replicas))
        channel = await stack.enter_async_context(open_async_channel(f"127.0.0.1:{service.port}"))
        request = asking("Say hello.", model="tiny-chat", store=True)
        request.previous_response_id = (await Responses(channel).whole(request)).id
        await asyncio.gather(*(Responses(channel).whole(request) for _ in range(20)))


async def test_continued_while_a_replica_that_may_have_it_is_down(serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as one, Simulator(settings) as other:
        service = await serve(upstream=(one.url, other.url), native_responses="always")
        await until(lambda: all(replica.known.alive for replica in service._fleet.replicas))
        await other.stop()
        await until(lambda: service._fleet.replicas[1].known.alive is False)
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            request = asking("Say hello.", model="tiny-chat", previous_response_id="resp_1")
            refusal = await refused(Responses(channel).stub.CreateResponse(request))
            assert refusal.reason == "UPSTREAM_CONNECT_FAILED"


async def test_stored_on_a_replica_with_unknown_routes(serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as one, Simulator(settings) as other:
        alone = await serve(upstream=(other.url,), native_responses="always")
        async with open_async_channel(f"127.0.0.1:{alone.port}") as channel:
            made = await Responses(channel).whole(asking("Say hello.", model="tiny-chat"))
        get = response_pb2.GetResponseRequest(response_id=made.id, model="tiny-chat")
        for _ in range(5):
            service = await serve(upstream=(one.url, other.url), native_responses="auto")
            async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
                assert (await Responses(channel).stub.GetResponse(get)).response == made


@pytest.fixture
def closed() -> Iterator[str]:
    with closed_url() as url:
        yield url


async def test_an_upstream_that_may_have_it_is_down(serve: Serve, closed: str) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as one:
        service = await serve(upstream=(one.url, closed), native_responses="always")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            get = response_pb2.GetResponseRequest(response_id="resp_1", model="tiny-chat")
            refusal = await refused(Responses(channel).stub.GetResponse(get))
            assert refusal.reason == "UPSTREAM_CONNECT_FAILED"


@pytest.mark.parametrize("rpc", ["GetResponse", "CancelResponse"])
@pytest.mark.parametrize("others", [{}, {"response_store": True}, {"kind": "embed"}])
async def test_upstream_that_could_not_be_asked_whether_it_stores(
    serve: Serve, closed: str, others: dict[str, Any], rpc: str
) -> None:
    """It may have the response, which is therefore not reported as missing."""
    async with AsyncExitStack() as stack:
        settings = SimulatorSettings(listen=FREE_PORT, **others)
        urls = [(await stack.enter_async_context(Simulator(settings))).url] if others else []
        service = await serve(upstream=(*urls, closed), native_responses="auto")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            stub = Responses(channel).stub
            request = getattr(response_pb2, f"{rpc}Request")(
                response_id="resp_1", model="tiny-chat"
            )
            refusal = await refused(getattr(stub, rpc)(request))
            assert refusal.code == grpc.StatusCode.UNAVAILABLE
            assert refusal.reason == "UPSTREAM_CONNECT_FAILED"


@pytest.mark.parametrize("others", [{}, {"response_store": True}])
async def test_continued_while_one_could_not_be_asked_whether_it_stores(
    serve: Serve, closed: str, others: dict[str, Any]
) -> None:
    async with AsyncExitStack() as stack:
        settings = SimulatorSettings(listen=FREE_PORT, **others)
        urls = [(await stack.enter_async_context(Simulator(settings))).url] if others else []
        service = await serve(upstream=(*urls, closed), native_responses="auto")
        await until(lambda: service._fleet.replicas[-1].known.alive is False)
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            request = asking("Say hello.", model="tiny-chat", previous_response_id="resp_1")
            stub = Responses(channel).stub
            for refusal in (
                await refused(stub.CreateResponse(request)),
                await refused(stub.StreamResponse(request).read()),
            ):
                assert refusal.code == grpc.StatusCode.UNAVAILABLE
                assert refusal.reason == "UPSTREAM_CONNECT_FAILED"


async def test_missing_where_one_upstream_has_no_such_route(serve: Serve) -> None:
    storing = SimulatorSettings(listen=FREE_PORT, response_store=True)
    async with Simulator(replace(storing, kind="embed")) as one, Simulator(storing) as other:
        service = await serve(upstream=(one.url, other.url), native_responses="always")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            get = response_pb2.GetResponseRequest(response_id="resp_1", model="tiny-chat")
            refusal = await refused(Responses(channel).stub.GetResponse(get))
            assert refusal.reason == "RESPONSE_NOT_FOUND"


@pytest.mark.parametrize("response_id", ["", "../models", "a/b?c"])
async def test_id_is_escaped_in_the_path(stored: Responses, response_id: str) -> None:
    get = response_pb2.GetResponseRequest(response_id=response_id)
    refusal = await refused(stored.stub.GetResponse(get))
    expected = "RESPONSE_NOT_FOUND" if response_id else "INVALID_REQUEST"
    assert refusal.reason == expected
