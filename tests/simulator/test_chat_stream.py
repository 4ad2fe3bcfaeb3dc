"""Streamed chat answers."""

from typing import Any

import httpx
import pytest

from .calls import answer, stream, user
from .test_chat import BOTH, TIME, WEATHER

BODIES: list[dict[str, Any]] = [
    user("Say hello."),
    user("Greet me in French with emoji."),
    user("Tell me a story."),
    user("Something new — naïve 👋"),
    user("Say hello.", stop=["you"]),
    user("Say hello.", stop=["you"], include_stop_str_in_output=True),
    user("Say hello.", stop=["never said"]),
    user("Say hello.", stop_token_ids=[3]),
    user("Say hello.", max_tokens=4),
    user("Say hello.", ignore_eos=True, max_tokens=40),
    user("Hi", structured_outputs={"regex": "[0-9]{3}-[a-z]{2}"}),
    user(BOTH, tools=[WEATHER, TIME]),
    user(BOTH, tools=[WEATHER, TIME], tool_choice="none"),
    user(BOTH, tools=[WEATHER, TIME], parallel_tool_calls=False),
    user("Hi", tools=[WEATHER], tool_choice="required"),
    user("What is 2+2?", reasoning_effort="high"),
    user("Nothing known", reasoning_effort="high"),
    user("What is 2+2?", reasoning_effort="high", max_tokens=5),
    user("Greet me in French with emoji.", logprobs=True, return_token_ids=True),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(sorted(body)))
async def test_stream_equals_the_unary_answer(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    whole = await answer(http, body)
    parts = await stream(http, body)
    message = whole["message"]
    assert parts.done
    assert parts.text == (message["content"] or "")
    thought = "".join(delta.get("reasoning") or "" for delta in parts.deltas())
    assert thought == (message["reasoning"] or "")
    assert gathered(parts.deltas()) == [call["function"] for call in message.get("tool_calls", [])]
    assert parts.finish == whole["finish_reason"]
    assert parts.choices()[-1]["stop_reason"] == whole["stop_reason"]
    ids = [number for choice in parts.choices() for number in choice.get("token_ids") or []]
    assert ids == (whole["token_ids"] or [])


def gathered(deltas: list[dict[str, Any]]) -> list[dict[str, str]]:
    calls: dict[int, dict[str, str]] = {}
    for delta in deltas:
        for part in delta.get("tool_calls", []):
            call = calls.setdefault(part["index"], {"name": "", "arguments": ""})
            for key, value in part["function"].items():
                call[key] += value
    return [calls[index] for index in sorted(calls)]


async def test_choices_take_turns(http: httpx.AsyncClient) -> None:
    parts = await stream(http, user("Hi", n=2))
    order = [choice["index"] for event in parts.events for choice in event["choices"]]
    assert order == [0, 1] * (len(order) // 2)
    assert "system_fingerprint" in parts.events[-1]
    assert not any("system_fingerprint" in event for event in parts.events[:-1])


async def test_usage_only_if_requested(http: httpx.AsyncClient) -> None:
    assert not any("usage" in event for event in (await stream(http, user("Hi"))).events)
    asked = user("Hi", stream_options={"include_usage": True})
    *others, last = (await stream(http, asked)).events
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 4
    assert not any("usage" in event for event in others)


async def test_continuous_usage_grows(http: httpx.AsyncClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    parts = await stream(http, user("Hi", stream_options=options))
    assert [event["usage"]["completion_tokens"] for event in parts.events] == [0, 1, 2, 3, 4, 4]


async def test_echo_precedes_the_answer(http: httpx.AsyncClient) -> None:
    messages = [*user("Hi")["messages"], {"role": "assistant", "content": "Hello"}]
    body = {
        "messages": messages,
        "echo": True,
        "add_generation_prompt": False,
        "continue_final_message": True,
    }
    assert (await stream(http, body)).text == "Hello! How can I help you today?"
    assert (await answer(http, body))["message"]["content"] == "Hello! How can I help you today?"


LATE: list[dict[str, Any]] = [
    {"structured_outputs": {"regex": "[0-9"}},
    {"structured_outputs": {"grammar": "root ::= ("}},
    {"structured_outputs": {"json": "{bad"}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "odd"}}}},
    {"logprobs": True, "top_logprobs": 21},
    {"logit_bias": {"99999": 1}},
]


@pytest.mark.parametrize("fields", LATE, ids=str)
async def test_refusal_of_the_engine_is_an_event(
    http: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    whole = await http.post("/v1/chat/completions", json=user("Hi", **fields))
    parts = await stream(http, user("Hi", **fields))
    assert whole.status_code == 400
    assert parts.response.status_code == 200
    assert parts.events == [whole.json()]
    assert parts.done
