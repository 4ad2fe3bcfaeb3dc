"""Losses of other gateways between responses and chats, which must not occur here."""

from typing import Any

import grpc
import pytest
from acceptance.refusals import read
from conftest import Serve
from grpc import aio
from steps import steps

from penstock.channel import open_async_channel
from penstock.v1 import message_pb2, response_pb2
from penstock.v1.common_pb2 import JsonDocument, SamplingParams
from penstock_server.convert.response import chat_answer
from penstock_server.convert.response.chat_request import chat_body
from penstock_server.simulator import Simulator, SimulatorSettings

from .response_calls import Responses, asking, check_order, end_of, tool
from .test_response_stream import USAGE, chunk, names, piece, said, stream

BOTH = "Weather in Paris and time in London?"


def faulty(text: str, faults: str, **fields: Any) -> response_pb2.CreateResponseRequest:
    """Returns a request that makes the simulator have a fault."""
    return asking(f"{text} [[simulate: {faults}]]", **fields)


@pytest.fixture
def responses(channel: aio.Channel) -> Responses:
    """Responses of the simulator, converted to chats."""
    return Responses(channel)


def sent(simulator: Simulator) -> Any:
    return [one.json for one in simulator.requests if one.method == "POST"][-1]


# Requests


async def test_tools_of_other_kinds_are_not_dropped(responses: Responses) -> None:
    request = asking("x", tools=[tool("f")])
    request.tools.add(other=JsonDocument(json='{"type": "web_search"}'))
    with pytest.raises(aio.AioRpcError) as caught:
        await responses.stub.CreateResponse(request)
    refusal = read(caught.value)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "UNSUPPORTED_OPERATION",
    )
    assert refusal.fields == ("tools[1].other",)


async def test_automatic_choice_does_not_become_a_forced_one(
    responses: Responses, simulator: Simulator
) -> None:
    auto = message_pb2.ToolChoice(mode=message_pb2.ToolChoice.MODE_AUTO)
    request = asking("Say hello.", tools=[tool("get_weather")], tool_choice=auto)
    response = await responses.whole(request)
    assert sent(simulator)["tool_choice"] == "auto"
    assert [item.WhichOneof("item") for item in response.output] == ["message"]


def test_choice_of_an_unknown_function_is_not_dropped() -> None:
    choice = message_pb2.ToolChoice(function_name="g")
    body = chat_body(asking("x", tools=[tool("f")], tool_choice=choice), stream=False)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "g"}}


def test_choice_without_tools_is_not_dropped() -> None:
    choice = message_pb2.ToolChoice(mode=message_pb2.ToolChoice.MODE_REQUIRED)
    assert chat_body(asking("x", tool_choice=choice), stream=False)["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("background", True),
        ("store", True),
        ("max_tool_calls", 1),
        ("truncation", response_pb2.TRUNCATION_AUTO),
        ("include", ["file_search_call.results"]),
        ("text_verbosity", response_pb2.TEXT_VERBOSITY_LOW),
    ],
)
async def test_fields_are_not_dropped(responses: Responses, field: str, value: Any) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await responses.stub.CreateResponse(asking("x", **{field: value}))
    refusal = read(caught.value)
    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED
    assert refusal.fields[0].partition("[")[0] == field


async def test_user_reaches_the_upstream(responses: Responses, simulator: Simulator) -> None:
    response = await responses.whole(asking("Hi", user="Ada"))
    assert sent(simulator)["user"] == response.settings.user == "Ada"


def test_reasoning_is_sent_under_the_name_that_vllm_reads() -> None:
    request = response_pb2.CreateResponseRequest()
    request.input.add().reasoning.content.append("hm")
    request.input.add().message.MergeFrom(
        response_pb2.MessageItem(
            role=message_pb2.ROLE_ASSISTANT,
            content=[response_pb2.ResponseContentPart(text="t")],
        )
    )
    (message,) = chat_body(request, stream=False)["messages"]
    assert message["reasoning"] == "hm"
    assert "reasoning_content" not in message


# Unary answers


async def test_text_beside_calls(responses: Responses) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    response = await responses.whole(asking(BOTH, tools=tools))
    kinds = [item.WhichOneof("item") for item in response.output]
    assert kinds == ["message", "function_call", "function_call"]


async def test_every_choice(responses: Responses) -> None:
    request = asking("Hi", sampling=SamplingParams(n=2, temperature=1))
    response = await responses.whole(request)
    assert [item.choice_index for item in response.output] == [0, 1]
    assert [item.choice_index for item in end_of(await responses.stream(request)).output] == [0, 1]


@pytest.mark.parametrize("reason", ["repetition", "galactic"])
async def test_unknown_finish_reason_is_incomplete(responses: Responses, reason: str) -> None:
    request = faulty("Hi", f"unknown-finish reason={reason}")
    for response in (
        (await responses.stub.CreateResponse(request)).response,
        end_of([event async for event in responses.stub.StreamResponse(request)]),
    ):
        assert response.status == response_pb2.RESPONSE_STATUS_INCOMPLETE
        assert response.incomplete_reason == reason


async def test_answer_without_choices_fails(responses: Responses) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await responses.stub.CreateResponse(faulty("Hi", "missing-choices"))
    assert read(caught.value).reason == "UPSTREAM_MALFORMED_RESPONSE"


# Streams


async def test_several_calls_in_one_delta(responses: Responses) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    request = faulty(BOTH, "several-tool-deltas", tools=tools)
    calls = [item.function_call for item in end_of(await responses.stream(request)).output[1:]]
    assert [(call.name, call.arguments) for call in calls] == [
        ("get_weather", '{"city": "Paris"}'),
        ("get_time", '{"city": "London"}'),
    ]


def test_interleaved_calls() -> None:
    events = stream(
        {"tool_calls": [piece(0, "{", "a", "f")]},
        {"tool_calls": [piece(1, "[", "b", "g")]},
        {"tool_calls": [piece(0, "}")]},
        {"tool_calls": [piece(1, "]")]},
    )
    calls = [item.function_call for item in end_of(events).output]
    assert [(one.call_id, one.name, one.arguments) for one in calls] == [
        ("a", "f", "{}"),
        ("b", "g", "[]"),
    ]


def test_calls_that_share_an_index() -> None:
    events = stream(
        {"tool_calls": [piece(0, "{}", "a", "f")]}, {"tool_calls": [piece(0, "[]", "b", "g")]}
    )
    calls = [item.function_call for item in end_of(events).output]
    assert [(one.call_id, one.arguments) for one in calls] == [("a", "{}"), ("b", "[]")]


@pytest.mark.parametrize("call_id", [None, "", "same"])
def test_calls_of_a_unary_answer_stay_separate(call_id: str | None) -> None:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("f", "g", "g")
    ]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    whole = chat_answer.response({"id": "x", "choices": [choice]}, asking("x")).response
    found = [item.function_call for item in whole.output]
    assert [(one.name, one.arguments) for one in found] == [("f", "{}"), ("g", "{}"), ("g", "{}")]


def test_many_choices() -> None:
    """The work grows linearly with their number: no choice scans the items of all."""

    def read(count: int) -> response_pb2.ModelResponse:
        said = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        choices = [{"index": number} | said for number in range(count)]
        return chat_answer.response({"id": "x", "choices": choices}, asking("x")).response

    assert steps(lambda: read(800)) < 8.2 * steps(lambda: read(100))
    assert read(1000).output[-1].status == response_pb2.RESPONSE_STATUS_COMPLETED


def test_done_follows_even_empty_arguments() -> None:
    events = stream(
        {"tool_calls": [piece(2, call_id="c", name="h")]},
        {"tool_calls": [piece(0, call_id="a", name="f")]},
    )
    done = [event for event in events if event.HasField("function_call_arguments_done")]
    assert [event.function_call_arguments_done.arguments for event in done] == ["", ""]
    assert [event.function_call_arguments_done.output_index for event in done] == [0, 1]


def test_piece_of_a_call_without_a_name() -> None:
    events = stream({"tool_calls": [piece(None, '{"a"')]}, {"tool_calls": [piece(None, ": 1}")]})
    (item,) = end_of(events).output
    assert item.function_call.arguments == '{"a": 1}'
    assert item.function_call.call_id


def test_reasoning_that_resumes_after_text() -> None:
    events = stream({"reasoning": "a"}, {"content": "b"}, {"reasoning": "c"})
    thoughts = [list(item.reasoning.content) for item in end_of(events).output]
    assert thoughts == [["a"], [], ["c"]]


async def test_stream_without_a_role(responses: Responses) -> None:
    events = await responses.stream(faulty("Hi", "no-role"))
    assert names(events)[:2] == ["created", "in_progress"]


def test_created_contains_the_response() -> None:
    made = chat_answer.ResponseStream(asking("x", instructions="i"))
    created = made.messages(chunk(said({"role": "assistant"})))[0].created
    assert (created.id, created.model, created.create_time.seconds) == ("resp_1", "m", 5)
    assert created.status == response_pb2.RESPONSE_STATUS_IN_PROGRESS
    assert created.settings.instructions == "i"


async def test_positions_without_text_have_no_gap(responses: Responses) -> None:
    request = asking("What is the weather in Paris?", tools=[tool("get_weather")])
    (added,) = [
        event.output_item_added
        for event in await responses.stream(request)
        if event.HasField("output_item_added")
    ]
    assert added.output_index == 0


def test_end_waits_for_the_usage() -> None:
    made = chat_answer.ResponseStream(asking("x"))
    events = made.messages(chunk(said({"content": "a"}, finish_reason="stop")))
    assert "completed" not in names(events)
    assert made.messages(chunk(usage=USAGE)) == []
    events += made.end()
    check_order(events)
    assert end_of(events).usage.input_tokens == 3


@pytest.mark.parametrize("after", [1, 3])
async def test_failing_stream_has_a_failed_event_and_a_status(
    responses: Responses, after: int
) -> None:
    request = faulty("Hi", f"error-event after={after} code=503")
    events, error = await responses.broken(request)
    assert events[-1].WhichOneof("event") == "failed"
    assert events[-1].failed.error.message == "Simulated"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    refusal = read(error)
    assert refusal.code == grpc.StatusCode.UNAVAILABLE
    assert refusal.metadata["messagesSent"] == str(len(events))


async def test_failure_before_the_first_event_is_that_of_a_unary_call(
    responses: Responses,
) -> None:
    request = faulty("Hi", "error-event after=0 code=503")
    events, error = await responses.broken(request)
    assert events == []
    with pytest.raises(aio.AioRpcError) as caught:
        await responses.stub.CreateResponse(request)
    assert read(error).reason == read(caught.value).reason == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("faults", ["cut after=2", "no-usage", "no-finish", "reset after=3"])
async def test_every_stream_ends_with_a_terminal_event_or_a_status(
    responses: Responses, faults: str
) -> None:
    events, error = await responses.broken(faulty("Hi", faults))
    assert events
    assert events[-1].WhichOneof("event") not in ("completed", "incomplete")
    assert read(error).reason in ("STREAM_INTERRUPTED", "UPSTREAM_MALFORMED_RESPONSE")


async def test_native_stream_is_not_discarded(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), native_responses="always")
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        native = Responses(channel)
        for faults in ("comments", "crlf", "split-bytes", "multi-line-data"):
            events = await native.stream(faulty("Hi", faults))
            assert end_of(events).output[0].message.content[0].text == "Hi there!"
        events, error = await native.broken(faulty("Hi", "cut after=4"))
        assert len(events) == 4
        assert read(error).reason == "STREAM_INTERRUPTED"


async def test_leaving_a_stream_stops_the_upstream(serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", inter_token_latency=3600)
    async with Simulator(settings) as simulator:
        for way in ("never", "always"):
            service = await serve(upstream=(simulator.url,), native_responses=way)
            async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
                call = Responses(channel).stub.StreamResponse(asking("Hi"))
                await call.read()
                await simulator.wait_active(1)
                call.cancel()
                await simulator.wait_active(0)
        assert simulator.aborted == 2
