"""Tools: calls in answers and streams, and the turn after a call."""

import json
from typing import Any

import grpc
from documents import document

from penstock.v1.chat_completion_pb2 import ChatChoice
from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    FINISH_REASON_TOOL_CALLS,
    SamplingParams,
)
from penstock.v1.message_pb2 import (
    ROLE_TOOL,
    ChatMessage,
    ContentPart,
    Tool,
    ToolChoice,
)

from .chats import HELLO, Chats, asking, function, text_of

CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER, TIME = function("get_weather", CITY), function("get_time", CITY)
WEATHER_QUESTION = "What is the weather in Paris?"
BOTH_QUESTION = "Weather in Paris and time in London?"
PARIS, LONDON = {"city": "Paris"}, {"city": "London"}
AUTO = ToolChoice(mode=ToolChoice.MODE_AUTO)
REQUIRED = ToolChoice(mode=ToolChoice.MODE_REQUIRED)
LIMIT = SamplingParams(max_tokens=100)


def calls(choice: ChatChoice) -> list[tuple[str, Any]]:
    made = choice.message.tool_calls
    assert len({call.id for call in made}) == len(made)
    assert all(call.id and not call.HasField("extra") for call in made)
    return [(call.function.name, json.loads(call.function.arguments)) for call in made]


async def test_model_decides_to_call(chats: Chats) -> None:
    response = await chats.both(asking(WEATHER_QUESTION, tools=[WEATHER]))
    assert calls(response.choice) == [("get_weather", PARIS)]
    assert response.choice.finish_reason == FINISH_REASON_TOOL_CALLS
    assert response.text == ""


async def test_model_decides_not_to_call(chats: Chats) -> None:
    request = asking("Say hello.", tools=[WEATHER], tool_choice=AUTO)
    response = await chats.both(request)
    assert response.text == HELLO
    assert not response.choice.message.tool_calls


async def test_required(chats: Chats) -> None:
    request = asking(WEATHER_QUESTION, tools=[WEATHER], tool_choice=REQUIRED, sampling=LIMIT)
    response = await chats.both(request)
    assert calls(response.choice) == [("get_weather", PARIS)]
    assert response.choice.finish_reason == FINISH_REASON_TOOL_CALLS


async def test_named(chats: Chats) -> None:
    named = ToolChoice(function_name="get_weather")
    request = asking(WEATHER_QUESTION, tools=[WEATHER, TIME], tool_choice=named, sampling=LIMIT)
    response = await chats.both(request)
    assert calls(response.choice) == [("get_weather", PARIS)]
    assert response.choice.finish_reason == FINISH_REASON_STOP


async def test_none(chats: Chats) -> None:
    none = ToolChoice(mode=ToolChoice.MODE_NONE)
    response = await chats.both(asking(WEATHER_QUESTION, tools=[WEATHER], tool_choice=none))
    assert not response.choice.message.tool_calls
    assert response.choice.finish_reason == FINISH_REASON_STOP


async def test_several_calls_after_text(chats: Chats) -> None:
    response = await chats.both(asking(BOTH_QUESTION, tools=[WEATHER, TIME]))
    assert calls(response.choice) == [("get_weather", PARIS), ("get_time", LONDON)]
    assert response.text.strip() == "Let me check both."


async def test_only_the_first_call(chats: Chats) -> None:
    request = asking(BOTH_QUESTION, tools=[WEATHER, TIME], parallel_tool_calls=False)
    response = await chats.whole(request)
    assert calls(response.choices[0]) == [("get_weather", PARIS)]


async def test_arguments_come_in_pieces(chats: Chats) -> None:
    messages = await chats.stream(asking(WEATHER_QUESTION, tools=[WEATHER]))
    deltas = [
        delta
        for message in messages
        for choice in message.choices
        for delta in choice.delta.tool_calls
    ]
    assert deltas[0].name == "get_weather"
    assert len([delta for delta in deltas if delta.arguments]) > 1
    assert json.loads("".join(delta.arguments for delta in deltas)) == PARIS


async def test_turn_after_the_call(chats: Chats) -> None:
    asked = asking(WEATHER_QUESTION, tools=[WEATHER])
    called = (await chats.whole(asked)).choices[0].message
    result = ChatMessage(
        role=ROLE_TOOL,
        content=[ContentPart(text="sunny, 21C")],
        tool_call_id=called.tool_calls[0].id,
    )
    response = await chats.both(asking(WEATHER_QUESTION, called, result, tools=[WEATHER]))
    assert response.text == "It is sunny in Paris, 21 degrees."
    assert not response.choice.message.tool_calls


async def test_function_without_arguments(chats: Chats) -> None:
    tools = [function("get_weather"), function("get_time", {"type": "object", "properties": {}})]
    response = await chats.both(asking("Say hello.", tools=tools))
    assert response.text == HELLO


async def test_schema_as_struct(chats: Chats) -> None:
    tool = function("get_weather")
    tool.function.parameters.object.update(CITY)
    response = await chats.both(asking(WEATHER_QUESTION, tools=[tool], tool_choice=REQUIRED))
    assert calls(response.choice) == [("get_weather", PARIS)]


async def test_call_cut_by_the_limit(chats: Chats) -> None:
    request = asking(WEATHER_QUESTION, tools=[WEATHER], sampling=SamplingParams(max_tokens=12))
    response = await chats.whole(request)
    assert response.choices[0].finish_reason == FINISH_REASON_LENGTH
    assert not response.choices[0].message.tool_calls
    assert text_of(response.choices[0]).startswith("<tool_call>")
    messages = await chats.stream(request)
    assert messages[-2].choices[0].finish_reason == FINISH_REASON_LENGTH


async def test_choice_without_tools(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", tool_choice=REQUIRED))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ("tool_choice",)


async def test_unknown_function(chats: Chats) -> None:
    named = ToolChoice(function_name="nope")
    refusal = await chats.refused(asking("Hi", tools=[WEATHER], tool_choice=named))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ("tool_choice",)


async def test_tool_of_another_kind(chats: Chats) -> None:
    tool = Tool(other=document({"type": "web_search"}))
    refusal = await chats.refused(asking("Hi", tools=[tool]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "UPSTREAM_REJECTED"


async def test_broken_schema(chats: Chats) -> None:
    tool = function("f")
    tool.function.parameters.json = "{"
    refusal = await chats.refused(asking("Hi", tools=[tool]))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.fields == ("tools[0].function.parameters.json",)
