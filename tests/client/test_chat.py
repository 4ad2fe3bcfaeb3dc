"""Unary and streaming chats against a service."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from penstock import (
    AsyncClient,
    CallCancelledError,
    ChatCompletion,
    Client,
    InvalidRequestError,
    UnavailableError,
    image,
    system,
    tool,
    tool_result,
    user,
)
from penstock.v1.chat_completion_pb2 import CreateChatCompletionResponse
from penstock_server.app import Service
from penstock_server.simulator import Simulator

HELLO = "Hello! How can I help you today?"
BOTH = "Weather in Paris and time in London?"


def get_weather(city: str) -> str:
    """The weather."""
    return f"sunny in {city}"


def get_time(city: str) -> str:
    """The time."""
    return f"noon in {city}"


def essence(answer: ChatCompletion) -> CreateChatCompletionResponse:
    """Returns an answer without the parts that differ between two calls."""
    made = CreateChatCompletionResponse()
    made.CopyFrom(answer.proto)
    for name in ("id", "create_time", "usage"):
        made.ClearField(name)
    for choice in made.choices:
        for call in choice.message.tool_calls:
            call.id = ""
    return made


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": ("Say hello.", {}),
    "system": ([system("You are a helpful assistant."), "Say hello."], {}),
    "unicode": ("Greet me in French with emoji.", {}),
    "logprobs": ("Say hello.", {"logprobs": 2}),
    "choices": ("Say hello.", {"n": 3, "logprobs": True}),
    "token ids": ("Say hello.", {"engine": {"return_token_ids": True}}),
    "reasoning": (
        "What is 2+2?",
        {"template": {"chat_template_kwargs": {"enable_thinking": True}}},
    ),
    "length": ("Count to ten.", {"max_tokens": 5}),
    "stop": ("Count to ten.", {"stop": "5"}),
    "tool": ("What is the weather in Paris?", {"tools": [get_weather]}),
    "tools": (BOTH, {"tools": [get_weather, get_time]}),
    "required": (
        "What is the weather in Paris?",
        {"tools": [get_weather], "tool_choice": "required"},
    ),
    "unknown keys": ("Say hello. [[simulate: unknown-fields]]", {}),
    "unknown finish": ("Say hello. [[simulate: unknown-finish]]", {}),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_stream_adds_up_to_the_unary_answer(
    case: str, client: Client, aclient: AsyncClient
) -> None:
    messages, options = CASES[case]
    whole = client.chat.create(messages, **options)
    streamed = client.chat.stream(messages, **options).final()
    awaited = await aclient.chat.create(messages, **options)
    streamed_awaited = await aclient.chat.stream(messages, **options).final()
    for one in (streamed, awaited, streamed_awaited):
        assert essence(one) == essence(whole)
        assert one.usage.completion_tokens == whole.usage.completion_tokens > 0
        assert one.request_id
        assert (bool(one.upstream), one.attempts) == (True, 1)
        assert one.id


def test_facts_about_an_answer(client: Client) -> None:
    answer = client.chat.create("Count to ten.", stop=["5"], logprobs=1, model="tiny-chat")
    assert (answer.text, answer.finish_reason, answer.stop_reason) == ("1, 2, 3, 4, ", "stop", "5")
    assert answer.model == "tiny-chat"
    assert answer.logprobs[0].token == "1"
    assert answer.choices[0].index == 0
    assert answer.message.content[0].text == answer.text
    assert "ChatCompletion" in repr(answer)
    assert len(repr(answer)) < 300


def test_reasoning(client: Client) -> None:
    template = {"chat_template_kwargs": {"enable_thinking": True}}
    answer = client.chat.create("What is 2+2?", template=template)
    assert answer.reasoning.strip() == "Two plus two. That is four."
    with client.chat.stream("What is 2+2?", template=template) as stream:
        pieces = [event.reasoning for event in stream if event.reasoning]
    assert len(pieces) > 1
    assert "".join(pieces) == answer.reasoning


def test_unknown_finish(client: Client) -> None:
    answer = client.chat.create("Say hello. [[simulate: unknown-finish]]")
    assert answer.finish_reason
    assert answer.finish_reason not in ("stop", "other", "length")


def test_tools(client: Client) -> None:
    question = user(BOTH)
    functions = {"get_weather": get_weather, "get_time": get_time}
    tools: list[Any] = [tool(get_weather), {"type": "function", "function": {"name": "get_time"}}]
    with client.chat.stream([question], tools=tools) as stream:
        pieces = [piece for event in stream for piece in event.tool_calls]
    answer = stream.final()
    assert {piece.index for piece in pieces} == {0, 1}
    assert answer.finish_reason == "tool_calls"
    assert [call.name for call in answer.tool_calls] == list(functions)
    results = [
        tool_result(call, functions[call.name](**call.arguments)) for call in answer.tool_calls
    ]
    assert [one.content[0].text for one in results] == ["sunny in Paris", "noon in London"]
    assert [one.tool_call_id for one in results] == [call.id for call in answer.tool_calls]
    assert client.chat.create([question, answer.message, *results], tools=tools).text


def test_images_arrive(client: Client) -> None:
    picture = image(b"\x89PNG\r\n\x1a\n" + bytes(20))
    assert client.chat.create([user("What is this?", picture)]).text


def test_snapshots_grow_and_stay(client: Client) -> None:
    with client.chat.stream("Say hello.") as stream:
        snapshots = [stream.snapshot for _ in stream]
    texts = [one.text for one in snapshots]
    assert texts == sorted(texts, key=len)
    assert texts[0] == ""
    assert texts[-1] == HELLO
    assert snapshots[0].finish_reason == ""
    assert stream.request_id == stream.snapshot.request_id != ""
    assert (stream.snapshot.attempts, bool(stream.snapshot.upstream)) == (1, True)


def test_a_stream_can_be_read_in_several_loops(client: Client) -> None:
    with client.chat.stream("Say hello.") as stream:
        first = next(stream)
        rest = list(stream)
        assert list(stream) == []
        assert stream.final().text == stream.final().text == HELLO
    assert first.text + "".join(event.text for event in rest) == HELLO


def test_an_error_before_the_first_message(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequestError) as caught:
            client.chat.stream("Hi", temperature=-1).final()
        assert caught.value.violations
    stream = client.chat.stream("Hi", temperature=-1)
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            next(stream)


def test_text_before_an_error_is_kept(client: Client) -> None:
    with client.chat.stream("Say hello. [[simulate: cut after=4]]") as stream:
        with pytest.raises(UnavailableError) as caught:
            stream.final()
        assert caught.value.reason == "STREAM_INTERRUPTED"
        assert int(caught.value.metadata["messagesSent"]) > 0
        assert HELLO.startswith(stream.snapshot.text)
        assert stream.snapshot.text
        assert stream.snapshot.finish_reason == ""
        with pytest.raises(UnavailableError):
            next(stream)


async def test_leaving_a_stream_stops_the_model(service: Service, simulator: Simulator) -> None:
    simulator.faults = "stall;after=2"
    async with AsyncClient(f"127.0.0.1:{service.port}") as client:
        async with client.chat.stream("Say hello.") as stream:
            await anext(stream)
        with pytest.raises(CallCancelledError):
            await stream.final()
        async with asyncio.timeout(60):
            await simulator.wait_aborted(1)


async def test_leaving_a_blocking_stream_stops_the_model(
    service: Service, simulator: Simulator
) -> None:
    simulator.faults = "stall;after=2"

    def leave() -> None:
        with Client(f"127.0.0.1:{service.port}") as client:
            with client.chat.stream("Say hello.") as stream:
                next(stream)
            with pytest.raises(CallCancelledError):
                stream.final()

    await asyncio.to_thread(leave)
    async with asyncio.timeout(60):
        await simulator.wait_aborted(1)


async def test_a_cancelled_task_stops_the_model(service: Service, simulator: Simulator) -> None:
    simulator.faults = "stall;after=2"
    async with AsyncClient(f"127.0.0.1:{service.port}") as client:
        reading = asyncio.ensure_future(client.chat.stream("Say hello.").final())
        await simulator.wait_active(1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        async with asyncio.timeout(60):
            await simulator.wait_aborted(1)


def test_threads_share_a_client(client: Client) -> None:
    def many(run: Callable[[], object], times: int = 8) -> None:
        threads = [threading.Thread(target=run) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    texts: list[str] = []
    many(lambda: texts.append(client.chat.create("Say hello.").text))
    assert texts == [HELLO] * 8


def test_a_client_on_the_callers_channel(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        with Client(channel=channel) as client:
            assert client.chat.create("Say hello.").text == HELLO
        assert Client(channel=channel).chat.create("Say hello.").text == HELLO
