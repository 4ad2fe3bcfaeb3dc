"""Requests that are refused before generation."""

from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import PATH, chat, client, stream, user

NAMED_NOTHING = {"tool_choice": {"type": "function"}, "tools": [{"function": {"name": "f"}}]}

REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"messages": None}, None, "'NoneType' object is not iterable"),
    ({"messages": "x"}, "body.messages", "list_type"),
    ({"messages": [5]}, "body.messages.0.ChatCompletionDeveloperMessageParam", "dict_type"),
    (
        {"messages": [{"content": "x"}]},
        "body.messages.0.ChatCompletionDeveloperMessageParam.role",
        "missing",
    ),
    ({"max_tokens": "x"}, "body.max_tokens", "int_parsing"),
    ({"max_tokens": 1.5}, "body.max_tokens", "int_from_float"),
    ({"stream": "maybe"}, "body.stream", "bool_parsing"),
    ({"seed": 2**64}, "body.seed", "less_than_equal"),
    ({"model": 5}, "body.model", "string_type"),
    ({"reasoning_effort": "huge"}, "body.reasoning_effort", "literal_error"),
    ({"tools": "x"}, "body.tools", "list_type"),
    ({"tools": [{"type": "function"}]}, "body.tools.0.function", "missing"),
    ({"tool_choice": "auto"}, "tool_choice", "`tools` must be set"),
    (NAMED_NOTHING, "tool_choice.function", "Invalid value for `function`"),
    ({"n": 20000}, None, "at most 16384"),
    ({"n": 2, "temperature": 0}, None, "greedy"),
    ({"temperature": "0.5", "top_p": 2}, "top_p", "(0, 1]"),
    ({"frequency_penalty": 3}, None, "[-2, 2], got 3.0"),
    ({"presence_penalty": -3}, None, "[-2, 2], got -3.0"),
    ({"min_p": 2}, None, "[0, 1], got 2.0"),
    ({"top_k": -5}, None, "got -5"),
    ({"repetition_penalty": 0}, None, "greater than zero"),
    ({"max_completion_tokens": 0}, "max_tokens", "at least 1"),
    ({"min_tokens": -1}, None, "min_tokens"),
    ({"stop": [""]}, None, "empty string"),
    ({"truncate_prompt_tokens": 600}, "truncate_prompt_tokens", "512"),
    ({"logprobs": True, "top_logprobs": -2}, "top_logprobs", "-1"),
    ({"prompt_logprobs": 50}, "prompt_logprobs", "max allowed: 20"),
    ({"stream": True, "prompt_logprobs": -1}, "prompt_logprobs", "not available"),
    ({"stream": True, "prompt_logprobs": -3}, "prompt_logprobs", "positive value or -1"),
    ({"cache_salt": ""}, "cache_salt", "non-empty"),
    ({"allowed_token_ids": []}, "allowed_token_ids", "empty"),
    ({"mm_processor_kwargs": {"a": 1}}, "mm_processor_kwargs", "trust"),
    ({"response_format": {"type": "json_schema"}}, "response_format", "must be provided"),
    ({"structured_outputs": {}}, None, "none are specified"),
    ({"structured_outputs": {"choice": []}}, None, "empty list"),
    ({"add_generation_prompt": True, "continue_final_message": True}, None, "Cannot set both"),
]


@pytest.mark.parametrize(("fields", "param", "words"), REFUSED, ids=str)
async def test_refused(
    http: httpx.AsyncClient, fields: dict[str, Any], param: str | None, words: str
) -> None:
    response = await chat(http, {**user("Hi"), **fields})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert error["code"] == 400


async def test_values_are_converted_as_loosely_as_by_pydantic(http: httpx.AsyncClient) -> None:
    body = user("Hi", temperature="0.5", max_tokens="1", n=1.0, logprobs="yes", seed=None)
    assert (await chat(http, body)).status_code == 200


async def test_nan_is_json_to_vllm(http: httpx.AsyncClient) -> None:
    text = '{"messages": [{"role": "user", "content": "Hi"}], "temperature": NaN}'
    headers = {"content-type": "application/json"}
    response = await http.post(PATH, content=text, headers=headers)
    assert response.json()["error"]["param"] == "temperature"


async def test_lone_surrogate(http: httpx.AsyncClient) -> None:
    text = r'{"messages": [{"role": "user", "content": "a \ud800 b"}]}'
    headers = {"content-type": "application/json"}
    response = await http.post(PATH, content=text, headers=headers)
    assert response.status_code == 400
    assert "TextEncodeInput" in response.json()["error"]["message"]


async def test_stream_is_refused_by_status_as_in_vllm(http: httpx.AsyncClient) -> None:
    parts = await stream(http, user("Hi", temperature=9))
    assert parts.response.status_code == 400


async def test_truncated_prompt_fits(http: httpx.AsyncClient) -> None:
    body = user("word " * 1000, truncate_prompt_tokens=100)
    assert (await chat(http, body)).json()["usage"]["prompt_tokens"] == 100


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        ("/v1/models", None, 401),
        ("/v1/models", "Bearer wrong", 401),
        ("/v1/models", "Basic secret", 401),
        ("/v1/models", "bearer secret", 200),
        ("/v1/nothing", None, 401),
        ("/health", None, 200),
        ("/version", None, 200),
    ],
)
async def test_key(path: str, authorization: str | None, status: int) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", api_key="secret")
    headers = {"authorization": authorization} if authorization else {}
    async with Simulator(settings) as running, client(running.url) as http:
        response = await http.get(path, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json() == {"error": "Unauthorized"}


POOLING_PATHS = ("/v1/embeddings", "/classify", "/pooling")
MISTYPED: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": "x"}, "body.messages", "list_type"),
    ({"messages": {}}, "body.messages", "list_type"),
    ({"messages": ["x"]}, "body.messages.0", "dict_type"),
    ({"messages": [{}]}, "body.messages.0", "missing"),
    ({"messages": [{"role": "user", "content": 1}]}, "body.messages.0", "string_type"),
    ({"messages": [["x"]]}, "body.messages.0.0", "dict_type"),
    ({"messages": [{"role": "user", "content": [1]}]}, "None", "literal_error"),
    ({"messages": []}, "None", "empty conversation"),
    ({"input": 1}, "body.input", "list_type"),
    ({"input": [{}]}, "body.input.0", "string_type"),
    ({"input": ["a", 1]}, "body.input.1", "string_type"),
    ({"input": [1, 1.5]}, "body.input.1", "int_type"),
    ({"input": [[1], ["a"]]}, "body.input.1.0", "int_type"),
]


@pytest.mark.parametrize("path", POOLING_PATHS)
@pytest.mark.parametrize(("body", "param", "words"), MISTYPED, ids=str)
async def test_inputs_of_pooling_models_of_a_wrong_type(
    path: str, body: dict[str, Any], param: str, words: str
) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="all")
    async with Simulator(settings) as simulator, client(simulator.url) as http:
        response = await http.post(path, json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert str(error["param"]).startswith(param)
    assert words in error["message"]


async def test_one_of_several_conversations_of_a_wrong_type() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="all")
    async with Simulator(settings) as simulator, client(simulator.url) as http:
        body = {"messages": [*user("a").values(), 1]}
        response = await http.post("/v1/embeddings", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "body.messages.1"
