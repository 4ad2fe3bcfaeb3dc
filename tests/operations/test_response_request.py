"""Conversion of requests for responses to chats, and refused requests."""

from typing import Any

import pytest
from google.protobuf import text_format

from penstock.v1.response_pb2 import CreateResponseRequest
from penstock_server.convert.errors import MOST_VIOLATIONS, InvalidRequest, UnsupportedRequest
from penstock_server.convert.field_path import field_path
from penstock_server.convert.fields import CONVERTED
from penstock_server.convert.response.chat_request import chat_body


def request(text: str, *, asking: bool = True) -> CreateResponseRequest:
    """Returns a request from protobuf's text format."""
    made = text_format.Parse(text, CreateResponseRequest())
    if asking and not made.input and not made.input_text:
        made.input_text = "x"
    return made


def messages(text: str) -> Any:
    return chat_body(request(text), stream=False)["messages"]


def user(text: str) -> str:
    return f'input {{message {{role: ROLE_USER content {{text: "{text}"}}}}}}'


def own(text: str) -> str:
    return f'input {{message {{role: ROLE_ASSISTANT content {{text: "{text}"}}}}}}'


def call(call_id: str) -> str:
    return f'input {{function_call {{call_id: "{call_id}" name: "f" arguments: "{{}}"}}}}'


def result(call_id: str) -> str:
    return f'input {{function_call_output {{call_id: "{call_id}" output {{text: "r"}}}}}}'


def thought(text: str) -> str:
    return f'input {{reasoning {{content: "{text}"}}}}'


def called(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def assistant(content: Any = None, *calls: str, **more: Any) -> dict[str, Any]:
    made = {"role": "assistant", "content": content, **more}
    return made | ({"tool_calls": [called(one) for one in calls]} if calls else {})


ASKED = {"role": "user", "content": "x"}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "r"}

CONVERSATIONS = {
    "text": ('input_text: "x"', [ASKED]),
    "instructions come first": (
        f'instructions: "be kind" {user("x")}',
        [{"role": "system", "content": "be kind"}, ASKED],
    ),
    "instructions with a system message": (
        'instructions: "a" input {message {role: ROLE_SYSTEM content {text: "b"}}}',
        [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}],
    ),
    "developer": (
        'input {message {role: ROLE_DEVELOPER content {text: "b"}}}',
        [{"role": "developer", "content": "b"}],
    ),
    "consecutive calls are one message": (
        user("x") + call("1") + call("2") + result("1") + result("2"),
        [ASKED, assistant(None, "1", "2"), RESULT, RESULT | {"tool_call_id": "2"}],
    ),
    "text with calls is one message": (
        own("t") + call("1") + result("1"),
        [assistant("t", "1"), RESULT],
    ),
    "text after calls too: the result follows its call": (
        call("1") + own("t") + result("1"),
        [assistant("t", "1"), RESULT],
    ),
    "text around calls": (
        own("a") + call("1") + own("b") + result("1"),
        [
            assistant([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "1"),
            RESULT,
        ],
    ),
    "calls after a result are a separate message": (
        call("1") + result("1") + call("2"),
        [assistant(None, "1"), RESULT, assistant(None, "2")],
    ),
    "two texts are two messages": (own("a") + own("b"), [assistant("a"), assistant("b")]),
    "reasoning belongs to the next message": (
        thought("hm") + own("t") + thought("so") + call("1"),
        [assistant("t", reasoning="hm"), assistant(None, "1", reasoning="so")],
    ),
    "reasoning adds up": (
        thought("a") + thought("b") + own("t"),
        [assistant("t", reasoning="a\nb")],
    ),
    "reasoning between calls does not separate them": (
        call("1") + thought("hm") + call("2"),
        [assistant(None, "1", "2", reasoning="hm")],
    ),
    "reasoning at the end": (thought("hm"), [assistant(None, reasoning="hm")]),
    "summary replaces reasoning": (
        'input {reasoning {summary: "s"}}',
        [assistant(None, reasoning="s")],
    ),
    "result without output": (
        'input {function_call_output {call_id: "1"}}',
        [RESULT | {"content": ""}],
    ),
    "result of several parts": (
        'input {function_call_output {call_id: "1" output {text: "a"} output {text: "b"}}}',
        [RESULT | {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    ),
    "image": (
        'input {message {role: ROLE_USER content {text: "a"} content {image '
        '{url: "https://x.org/i.png" detail: IMAGE_DETAIL_LOW}}}}',
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://x.org/i.png", "detail": "low"},
                    },
                ],
            }
        ],
    ),
    "audio": (
        'input {message {role: ROLE_USER content {audio {data: "AB" mime_type: "audio/wav"}}}}',
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": "QUI=", "format": "wav"}}
                ],
            }
        ],
    ),
    "refusal": (
        'input {message {role: ROLE_ASSISTANT content {refusal: "no"}}}',
        [assistant([{"type": "refusal", "refusal": "no"}])],
    ),
    "further keys": (
        'input {message {role: ROLE_USER content {text: "x"}} '
        'extra {object {fields {key: "name" value {string_value: "Ada"}}}}}',
        [ASKED | {"name": "Ada"}],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(name: str) -> None:
    text, expected = CONVERSATIONS[name]
    assert messages(text) == expected


SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": ("sampling {max_tokens: 7}", {"max_completion_tokens": 7}),
    "zero is sent": (
        "sampling {temperature: 0 seed: 0 top_k: 0}",
        {"temperature": 0, "seed": 0, "top_k": 0},
    ),
    "vLLM's own options": ("sampling {min_tokens: 2 n: 3}", {"min_tokens": 2, "n": 3}),
    "effort": ('reasoning {effort: "high"}', {"reasoning_effort": "high"}),
    "hidden reasoning": ("include_reasoning: false", {"include_reasoning": False}),
    "one call": ("parallel_tool_calls: false", {"parallel_tool_calls": False}),
    "logprobs": ("logprobs {top_logprobs: 2}", {"logprobs": True, "top_logprobs": 2}),
    "logprobs by include": ('include: "message.output_text.logprobs"', {"logprobs": True}),
    "json object": ("text_format {json_object {}}", {"response_format": {"type": "json_object"}}),
    "structure": ('structured_outputs {regex: "a"}', {"structured_outputs": {"regex": "a"}}),
    "metadata": ('metadata {key: "a" value: "b"}', {"metadata": {"a": "b"}}),
    "labels": (
        'user: "u" service_tier: "flex" safety_identifier: "s" prompt_cache_key: "k"',
        {"user": "u", "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k"},
    ),
    "fields without effect": ("store: false background: false truncation: TRUNCATION_DISABLED", {}),
    "automatic choice of no tools": ("tool_choice {mode: MODE_AUTO}", {}),
    "no choice of no tools": ("tool_choice {mode: MODE_NONE}", {"tool_choice": "none"}),
    "engine": ('engine {priority: 0 cache_salt: "s"}', {"priority": 0, "cache_salt": "s"}),
    "template": ("template {add_special_tokens: true}", {"add_special_tokens": True}),
    "extra": (
        'extra_body {object {fields {key: "new" value {number_value: 1}}}}',
        {"new": 1},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    text, expected = SETTINGS[name]
    body = chat_body(request(text), stream=False)
    assert body == {"messages": [ASKED], **expected}


def test_stream_always_requests_usage() -> None:
    body = chat_body(request("stream_options {stream_interval: 4}"), stream=True)
    assert body["stream_options"] == {"include_usage": True}
    assert (body["stream"], body["stream_interval"]) == (True, 4)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("mode: MODE_AUTO", "auto"),
        ("mode: MODE_NONE", "none"),
        ("mode: MODE_REQUIRED", "required"),
        ('function_name: "f"', {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_tool_choice_is_sent_exactly(choice: str, sent: Any) -> None:
    text = f'tools {{function {{name: "f"}}}} tool_choice {{{choice}}}'
    body = chat_body(request(text), stream=False)
    assert body["tool_choice"] == sent
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]


def test_unfinished_message_is_continued() -> None:
    text = (
        user("x") + "input {status: RESPONSE_STATUS_INCOMPLETE " + own("t").removeprefix("input {")
    )
    body = chat_body(request(text), stream=False)
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False


UNSUPPORTED = {
    "previous_response_id": 'previous_response_id: "resp_1"',
    "store": "store: true",
    "background": "background: true",
    "max_tool_calls": "max_tool_calls: 3",
    "prompt_cache_retention": 'prompt_cache_retention: "24h"',
    "prompt_cache_options": "prompt_cache_options {json: '{}'}",
    "truncation": "truncation: TRUNCATION_AUTO",
    "text_verbosity": "text_verbosity: TEXT_VERBOSITY_LOW",
    "reasoning.summary": "reasoning {summary: REASONING_SUMMARY_AUTO}",
    "reasoning.extra": 'reasoning {extra {object {fields {key: "a" value {bool_value: true}}}}}',
    "include[1]": 'include: "message.output_text.logprobs" include: "file_search_call.results"',
    "tools[0].other": """tools {other {json: '{"type": "web_search"}'}}""",
    "tool_choice.other": """tool_choice {other {json: '{"type": "allowed_tools"}'}}""",
    "input[0].other": """input {other {json: '{"type": "item_reference"}'}}""",
    "input[0].message.phase": 'input {message {role: ROLE_ASSISTANT phase: "final_answer"}}',
    "input[0].message.content[0].other": (
        """input {message {role: ROLE_USER content {other {json: '{"type": "input_file"}'}}}}"""
    ),
    "input[0].message.content[0].annotations": (
        'input {message {role: ROLE_ASSISTANT content {text: "a" annotations {json: "{}"}}}}'
    ),
    "input[0].reasoning.encrypted_content": 'input {reasoning {encrypted_content: "e"}}',
    "input[0].reasoning.summary": 'input {reasoning {content: "c" summary: "s"}}',
    "extra_body.conversation": (
        'extra_body {object {fields {key: "conversation" value {bool_value: true}}}}'
    ),
    "extra_body.prompt": ('extra_body {object {fields {key: "prompt" value {bool_value: true}}}}'),
}


@pytest.mark.parametrize("field", UNSUPPORTED)
def test_fields_that_chats_do_not_support_are_named(field: str) -> None:
    with pytest.raises(UnsupportedRequest) as caught:
        chat_body(request(UNSUPPORTED[field]), stream=False)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_a_long_list_of_faults_is_limited() -> None:
    with pytest.raises(UnsupportedRequest) as caught:
        chat_body(CreateResponseRequest(input_text="x", include=["x"] * 1000), stream=False)
    assert len(caught.value.violations) == MOST_VIOLATIONS


INVALID = {
    "input": "",
    "input[0]": "input {}",
    "input[0].message.role": "input {message {content {text: 'a'}}}",
    "input[1].message.role": user("x") + "input {message {role: ROLE_TOOL content {text: 'a'}}}",
    "input[0].message.content": "input {message {role: ROLE_USER}}",
    "input[0].message.content[0]": "input {message {role: ROLE_USER content {}}}",
    "input[0].message.content[0].reasoning": (
        'input {message {role: ROLE_ASSISTANT content {reasoning: "r"}}}'
    ),
    "input[0].message.content[0].image.url": (
        'input {message {role: ROLE_USER content {image {url: "nowhere"}}}}'
    ),
    "input[0].function_call.name": 'input {function_call {call_id: "1"}}',
    "input[0].function_call.call_id": 'input {function_call {name: "f"}}',
    "input[0].function_call_output.call_id": "input {function_call_output {}}",
    "truncation": "truncation: 9",
    "text_verbosity": "text_verbosity: 9",
    "reasoning.summary": "reasoning {summary: 9}",
    "engine.return_token_ids": "engine {return_token_ids: false}",
    "engine.prompt_logprobs": "engine {prompt_logprobs: 0}",
    "sampling.temperature": "sampling {temperature: nan}",
    "text_format": "text_format {}",
    "text_format.json_schema.name": "text_format {json_schema {schema {json: '{}'}}}",
    "tools[0].function.name": "tools {function {}}",
    "tool_choice": "tool_choice {}",
    "extra_body.guided_json": (
        'extra_body {object {fields {key: "guided_json" value {bool_value: true}}}}'
    ),
}


@pytest.mark.parametrize("field", INVALID)
def test_fault_is_named(field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_body(request(INVALID[field], asking=field != "input"), stream=False)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert not caught.value.conflicting


def test_continuous_usage_is_refused() -> None:
    asked = request("stream_options {continuous_usage_stats: true}")
    assert chat_body(asked, stream=False)
    with pytest.raises(InvalidRequest, match=r"stream_options\.continuous_usage_stats"):
        chat_body(asked, stream=True)


CONFLICTS = {
    "input_text": f'input_text: "a" {user("x")}',
    "structured_outputs": 'text_format {json_object {}} structured_outputs {regex: "a"}',
    "extra_body.temperature": (
        'extra_body {object {fields {key: "temperature" value {number_value: 1}}}}'
    ),
    "extra_body.max_output_tokens": (
        'extra_body {object {fields {key: "max_output_tokens" value {number_value: 1}}}}'
    ),
    "extra_body.messages": (
        'extra_body {object {fields {key: "messages" value {null_value: NULL_VALUE}}}}'
    ),
    "input[0].extra.role": (
        'input {message {role: ROLE_USER content {text: "a"}} '
        'extra {object {fields {key: "role" value {string_value: "b"}}}}}'
    ),
    "input[0].extra.arguments": (
        'input {function_call {call_id: "1" name: "f"} '
        'extra {object {fields {key: "arguments" value {string_value: "b"}}}}}'
    ),
}


@pytest.mark.parametrize("field", CONFLICTS)
def test_conflict_is_named(field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_body(request(CONFLICTS[field]), stream=False)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert caught.value.conflicting


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("temperature", "sampling.temperature"),
        ("max_completion_tokens", "sampling.max_tokens"),
        ("body.messages.3.content", "input"),
        ("response_format", "text_format"),
        ("tools.0.function", "tools[0].function"),
        ("reasoning_effort", "reasoning.effort"),
        ("input_tokens", "input"),
    ],
)
def test_parameter_of_the_chat_is_mapped_to_our_field(param: str, field: str) -> None:
    assert field_path(CONVERTED, param) == field


def test_every_field_of_the_request_is_echoed_sent_or_refused() -> None:
    """A new field of the request must be added here too."""
    known = {
        *("model", "input", "input_text", "instructions", "sampling", "tools", "tool_choice"),
        *("parallel_tool_calls", "text_format", "structured_outputs", "reasoning", "logprobs"),
        *("template", "engine", "include_reasoning", "previous_response_id", "store"),
        *("background", "include", "max_tool_calls", "truncation", "text_verbosity"),
        *("prompt_cache_retention", "prompt_cache_options"),
        *("service_tier", "metadata", "user", "safety_identifier", "prompt_cache_key"),
        *("stream_options", "extra_body"),
    }
    assert {field.name for field in CreateResponseRequest.DESCRIPTOR.fields} == known
