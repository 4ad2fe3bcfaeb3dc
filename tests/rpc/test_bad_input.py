"""Malformed requests: INVALID_ARGUMENT with a reason and the path of the field."""

from typing import Any

import grpc
import pytest
from grpc import aio

from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.model_pb2 import GetModelRequest, ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock_server.simulator import Simulator

from .calls import CHAT, both, chat, ended, parsed, stream

INVALID = "INVALID_REQUEST"
CONFLICT = "CONFLICTING_FIELDS"
TOOL = 'tools { function { name: "f" %s } }'
PART = "messages { role: ROLE_USER content { %s } }"
MESSAGE = "messages { %s }"
EXTRA = 'extra_body { object { fields { key: "%s" value { %s } } } }'

# A request in text format, added to a valid one; the faulty fields; the reason.
FAULTY = {
    "role unspecified": (MESSAGE % 'content { text: "x" }', ["messages[1].role"], INVALID),
    "role unknown": (MESSAGE % "role: 99", ["messages[1].role"], INVALID),
    "custom role unnamed": (MESSAGE % "role: ROLE_CUSTOM", ["messages[1].custom_role"], INVALID),
    "custom role with another role": (
        MESSAGE % 'role: ROLE_USER custom_role: "critic"',
        ["messages[1].custom_role"],
        INVALID,
    ),
    "message extra covered": (
        MESSAGE % 'role: ROLE_USER extra { json: "{\\"content\\": null}" }',
        ["messages[1].extra.content"],
        CONFLICT,
    ),
    "part empty": (PART % "", ["messages[1].content[0]"], INVALID),
    "part with uuid only": (PART % 'uuid: "u"', ["messages[1].content[0]"], INVALID),
    "other part untyped": (
        PART % "other { json: '{}' }",
        ["messages[1].content[0].other.type"],
        INVALID,
    ),
    "other part typed": (
        PART % 'other { object { fields { key: "type" value { string_value: "text" } } } }',
        ["messages[1].content[0].other.type"],
        INVALID,
    ),
    "image without source": (PART % "image {}", ["messages[1].content[0].image"], INVALID),
    "image URL empty": (
        PART % 'image { url: "" }',
        ["messages[1].content[0].image.url"],
        INVALID,
    ),
    "image URL without scheme": (
        PART % 'image { url: "cat.png" }',
        ["messages[1].content[0].image.url"],
        INVALID,
    ),
    "image URL of FTP": (
        PART % 'image { url: "ftp://x/cat.png" }',
        ["messages[1].content[0].image.url"],
        INVALID,
    ),
    "image URL without host": (
        PART % 'image { url: "https:///cat.png" }',
        ["messages[1].content[0].image.url"],
        INVALID,
    ),
    "video URL broken": (
        PART % 'video { url: "http://[::1" }',
        ["messages[1].content[0].video.url"],
        INVALID,
    ),
    "image data empty": (
        PART % 'image { data: "" mime_type: "image/png" }',
        ["messages[1].content[0].image.data"],
        INVALID,
    ),
    "image data untyped": (
        PART % 'image { data: "x" }',
        ["messages[1].content[0].image.mime_type"],
        INVALID,
    ),
    "image type not a type": (
        PART % 'image { data: "x" mime_type: "png" }',
        ["messages[1].content[0].image.mime_type"],
        INVALID,
    ),
    "audio of an image": (
        PART % 'audio { data: "x" mime_type: "image/png" }',
        ["messages[1].content[0].audio.mime_type"],
        INVALID,
    ),
    "tool call empty": (
        MESSAGE % 'role: ROLE_ASSISTANT tool_calls { id: "c" }',
        ["messages[1].tool_calls[0]"],
        INVALID,
    ),
    "tool empty": ("tools {}", ["tools[0]"], INVALID),
    "tool unnamed": ("tools { function {} }", ["tools[0].function.name"], INVALID),
    "tool not JSON": (
        'tools { other { json: "{" } }',
        ["tools[0].other.json"],
        INVALID,
    ),
    "parameters empty": (TOOL % "parameters {}", ["tools[0].function.parameters"], INVALID),
    "parameters not JSON": (
        TOOL % 'parameters { json: "{type: object}" }',
        ["tools[0].function.parameters.json"],
        INVALID,
    ),
    "parameters NaN": (
        TOOL % 'parameters { object { fields { key: "a" value { number_value: nan } } } }',
        ["tools[0].function.parameters.object.a"],
        INVALID,
    ),
    "parameters without value": (
        TOOL
        % """parameters { object { fields { key: "a" value { list_value {
            values { bool_value: true } values {} } } } } }""",
        ["tools[0].function.parameters.object.a[1]"],
        INVALID,
    ),
    "tool choice empty": ("tool_choice {}", ["tool_choice"], INVALID),
    "tool mode unspecified": (
        "tool_choice { mode: MODE_UNSPECIFIED }",
        ["tool_choice.mode"],
        INVALID,
    ),
    "tool mode unknown": ("tool_choice { mode: 77 }", ["tool_choice.mode"], INVALID),
    "format empty": ("response_format {}", ["response_format"], INVALID),
    "schema unnamed": (
        'response_format { json_schema { schema { json: "{}" } } }',
        ["response_format.json_schema.name"],
        INVALID,
    ),
    "schema empty": (
        'response_format { json_schema { name: "n" } }',
        ["response_format.json_schema.schema"],
        INVALID,
    ),
    "tag not JSON": (
        'response_format { structural_tag { json: "" } }',
        ["response_format.structural_tag.json"],
        INVALID,
    ),
    "structure empty": ("structured_outputs {}", ["structured_outputs"], INVALID),
    "structure not JSON": (
        'structured_outputs { json_schema { json: "NaN" } }',
        ["structured_outputs.json_schema.json"],
        INVALID,
    ),
    "no choices": (
        "structured_outputs { choice {} }",
        ["structured_outputs.choice.choices"],
        INVALID,
    ),
    "bad word empty": (
        'sampling { bad_words: "x" bad_words: "" }',
        ["sampling.bad_words[1]"],
        INVALID,
    ),
    "temperature NaN": ("sampling { temperature: nan }", ["sampling.temperature"], INVALID),
    "penalty infinite": (
        "sampling { presence_penalty: -inf }",
        ["sampling.presence_penalty"],
        INVALID,
    ),
    "bias infinite": (
        "sampling { logit_bias { key: 7 value: inf } }",
        ["sampling.logit_bias[7]"],
        INVALID,
    ),
    "truncation unknown": (
        "sampling { truncation_side: 9 }",
        ["sampling.truncation_side"],
        INVALID,
    ),
    "transfer not JSON": (
        'engine { kv_transfer_params { json: "[1,]" } }',
        ["engine.kv_transfer_params.json"],
        INVALID,
    ),
    "request id with a line break": (
        'engine { request_id: "a\\r\\nx-evil: 1" }',
        ["engine.request_id"],
        INVALID,
    ),
    "session not ASCII": ('engine { session_id: "caf\\303\\251" }', ["engine.session_id"], INVALID),
    "request id endless": (
        f'engine {{ request_id: "{"x" * 5000}" }}',
        ["engine.request_id"],
        INVALID,
    ),
    "extra_body NaN": (EXTRA % ("new", "number_value: nan"), ["extra_body.object.new"], INVALID),
    "extra_body without value": (EXTRA % ("new", ""), ["extra_body.object.new"], INVALID),
    "extra_body that is not an object": ('extra_body { json: "[1]" }', ["extra_body"], INVALID),
    "extra_body that is not JSON": ('extra_body { json: "{" }', ["extra_body.json"], INVALID),
    "extra_body without a document": ("extra_body {}", ["extra_body"], INVALID),
    "kwargs that are not an object": (
        'template { chat_template_kwargs { json: "1" } }',
        ["template.chat_template_kwargs"],
        INVALID,
    ),
    "extra_body covered": (
        EXTRA % ("temperature", "number_value: 1"),
        ["extra_body.temperature"],
        CONFLICT,
    ),
    "extra_body covered by another name": (
        EXTRA % ("max_tokens", "number_value: 1"),
        ["extra_body.max_tokens"],
        CONFLICT,
    ),
    "extra_body chooses the RPC": (
        EXTRA % ("stream", "bool_value: true"),
        ["extra_body.stream"],
        CONFLICT,
    ),
    "extra_body removed": (
        EXTRA % ("guided_json", 'string_value: "{}"'),
        ["extra_body.guided_json"],
        INVALID,
    ),
}


@pytest.mark.parametrize(("request_text", "fields", "reason"), FAULTY.values(), ids=FAULTY)
async def test_faulty_requests(
    channel: aio.Channel,
    simulator: Simulator,
    request_text: str,
    fields: list[str],
    reason: str,
) -> None:
    result = await both(channel, parsed(request_text))
    assert (result.code, result.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert result.fields == fields
    assert fields[0] in result.message
    assert result.domain == "penstock"
    assert result.request_id == result.trailers["x-request-id"]
    assert (result.pushback, result.retry_s) == (None, None)
    assert all(request.path != "/v1/chat/completions" for request in simulator.requests)


async def test_no_messages(channel: aio.Channel) -> None:
    result = await both(channel, CreateChatCompletionRequest())
    assert (result.reason, result.fields) == (INVALID, ["messages"])


async def test_the_error_for_a_removed_key_names_its_successor(channel: aio.Channel) -> None:
    result = await both(channel, parsed(EXTRA % ("guided_json", 'string_value: "{}"')))
    assert "use structured_outputs.json_schema" in result.message


async def test_all_conflicts_are_reported_together(channel: aio.Channel) -> None:
    keys = [EXTRA % (key, "number_value: 1") for key in ("seed", "top_p", "harmless")]
    result = await both(channel, parsed(" ".join(keys)))
    assert sorted(result.fields) == ["extra_body.seed", "extra_body.top_p"]


@pytest.mark.parametrize(
    ("metadata", "text", "fields", "reason"),
    [
        (("x-llm-model", "b"), 'model: "a"', ["model"], CONFLICT),
        (("x-session-id", "b"), 'engine { session_id: "a" }', ["engine.session_id"], CONFLICT),
        (("x-vllm-priority", "2"), "engine { priority: 0 }", ["engine.priority"], CONFLICT),
        (
            ("x-data-parallel-rank", "1"),
            "engine { data_parallel_rank: 0 }",
            ["engine.data_parallel_rank"],
            CONFLICT,
        ),
        (("x-vllm-priority", "high"), "", ["metadata x-vllm-priority"], INVALID),
        (("x-vllm-priority", "1_0"), "", ["metadata x-vllm-priority"], INVALID),
        (("x-vllm-priority", "9" * 30), "", ["metadata x-vllm-priority"], INVALID),
        (("x-data-parallel-rank", "1.5"), "", ["metadata x-data-parallel-rank"], INVALID),
        (("x-session-id", "s" * 5000), "", ["metadata x-session-id"], INVALID),
        (("x-session-affinity", "s" * 5000), "", ["metadata x-session-affinity"], INVALID),
        (
            ("x-gateway-inference-objective", "o" * 5000),
            "",
            ["metadata x-gateway-inference-objective"],
            INVALID,
        ),
    ],
)
async def test_metadata_that_contradicts_the_request(
    channel: aio.Channel, metadata: tuple[str, str], text: str, fields: list[str], reason: str
) -> None:
    result = await both(channel, parsed(text), metadata=(metadata,))
    assert (result.code, result.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert result.fields == fields


async def test_metadata_that_matches_the_request(
    channel: aio.Channel, simulator: Simulator
) -> None:
    metadata = (
        ("x-llm-model", "tiny-chat"),
        ("x-session-id", "s"),
        ("x-vllm-priority", "-2"),
        ("x-data-parallel-rank", "0"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "vendor=1"),
        ("x-gateway-inference-objective", "batch"),
        ("x-gateway-inference-fairness-id", "team-a"),
    )
    request = parsed('model: "tiny-chat" engine { session_id: "s" priority: -2 }')
    assert (await stream(channel, request, metadata=metadata)).code is grpc.StatusCode.OK
    [headers] = [r.headers for r in simulator.requests if r.path == "/v1/chat/completions"]
    assert dict(metadata[1:]).items() <= headers.items()
    assert "x-llm-model" not in headers


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ListModelsRequest(page_size=-1), "page_size"),
        (ListModelsRequest(page_token="x"), "page_token"),
        (ListModelsRequest(page_token="é"), "page_token"),
        (ListModelsRequest(page_token="/w=="), "page_token"),
        (ListModelsRequest(page_token="YWZ0ZQ=="), "page_token"),
        (ListModelsRequest(page_token="YWZ0\nZXI6bQ=="), "page_token"),
    ],
)
async def test_pages(channel: aio.Channel, request_: ListModelsRequest, field: str) -> None:
    with pytest.raises(aio.AioRpcError) as raised:
        await ModelServiceStub(channel).ListModels(request_)
    result = ended(raised.value)
    assert (result.code, result.reason) == (grpc.StatusCode.INVALID_ARGUMENT, INVALID)
    assert result.fields == [field]


async def test_an_unknown_model(channel: aio.Channel) -> None:
    with pytest.raises(aio.AioRpcError) as raised:
        await ModelServiceStub(channel).GetModel(GetModelRequest(model="nobody"))
    result = ended(raised.value)
    assert (result.code, result.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    request = chat()
    request.model = "nobody"
    result = await both(channel, request)
    assert (result.code, result.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert result.resource == "nobody"


GARBAGE = {
    "bytes": b"\xff\xff\xff",
    "cut": CreateChatCompletionRequest(model="m").SerializeToString()[:-1],
    "text not UTF-8": b"\x0a\x02\xc3\x28",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_garbage(channel: aio.Channel, data: bytes) -> None:
    unary: Any = channel.unary_unary(CHAT)
    streaming: Any = channel.unary_stream(CHAT.replace("Create", "Stream", 1))
    with pytest.raises(aio.AioRpcError) as raised:
        await unary(data)
    results = [ended(raised.value)]
    with pytest.raises(aio.AioRpcError) as raised:
        await streaming(data).read()
    results.append(ended(raised.value))
    for result in results:
        assert (result.code, result.reason) == (grpc.StatusCode.INVALID_ARGUMENT, INVALID)
    assert (await stream(channel, chat())).code is grpc.StatusCode.OK
