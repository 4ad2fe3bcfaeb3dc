"""Unary chat answers: their text, truncation and other parts."""

import json
import re
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import PATH, answer, chat, client, user

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or CITY}}


WEATHER, TIME = tool("get_weather"), tool("get_time")
BOTH = "Weather in Paris and time in London?"


async def content(http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    return (await answer(http, body))["message"]["content"]


async def test_unknown_conversation_is_echoed(http: httpx.AsyncClient) -> None:
    assert await content(http, user("Good morning!")) == "You said: Good morning!"


async def test_same_question_same_answer(http: httpx.AsyncClient) -> None:
    choices = [await answer(http, user("Good morning!")) for _ in range(2)]
    assert choices[0] == choices[1]


async def test_text_parts_are_joined_by_line_ends(http: httpx.AsyncClient) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    body = {"messages": [{"role": "user", "content": parts}]}
    assert await content(http, body) == "You said: one\ntwo"


async def test_dialogue_is_found_through_parts(http: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    assert await content(http, body) == "Hi there!"


async def test_random_words_depend_on_the_seed() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", fallback="random")
    async with Simulator(settings) as running, client(running.url) as http:
        first, again, other = [
            await content(http, user("Anything", seed=seed)) for seed in (1, 1, 2)
        ]
    assert first == again != other


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_truncation_by_length(http: httpx.AsyncClient, name: str) -> None:
    choice = await answer(http, user("Say hello.", **{name: 3}))
    assert choice["message"]["content"] == "Hello! How"
    assert choice["finish_reason"] == "length"


async def test_ignore_eos_continues_to_the_limit(http: httpx.AsyncClient) -> None:
    response = await chat(http, user("Hi", ignore_eos=True, max_tokens=100))
    assert response.json()["usage"]["completion_tokens"] == 100
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert response.json()["choices"][0]["message"]["content"].startswith("Hi there! Hi there!")


async def test_min_tokens(http: httpx.AsyncClient) -> None:
    response = await chat(http, user("Hi", min_tokens=30))
    assert response.json()["usage"]["completion_tokens"] == 30
    assert response.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(("include", "text"), [(False, "Hello! "), (True, "Hello! How can")])
async def test_stop_string(http: httpx.AsyncClient, include: bool, text: str) -> None:
    body = user("Say hello.", stop="How can", include_stop_str_in_output=include)
    choice = await answer(http, body)
    assert choice["message"]["content"] == text
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "How can")


async def test_first_of_several_stop_strings_counts(http: httpx.AsyncClient) -> None:
    choice = await answer(http, user("Say hello.", stop=["today", "help"]))
    assert choice["stop_reason"] == "help"


async def test_usage_covers_all_choices(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, user("Hi", n=3))).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    usage = whole["usage"]
    assert usage["completion_tokens"] == 12
    assert usage["total_tokens"] == usage["prompt_tokens"] + 12


async def test_prompt_of_two_blocks_is_cached(http: httpx.AsyncClient) -> None:
    body = user("word " * 300, max_tokens=1)
    first, second = [(await chat(http, body)).json()["usage"] for _ in range(2)]
    assert first["prompt_tokens_details"]["created_cache_tokens"] == 256
    assert second["prompt_tokens_details"]["cached_tokens"] == 256
    salted = (await chat(http, {**body, "cache_salt": "mine"})).json()["usage"]
    assert salted["prompt_tokens_details"]["cached_tokens"] == 0


async def test_transfer_params_pass_through(http: httpx.AsyncClient) -> None:
    params = {"do_remote_decode": True}
    whole = (await chat(http, user("Hi", kv_transfer_params=params))).json()
    assert whole["kv_transfer_params"] == params


async def test_request_id_of_the_header_takes_precedence(http: httpx.AsyncClient) -> None:
    body = user("Hi", request_id="field")
    by_header = await http.post(PATH, json=body, headers={"X-Request-Id": "header"})
    assert by_header.json()["id"] == "chatcmpl-header"
    assert (await chat(http, body)).json()["id"] == "chatcmpl-field"


async def test_token_ids_spell_the_answer(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, user("Hi", return_token_ids=True))).json()
    assert len(whole["prompt_token_ids"]) == whole["usage"]["prompt_tokens"]
    assert whole["choices"][0]["token_ids"][-1] == 2


async def test_prompt_text(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, user("Hi", return_prompt_text=True))).json()
    assert whole["prompt_text"].startswith("<|im_start|>user\nHi<|im_end|>\n")


async def test_logprobs_of_bytes_join_to_the_text(http: httpx.AsyncClient) -> None:
    body = user("Greet me in French with emoji.", logprobs=True, top_logprobs=3)
    choice = await answer(http, body)
    entries = choice["logprobs"]["content"]
    assert all(len(entry["top_logprobs"]) == 3 for entry in entries)
    assert any(entry["token"] == "" and entry["bytes"] == [] for entry in entries)
    spelled = b"".join(bytes(entry["bytes"]) for entry in entries)
    assert spelled.decode() == choice["message"]["content"] + "<|im_end|>"


async def test_tokens_as_ids(http: httpx.AsyncClient) -> None:
    body = user("Hi", logprobs=True, return_tokens_as_token_ids=True)
    entries = (await answer(http, body))["logprobs"]["content"]
    assert all(re.fullmatch(r"token_id:\d+", entry["token"]) for entry in entries)


async def test_prompt_logprobs_have_one_entry_per_token(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, user("Hi", prompt_logprobs=2))).json()
    first, *rest = whole["prompt_logprobs"]
    assert first is None
    assert len(rest) == whole["usage"]["prompt_tokens"] - 1
    values = [value for entry in rest for value in entry.values()]
    assert all(set(value) == {"logprob", "rank", "decoded_token"} for value in values)


# Reasoning


@pytest.mark.parametrize(
    "asked", [{"chat_template_kwargs": {"enable_thinking": True}}, {"reasoning_effort": "low"}]
)
async def test_reasoning_on_request(http: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    whole = (await chat(http, user("What is 2+2?", **asked))).json()
    message = whole["choices"][0]["message"]
    assert message["reasoning"].strip() == "Two plus two. That is four."
    assert message["content"].strip() == "2+2 equals 4."
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


async def test_no_reasoning_by_default(http: httpx.AsyncClient) -> None:
    whole = (await chat(http, user("What is 2+2?"))).json()
    assert whole["choices"][0]["message"]["reasoning"] is None
    assert whole["usage"]["completion_tokens_details"] is None


# Tools


async def test_two_calls_after_text(http: httpx.AsyncClient) -> None:
    choice = await answer(http, user(BOTH, tools=[WEATHER, TIME]))
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
    assert len({call["id"] for call in calls}) == 2
    assert choice["message"]["content"] == "Let me check both.\n"


async def test_named_tool_is_called_with_the_smallest_arguments(http: httpx.AsyncClient) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    choice = await answer(http, user("Hi", tools=[WEATHER, TIME], tool_choice=named))
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "get_time",
        "arguments": '{"city": "text"}',
    }
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", "")


async def test_required_call(http: httpx.AsyncClient) -> None:
    choice = await answer(http, user("Hi", tools=[TIME], tool_choice="required"))
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_time"
    assert choice["finish_reason"] == "tool_calls"


# Structured answers

SCHEMAS: list[tuple[Any, Any]] = [
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"enum": ["red", "green"]}, "red"),
    ({"const": 7}, 7),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
    ({"type": "string", "minLength": 6}, "textxx"),
    ({"type": "string", "maxLength": 2}, "te"),
    ({"type": "string", "pattern": "^[0-9]{3}-[a-z]+$"}, "000-a"),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "number", "minimum": 7, "multipleOf": 5}, 10),
    ({"type": ["string", "null"]}, "text"),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, 1),
    (
        {"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"required": ["b"]}]},
        {"a": 1, "b": {}},
    ),
]


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
async def test_schema(http: httpx.AsyncClient, schema: Any, expected: Any) -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(await content(http, user("Hi", response_format=asked))) == expected
    as_text = {"json": json.dumps(schema)}
    assert json.loads(await content(http, user("Hi", structured_outputs=as_text))) == expected


_LOOP = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
_PAIR = {"allOf": [{"$ref": "#/$defs/b"}], "$defs": {"b": {"anyOf": [{"$ref": "#"}]}}}
_TWICE = {
    "$ref": "#/$defs/s0",
    "$defs": {
        f"s{i}": {"required": ["a", "b"], "properties": {key: {"$ref": to} for key in "ab"}}
        for i, to in enumerate([*(f"#/$defs/s{i + 1}" for i in range(30)), "#/$defs/end"])
    }
    | {"end": {"type": "null"}},
}
UNANSWERABLE: dict[str, Any] = {
    "itself": {"$ref": "#"},
    "a schema that requires itself": _LOOP,
    "two that refer to each other": _PAIR,
    "doubling": _TWICE,
    "unresolvable": {"$ref": "#/$defs/missing"},
    "a reference into a list": {"$ref": "#/enum/x", "enum": []},
    "a reference that is not text": {"$ref": 5},
    "many items": {"type": "array", "minItems": 10**9},
    "items of items": {"minItems": 99, "items": {"minItems": 99, "items": {}}},
    "a long text": {"type": "string", "minLength": 10**12},
    "a long pattern": {"type": "string", "pattern": "((a{9999}){9999}){9999}"},
    "not a pattern": {"type": "string", "pattern": "("},
    "a step that is text": {"type": "integer", "multipleOf": "x", "minimum": 1},
    "required that is a number": {"type": "object", "required": 5},
    "properties that are a list": {"type": "object", "properties": [1], "required": ["a"]},
}


def forms(schema: Any) -> list[dict[str, Any]]:
    """Returns the ways to request an answer that a schema allows."""
    return [
        {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
        {"structured_outputs": {"json": json.dumps(schema)}},
        {"tools": [tool("f", schema)], "tool_choice": "required"},
    ]


@pytest.mark.parametrize("schema", UNANSWERABLE.values(), ids=UNANSWERABLE)
async def test_schema_without_a_small_value(http: httpx.AsyncClient, schema: Any) -> None:
    for form in forms(schema):
        refused = await chat(http, user("Hi", **form))
        assert refused.status_code == 400
        assert refused.json()["error"]["message"].startswith("Grammar error")


@pytest.mark.parametrize("depth", [100, 300, 450])
@pytest.mark.parametrize("key", ["items", "anyOf", "const"])
async def test_deep_schema(http: httpx.AsyncClient, key: str, depth: int) -> None:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {key: [schema] if key == "anyOf" else schema, "minItems": 1}
    for form in forms(schema):
        assert (await chat(http, user("Hi", **form))).status_code in (200, 400)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
async def test_body_nested_too_deeply(http: httpx.AsyncClient, opening: str) -> None:
    body = f'{{"messages": {opening * 50_000}'
    headers = {"content-type": "application/json"}
    assert (await http.post(PATH, content=body, headers=headers)).status_code == 400


PATTERNS = [r"[0-9]{3}-[a-z]{2}", r"(yes|no)\?", r"\d+\.\d*", r"[^abc]x", r"(a|b)\1{2}", r"\w\s."]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_pattern(http: httpx.AsyncClient, pattern: str) -> None:
    text = await content(http, user("Hi", structured_outputs={"regex": pattern}))
    assert re.fullmatch(pattern, text)


async def test_first_choice(http: httpx.AsyncClient) -> None:
    assert await content(http, user("Hi", structured_outputs={"choice": ["red", "blue"]})) == "red"


# Media


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> SimulatorSettings:
    multimodal = "media" in request.node.name
    return SimulatorSettings(listen="127.0.0.1:0", multimodal=multimodal)


async def test_media_are_counted_and_described(http: httpx.AsyncClient) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        {"type": "input_audio", "input_audio": {"data": "AAAAAA==", "format": "wav"}},
    ]
    whole = (await chat(http, {"messages": [{"role": "user", "content": parts}]})).json()
    assert whole["choices"][0]["message"]["content"] == (
        "You said: What is this? "
        "I see 2 images (image/png, 3 bytes; https://example.com/a.jpg) "
        "and 1 audio (audio/wav, 4 bytes)."
    )
    details = whole["usage"]["prompt_tokens_details"]
    assert details["multimodal_tokens"] == {"image": 32, "audio": 16}


async def test_media_that_are_not_base64(http: httpx.AsyncClient) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}
    response = await chat(http, {"messages": [{"role": "user", "content": [part]}]})
    assert response.status_code == 400
