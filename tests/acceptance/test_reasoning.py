"""Models that reason before they answer."""

import json

import pytest
from servers import other_version

from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_TOOL_CALLS,
    LogprobOptions,
    SamplingParams,
)
from penstock.v1.message_pb2 import TemplateOptions

from .chats import Chats, answer, asking, function, join, members, reasoning_of
from .conftest import Target
from .test_tools import CITY

pytestmark = pytest.mark.upstream("reason")

QUESTION = "What is 2+2?"
THOUGHT = "Two plus two. That is four."
REPLY = "2+2 equals 4."


async def test_reasoning_by_default(chats: Chats, target: Target) -> None:
    response = await chats.both(asking(QUESTION))
    assert response.model == target.kind.model
    assert response.choice.message.reasoning.strip() == THOUGHT
    assert response.text.strip() == REPLY
    assert response.usage.completion_tokens_details.reasoning_tokens > 5


async def test_template_disables_reasoning(chats: Chats) -> None:
    template = TemplateOptions(chat_template_kwargs=members(enable_thinking=False))
    response = await chats.both(asking(QUESTION, template=template))
    assert not response.choice.message.HasField("reasoning")
    assert response.text == REPLY


async def test_effort(chats: Chats) -> None:
    response = await chats.both(asking(QUESTION, reasoning_effort="high"))
    assert response.choice.message.reasoning.strip() == THOUGHT


async def test_unknown_effort(chats: Chats) -> None:
    refusal = await chats.refused(asking(QUESTION, reasoning_effort="enormous"))
    assert refusal.reason == "UPSTREAM_REJECTED"
    assert refusal.fields == ("reasoning_effort",)


async def test_hidden(chats: Chats) -> None:
    response = await chats.both(asking(QUESTION, include_reasoning=False))
    assert not response.choice.message.reasoning
    assert response.text.strip() == REPLY
    assert response.usage.completion_tokens_details.reasoning_tokens > 5


async def test_reasoning_before_text(chats: Chats) -> None:
    messages = await chats.stream(asking(QUESTION))
    deltas = [choice.delta for message in messages for choice in message.choices]
    kinds = [
        kind
        for delta in deltas
        for kind, text in (("thought", delta.reasoning), ("text", delta.content))
        if text
    ]
    assert kinds == sorted(kinds, reverse=True)
    assert len(set(kinds)) == 2


async def test_reasoning_cut_by_the_limit(chats: Chats) -> None:
    response = await chats.both(asking(QUESTION, sampling=SamplingParams(max_tokens=6)))
    assert response.choice.finish_reason == FINISH_REASON_LENGTH
    assert THOUGHT.startswith(response.choice.message.reasoning.strip())
    assert response.text == ""


async def test_reasoning_before_a_call(chats: Chats) -> None:
    tools = [function("get_weather", CITY)]
    request = asking("What is the weather in Paris?", tools=tools)
    whole, streamed = answer(await chats.whole(request)), join(await chats.stream(request))
    thought = "I need the weather tool for Paris."
    assert reasoning_of(whole.choice).strip() == thought
    # A stream contains the line ends between reasoning and call that a unary answer omits. By its
    # source, 0.20 drops the end of the reasoning if it is in the piece in which the call begins.
    found = reasoning_of(streamed.choice).strip()
    assert thought.startswith(found) if other_version().startswith("0.20.") else found == thought
    for response in whole, streamed:
        assert response.choice.finish_reason == FINISH_REASON_TOOL_CALLS
        assert response.text.strip() == ""
        assert response.choice.message.tool_calls[0].function.name == "get_weather"
        assert json.loads(response.choice.message.tool_calls[0].function.arguments)


async def test_answer_can_be_sent_back(chats: Chats) -> None:
    first = (await chats.whole(asking(QUESTION))).choices[0].message
    again = asking(QUESTION, first, "Say hello.", sampling=SamplingParams(max_tokens=10))
    await chats.both(again)


async def test_logprobs_of_reasoning(chats: Chats) -> None:
    response = await chats.both(asking(QUESTION, logprobs=LogprobOptions()))
    assert len(response.choice.logprobs) == response.usage.completion_tokens
