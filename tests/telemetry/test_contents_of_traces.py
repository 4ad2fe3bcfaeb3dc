"""Contents of calls in spans, which are recorded on request only."""

import json
from contextlib import suppress
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError
from rpc.calls import Serve, chat, create, parsed, plain_channel, stream

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.completion_pb2 import CreateCompletionRequest, Prompt
from penstock.v1.completion_pb2_grpc import CompletionServiceStub
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock.v1.tokenization_pb2 import ChatTokenizeInput, TokenizeRequest
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub
from penstock_server.simulator import Simulator
from penstock_server.telemetry.tracing import contents

from .collector import Collector, Span

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LENGTH = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"
INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
INSTRUCTIONS = "gen_ai.system_instructions"
RESPONSE = CreateResponseRequest(
    model="tiny-chat", input_text="Say hello.", instructions="Be brief."
)
COMPLETION = CreateCompletionRequest(model="tiny-chat", prompts=[Prompt(text="Once")])


@pytest.fixture
def recorded(spans: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    return spans


async def call_span(spans: Collector) -> Span:
    """The span of the only call, all of whose contents belong to it."""
    call, requests = await spans.call(1)
    assert not {INPUT, OUTPUT, INSTRUCTIONS} & requests[0].attributes.keys()
    return call


def messages(call: Span, name: str) -> Any:
    return json.loads(call.attributes[name])


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


async def test_the_messages_of_a_chat(
    recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    request = parsed(
        """model: 'tiny-chat' messages { role: ROLE_SYSTEM content { text: 'Be brief.' } }
        messages { role: ROLE_USER name: 'ann' content { text: 'Look.' } }
        messages { role: ROLE_ASSISTANT tool_calls { id: 'c1' function { name: 'f' arguments:
          '{"a":1}' } } }
        messages { role: ROLE_TOOL tool_call_id: 'c1' content { text: '42' } }"""
    )
    service = await serve(upstream=(simulator.url,), upstream_api_key="secret")
    async with plain_channel(service) as channel:
        answer = await ChatCompletionServiceStub(channel).CreateChatCompletion(
            request, metadata=(("authorization", "Bearer secret"),)
        )
    call = await call_span(recorded)
    requested = {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a":1}'}
    returned = {"type": "tool_call_response", "id": "c1", "response": "42"}
    assert messages(call, INPUT)[1:] == [
        {"role": "system", "parts": [text("Be brief.")]},
        {"role": "user", "parts": [text("Look.")], "name": "ann"},
        {"role": "assistant", "parts": [requested]},
        {"role": "tool", "parts": [returned]},
    ]
    [choice] = answer.choices
    [output] = messages(call, OUTPUT)
    assert (output["role"], output["parts"]) == (
        "assistant",
        [text(part.text) for part in choice.message.content],
    )
    assert "secret" not in str(recorded.spans)


PICTURES = """messages { role: ROLE_USER
    content { image { url: 'https://me:secret@pictures.example/a.png?key=secret#secret' } }
    content { image { data: 'secret' mime_type: 'image/png' } } }"""


async def test_pictures_of_a_refused_chat(
    recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await create(channel, parsed(PICTURES))
    call = await call_span(recorded)
    assert messages(call, INPUT)[-1]["parts"] == [
        {"type": "uri", "modality": "image", "uri": "https://pictures.example/a.png"},
        {"type": "blob", "modality": "image", "content": ""},
    ]
    assert OUTPUT not in call.attributes
    assert "secret" not in str(recorded.spans)


TOOLS = "tools { function { name: 'f' } } tool_choice { mode: MODE_REQUIRED }"


@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
async def test_calls_of_tools(
    streams: bool, recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        request, chats = parsed(TOOLS), ChatCompletionServiceStub(channel)
        if streams:
            await stream(channel, request)
        else:
            await chats.CreateChatCompletion(request)
    [output] = messages(await call_span(recorded), OUTPUT)
    [part] = [part for part in output["parts"] if part["type"] == "tool_call"]
    assert part["name"] == "f"
    assert isinstance(json.loads(part["arguments"]), dict)
    assert part["id"]
    assert output["finish_reason"] == "tool_call"


async def test_a_stream_of_a_chat(recorded: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        result = await stream(channel, parsed("sampling { n: 2 }"))
    written = ["", ""]
    for message in result.received:
        for choice in message.choices:
            written[choice.index] += choice.delta.content
    outputs = messages(await call_span(recorded), OUTPUT)
    assert [output["parts"] for output in outputs] == [[text(one)] for one in written]
    assert {output["finish_reason"] for output in outputs} <= {"stop", "length"}


async def test_a_stream_that_breaks(
    recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await stream(channel, chat(fault="cut after=3"))
    [output] = messages(await call_span(recorded), OUTPUT)
    assert output["finish_reason"] == "unfinished"


@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
async def test_a_completion(
    streams: bool, recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        completions: Any = CompletionServiceStub(channel)
        if streams:
            answers = [answer async for answer in completions.StreamCompletion(COMPLETION)]
        else:
            answers = [await completions.CreateCompletion(COMPLETION)]
    written = "".join(choice.text for answer in answers for choice in answer.choices)
    call = await call_span(recorded)
    assert messages(call, INPUT) == [{"role": "user", "parts": [text("Once")]}]
    [output] = messages(call, OUTPUT)
    assert output["parts"] == [text(written)]


@pytest.mark.parametrize("native", ["always", "never"])
@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
async def test_a_response(
    streams: bool, native: str, recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), native_responses=native)
    async with plain_channel(service) as channel:
        responses: Any = ResponseServiceStub(channel)
        if streams:
            events = [event async for event in responses.StreamResponse(RESPONSE)]
            response = getattr(events[-1], events[-1].WhichOneof("event"))
        else:
            response = (await responses.CreateResponse(RESPONSE)).response
    call = await call_span(recorded)
    asked = {"role": "user", "parts": [text("Say hello.")]}
    if native == "always":
        assert messages(call, INSTRUCTIONS) == [text("Be brief.")]
        assert messages(call, INPUT) == [asked]
    else:
        instructed = {"role": "system", "parts": [text("Be brief.")]}
        assert messages(call, INPUT) == [instructed, asked]
    [output] = messages(call, OUTPUT)
    written = [part.text for item in response.output for part in item.message.content]
    assert [part["content"] for part in output["parts"] if part["type"] == "text"] == written
    assert [output["finish_reason"]] == call.attributes["gen_ai.response.finish_reasons"]


async def test_a_stream_of_a_response_that_breaks(
    recorded: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), native_responses="always")
    simulator.faults = "cut after=7"
    events: list[Any] = []
    async with plain_channel(service) as channel:
        call_: Any = ResponseServiceStub(channel).StreamResponse(RESPONSE)
        with suppress(AioRpcError):
            async for event in call_:
                events.append(event)
        assert await call_.code() == StatusCode.UNAVAILABLE
    written = "".join(event.output_text_delta.text for event in events)
    [output] = messages(await call_span(recorded), OUTPUT)
    assert written
    assert output["parts"] == [text(written)]
    assert output["finish_reason"] == "unfinished"


async def test_other_operations(recorded: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        request = TokenizeRequest(chat=ChatTokenizeInput(messages=parsed("").messages))
        await TokenizationServiceStub(channel).Tokenize(request)
    call = await call_span(recorded)
    assert not {INPUT, OUTPUT} & call.attributes.keys()


TEXTS = (*["x" * 10] * 20, "ä" * 100, "Last")


async def test_long_contents(
    recorded: Collector, serve: Serve, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LENGTH, "200")
    service = await serve(upstream=(simulator.url,))
    asked = "".join(f"messages {{ role: ROLE_USER content {{ text: '{one}' }} }} " for one in TEXTS)
    async with plain_channel(service) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(parsed(asked))
    call = await call_span(recorded)
    assert 0 < len(call.attributes[INPUT]) <= 200
    *_, long, last = messages(call, INPUT)
    assert last["parts"] == [text("Last")]
    [cut] = long["parts"]
    assert cut["content"].strip("ä") == "…"
    assert len(call.attributes[OUTPUT]) <= 200


CAPTURED = {
    "SPAN_ONLY": 8192,
    "span_and_event": 8192,
    "true": 8192,
    "": 0,
    "NO_CONTENT": 0,
    "EVENT_ONLY": 0,
    "false": 0,
    "sometimes": 0,
}


@pytest.mark.parametrize("value", CAPTURED)
def test_values_of_the_variable(value: str) -> None:
    assert contents.most_characters({VARIABLE: value}) == CAPTURED[value]


def test_the_length_of_attributes() -> None:
    general = {VARIABLE: "true", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "70"}
    assert contents.most_characters(general) == 70
    assert contents.most_characters(general | {LENGTH: "90"}) == 90
    assert contents.most_characters(general | {LENGTH: "many"}) == 70


ODD: list[Any] = [None, 7, "text", [], {}, [None], [7], ["text"], [{}], [[7, 8]], {"text": 7}]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_contents_of_any_shape(path: str, odd: Any) -> None:
    """Such as those of `extra_body`, which the upstream may refuse."""
    names = ("role", "name", "content", "reasoning", "tool_calls", "tool_call_id", "output")
    message = dict.fromkeys(names, odd) | {"type": odd}
    kinds = ("text", "thinking", "image_url", "input_image", "function_call", "reasoning")
    parts = [{"type": kind, kind: odd, "image_url": odd, "content": odd} for kind in kinds]
    for given in (odd, [message], [message | {"content": parts}], parts):
        body = dict.fromkeys(("messages", "prompt", "input", "instructions"), given)
        for attribute in contents.of_request(path, body, 200).values():
            assert len(attribute) <= 200
            assert json.loads(attribute)


def test_a_message_of_many_parts() -> None:
    body = {"messages": [{"content": [{"type": "text", "text": "x"}] * 100_000}]}
    [message] = json.loads(contents.of_request("/v1/chat/completions", body, 8192)[INPUT])
    assert message["parts"] == [text("x")] * 64
