"""Batches: each answer is that of the upstream, also in OpenAI's JSON form."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from penstock import ChatCompletion
from penstock._base.openai_answers import openai_answer
from penstock._base.openai_requests import openai_request
from penstock.client import AsyncClient

from .chats import HELLO as HELLO_ANSWER
from .conftest import Target

Json = dict[str, Any]

OWN = {"id", "created", "reasoning_content"}
"""Keys whose values are those of one request, and an older name."""

HELLO = [{"role": "user", "content": "Say hello."}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CHATS: Mapping[str, Json] = {
    "plain": {"messages": HELLO},
    "limited": {"messages": HELLO, "max_completion_tokens": 3},
    "stopped": {"messages": HELLO, "stop": ["help"], "seed": 1},
    "logprobs": {"messages": HELLO, "logprobs": True, "top_logprobs": 2, "max_tokens": 4},
    "prompt logprobs": {"messages": HELLO, "prompt_logprobs": 1, "max_tokens": 2},
    "tools": {"messages": WEATHER, "tools": [TOOL], "tool_choice": "auto"},
    "template": {"messages": HELLO, "chat_template_kwargs": {"enable_thinking": False}},
    "engine": {"messages": HELLO, "priority": 3, "cache_salt": "x", "logit_bias": {"5": -1}},
    "unknown key": {"messages": HELLO, "metadata": {"a": "b"}},
}
TEXTS: Mapping[str, Json] = {
    "plain": {"prompt": "Once upon a time", "max_tokens": 5},
    "several": {"prompt": ["Once upon a time", "Say hello."], "max_tokens": 5},
    "logprobs": {"prompt": "Once upon a time", "max_tokens": 3, "logprobs": 2, "echo": True},
}
VECTORS: Mapping[str, Json] = {
    "one": {"input": "a cat"},
    "several": {"input": ["a cat", "a kitten"], "encoding_format": "float"},
    "token ids": {"input": [[1, 2, 3]]},
}
RANKINGS: Mapping[str, Json] = {
    "all": {"query": "a cat", "documents": ["a kitten", "a stone"]},
    "best": {"query": "a cat", "documents": ["a kitten", "a stone"], "top_n": 1},
}


def certain(bodies: Mapping[str, Json]) -> Mapping[str, Json]:
    """Returns requests whose answers are the same each time."""
    return {key: {**body, "temperature": 0} for key, body in bodies.items()}


async def check(target: Target, url: str, bodies: Mapping[str, Json], tolerance: float = 0) -> None:
    """Makes requests in a batch and directly, and compares the answers."""
    items = {key: openai_request(url, body) for key, body in bodies.items()}
    async with AsyncClient(channel=target.channel) as client, client.batch.run(items) as results:
        found = {result.key: openai_answer(result.answer.proto) async for result in results}
    async with httpx.AsyncClient(base_url=target.upstream.url, trust_env=False) as http:
        for key, body in bodies.items():
            answer = await http.post(url, json=body, timeout=60)
            same(found[key], answer.json(), tolerance, key)


def same(found: Any, expected: Any, tolerance: float, at: str) -> None:
    """Checks that two JSON values are the same; null is the same as no key."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), at
        for key in found.keys() | expected.keys():
            older = expected.get("reasoning_content") if key == "reasoning" else None
            if key not in OWN:
                same(found.get(key), expected.get(key, older), tolerance, f"{at}.{key}")
    elif isinstance(expected, list):
        if expected or found:
            assert len(found) == len(expected), at
        for number, value in enumerate(expected):
            same(found[number], value, tolerance, f"{at}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=tolerance or 1e-6, abs=tolerance), at
    elif not at.endswith(".usage.prompt_tokens"):  # older versions report only the total
        assert found == expected, at


async def test_chats(target: Target) -> None:
    await check(target, "/v1/chat/completions", certain(CHATS))


async def test_text_completions(target: Target) -> None:
    await check(target, "/v1/completions", certain(TEXTS))


@pytest.mark.upstream("reason")
async def test_reasoning(target: Target) -> None:
    await check(target, "/v1/chat/completions", certain({"reasoning": {"messages": HELLO}}))


@pytest.mark.upstream("embed")
async def test_embeddings(target: Target) -> None:
    await check(target, "/v1/embeddings", VECTORS, 1e-3)


@pytest.mark.upstream("rerank")
async def test_rankings(target: Target) -> None:
    await check(target, "/v1/rerank", RANKINGS, 1e-3)


async def test_many_items(target: Target) -> None:
    """Each item has one result, and the model answers many at once."""
    request = openai_request("/v1/chat/completions", {"messages": HELLO, "temperature": 0})
    items = ((str(number), request) for number in range(200))
    async with AsyncClient(channel=target.channel) as client, client.batch.run(items) as results:
        answers = {one.key: one.answer async for one in results}
    texts = {key: one.text for key, one in answers.items() if isinstance(one, ChatCompletion)}
    assert texts == dict.fromkeys((str(number) for number in range(200)), HELLO_ANSWER)
