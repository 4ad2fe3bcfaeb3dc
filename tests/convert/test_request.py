"""Requests: the conversion of every field to JSON, and refused requests."""

import math
import tracemalloc
from typing import Any

import orjson
import pytest
from documents import document
from google.protobuf.struct_pb2 import Struct, Value

from penstock.v1 import common_pb2 as common
from penstock.v1 import message_pb2 as message
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock_server import routes
from penstock_server.convert import chat
from penstock_server.convert.errors import InvalidRequest
from penstock_server.convert.fields import HOMES, REMOVED

from .giving import give

LOW = message.IMAGE_DETAIL_LOW
ROUTE = routes.CHAT_COMPLETIONS
HEADERS = {"request_id"}
"""Fields that are sent as headers, not in the body."""


def asking(**fields: Any) -> CreateChatCompletionRequest:
    said = message.ChatMessage(role=message.ROLE_USER, content=[message.ContentPart(text="Hi")])
    return CreateChatCompletionRequest(messages=[said], **fields)


def body_of(request: CreateChatCompletionRequest, *, stream: bool = False) -> dict[str, Any]:
    """Returns the body as it is sent."""
    made: dict[str, Any] = orjson.loads(orjson.dumps(chat.request_body(request, stream=stream)))
    return made


def refused(request: CreateChatCompletionRequest) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        chat.request_body(request, stream=False)
    return caught.value


def fields_of(error: InvalidRequest) -> set[str]:
    return {violation.field for violation in error.violations}


def message_body(made: message.ChatMessage) -> Any:
    return body_of(CreateChatCompletionRequest(messages=[made]))["messages"][0]


def part_body(part: message.ContentPart) -> Any:
    """Returns the JSON of a part that follows a text, so that the content is a list."""
    parts = [message.ContentPart(text="x"), part]
    return message_body(message.ChatMessage(role=message.ROLE_USER, content=parts))["content"][1]


def part_refused(part: message.ContentPart) -> set[str]:
    made = message.ChatMessage(role=message.ROLE_USER, content=[part])
    return fields_of(refused(CreateChatCompletionRequest(messages=[made])))


# Every field


def test_unset_fields_are_not_sent() -> None:
    assert body_of(asking()) == {"messages": [{"role": "user", "content": "Hi"}]}


def test_a_stream_always_requests_usage() -> None:
    body = body_of(asking(), stream=True)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_stream_options_are_for_streams() -> None:
    options = common.StreamOptions(continuous_usage_stats=True, stream_interval=3)
    request = asking(stream_options=options)
    assert body_of(request) == body_of(asking())
    body = body_of(request, stream=True)
    assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert body["stream_interval"] == 3


@pytest.mark.parametrize("key", sorted(set(HOMES[ROUTE]) - HEADERS - {"stream", "messages"}))
def test_every_field_arrives(key: str) -> None:
    request = asking()
    give(request, HOMES[ROUTE][key].split("."))
    expected = "max_completion_tokens" if key == "max_tokens" else key
    assert expected in body_of(request, stream=True)


def test_zero_is_sent() -> None:
    zeros: Any = {
        "temperature": 0,
        "top_p": 0,
        "top_k": 0,
        "seed": 0,
        "min_tokens": 0,
        "ignore_eos": False,
    }
    body = body_of(asking(sampling=common.SamplingParams(n=0, **zeros)))
    assert zeros.items() <= body.items()
    assert body["n"] == 0


def test_false_is_sent() -> None:
    body = body_of(asking(parallel_tool_calls=False, include_reasoning=False))
    assert body["parallel_tool_calls"] is False
    assert body["include_reasoning"] is False


def test_large_numbers() -> None:
    body = body_of(asking(sampling=common.SamplingParams(seed=-(2**63), logit_bias={7: -100})))
    assert body["seed"] == -(2**63)
    assert body["logit_bias"] == {"7": -100}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p", "length_penalty"])
def test_numbers_that_cannot_be_represented_in_json(name: str, value: float) -> None:
    sampling = common.SamplingParams(**{name: value})  # type: ignore[arg-type]
    assert fields_of(refused(asking(sampling=sampling))) == {f"sampling.{name}"}


def test_such_numbers_elsewhere() -> None:
    sampling = common.SamplingParams(logit_bias={7: math.nan})
    assert fields_of(refused(asking(sampling=sampling))) == {"sampling.logit_bias[7]"}
    extra = common.JsonDocument(object=Struct(fields={"a": Value(number_value=math.inf)}))
    assert fields_of(refused(asking(extra_body=extra))) == {"extra_body.object.a"}


def test_logprobs_are_requested_by_presence() -> None:
    assert body_of(asking(logprobs=common.LogprobOptions()))["logprobs"] is True
    body = body_of(asking(logprobs=common.LogprobOptions(top_logprobs=0, token_ids=[1, 2])))
    assert body["top_logprobs"] == 0
    assert body["logprob_token_ids"] == [1, 2]


@pytest.mark.parametrize(
    ("side", "name"),
    [(common.TRUNCATION_SIDE_LEFT, "left"), (common.TRUNCATION_SIDE_RIGHT, "right")],
)
def test_truncation_side(side: common.TruncationSide.ValueType, name: str) -> None:
    body = body_of(asking(sampling=common.SamplingParams(truncation_side=side)))
    assert body["truncation_side"] == name


def test_unknown_truncation_side() -> None:
    sampling = common.SamplingParams(truncation_side=99)  # type: ignore[arg-type]
    assert fields_of(refused(asking(sampling=sampling))) == {"sampling.truncation_side"}


def test_repetition_detection() -> None:
    detection = common.RepetitionDetection(max_pattern_size=3, min_count=2)
    body = body_of(asking(sampling=common.SamplingParams(repetition_detection=detection)))
    assert body["repetition_detection"] == {
        "max_pattern_size": 3,
        "min_pattern_size": 0,
        "min_count": 2,
    }


def test_template_documents() -> None:
    template = message.TemplateOptions(documents=[message.Document(fields={"title": "t"})])
    assert body_of(asking(template=template))["documents"] == [{"title": "t"}]


# Documents


def test_json_is_sent_unchanged() -> None:
    engine = common.EngineOptions()
    engine.kv_transfer_params.json = '{"z":1,"a":1.0,"n":123456789012345678}'
    raw = orjson.dumps(chat.request_body(asking(engine=engine), stream=False))
    assert b'"kv_transfer_params":{"z":1,"a":1.0,"n":123456789012345678}' in raw


def test_struct_numbers() -> None:
    engine = common.EngineOptions()
    values: Any = {
        "small": 3,
        "half": 0.5,
        "edge": 2**53 - 1,
        "large": 2.0**53,
        "deep": [{"x": -0.0}],
    }
    engine.vllm_xargs.object.update(values)
    sent = body_of(asking(engine=engine))["vllm_xargs"]
    assert sent == values
    types = {key: type(value) for key, value in sent.items()}
    assert types == {"small": int, "half": float, "edge": int, "large": float, "deep": list}


def test_long_list_under_a_long_name() -> None:
    request = asking()
    # Building a path for each value would take too long.
    request.extra_body.object.update({"k" * 20_000_000: [1] * 200_000})
    body_of(request)


def test_path_of_a_faulty_value() -> None:
    request = asking()
    request.extra_body.object.update({"a": {"b": [1, {"c": math.nan}]}})
    assert fields_of(refused(request)) == {"extra_body.object.a.b[1].c"}
    request.extra_body.object.fields["a"].list_value.values.add().list_value.values.add()
    assert fields_of(refused(request)) == {"extra_body.object.a[0][0]"}


def test_struct_of_every_kind() -> None:
    engine = common.EngineOptions()
    values: Any = {"null": None, "yes": True, "text": "t", "list": [1, [2]], "object": {"a": {}}}
    engine.kv_transfer_params.object.update(values)
    assert body_of(asking(engine=engine))["kv_transfer_params"] == values


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (common.JsonDocument(), "engine.kv_transfer_params"),
        (common.JsonDocument(json=""), "engine.kv_transfer_params.json"),
        (common.JsonDocument(json="{'a': 1}"), "engine.kv_transfer_params.json"),
        (common.JsonDocument(json='{"a": NaN}'), "engine.kv_transfer_params.json"),
        (
            common.JsonDocument(object=Struct(fields={"a": Value()})),
            "engine.kv_transfer_params.object.a",
        ),
    ],
)
def test_bad_document(document: common.JsonDocument, field: str) -> None:
    engine = common.EngineOptions(kv_transfer_params=document)
    assert fields_of(refused(asking(engine=engine))) == {field}


def test_the_last_form_of_a_document_counts() -> None:
    document = common.JsonDocument(json="[1]")
    document.object.update({"a": 1})
    engine = common.EngineOptions(kv_transfer_params=document)
    assert body_of(asking(engine=engine))["kv_transfer_params"] == {"a": 1}


# extra_body


def test_extra_body_is_merged() -> None:
    extra = document({"new_flag": 1, "nested": {"list": [1, None, "x"]}})
    body = body_of(asking(extra_body=extra))
    assert body["new_flag"] == 1
    assert body["nested"] == {"list": [1, None, "x"]}


def test_free_json_that_is_nested_too_deeply() -> None:
    """Merged JSON is serialized again, which has a limit."""
    deep = '{"a":' * 200 + "1" + "}" * 200
    orjson.dumps(body_of(asking(extra_body=common.JsonDocument(json=deep))))
    deeper = common.JsonDocument(json=f'{{"a":{deep}}}')
    assert fields_of(refused(asking(extra_body=deeper))) == {"extra_body"}
    kwargs = message.TemplateOptions(chat_template_kwargs=deeper)
    assert fields_of(refused(asking(template=kwargs))) == {"template.chat_template_kwargs"}


@pytest.mark.parametrize("key", sorted(HOMES[ROUTE]))
def test_extra_body_must_not_repeat_a_field(key: str) -> None:
    extra = document({key: 1})
    error = refused(asking(extra_body=extra))
    assert error.conflicting
    assert fields_of(error) == {f"extra_body.{key}"}


@pytest.mark.parametrize("key", sorted(REMOVED))
def test_extra_body_must_not_contain_ignored_keys(key: str) -> None:
    extra = document({key: 1})
    error = refused(asking(extra_body=extra))
    assert not error.conflicting
    assert fields_of(error) == {f"extra_body.{key}"}


# Messages


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (message.ROLE_SYSTEM, "system"),
        (message.ROLE_DEVELOPER, "developer"),
        (message.ROLE_USER, "user"),
        (message.ROLE_ASSISTANT, "assistant"),
        (message.ROLE_TOOL, "tool"),
    ],
)
def test_role(role: message.Role.ValueType, name: str) -> None:
    assert message_body(message.ChatMessage(role=role))["role"] == name


def test_custom_role() -> None:
    made = message.ChatMessage(role=message.ROLE_CUSTOM, custom_role="critic")
    assert message_body(made)["role"] == "critic"


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (message.ChatMessage(), "messages[0].role"),
        (message.ChatMessage(role=99), "messages[0].role"),  # type: ignore[arg-type]
        (message.ChatMessage(role=message.ROLE_CUSTOM), "messages[0].custom_role"),
        (
            message.ChatMessage(role=message.ROLE_USER, custom_role="critic"),
            "messages[0].custom_role",
        ),
    ],
)
def test_bad_role(made: message.ChatMessage, field: str) -> None:
    assert fields_of(refused(CreateChatCompletionRequest(messages=[made]))) == {field}


def test_no_messages() -> None:
    assert fields_of(refused(CreateChatCompletionRequest())) == {"messages"}


def test_all_fields_of_a_message() -> None:
    made = message.ChatMessage(
        role=message.ROLE_ASSISTANT,
        name="bot",
        reasoning="",
        refusal="no",
        task="t",
        tool_call_id="c",
        tool_calls=[
            message.ToolCall(id="c1", function=message.FunctionCall(name="f", arguments="{")),
            message.ToolCall(other=common.JsonDocument(json='{"type":"custom"}')),
        ],
        tools=[message.Tool(function=message.FunctionDefinition(name="g"))],
    )
    made.extra.CopyFrom(document({"audio": {"id": "a"}}))
    assert message_body(made) == {
        "role": "assistant",
        "content": None,
        "name": "bot",
        "reasoning": "",
        "refusal": "no",
        "task": "t",
        "tool_call_id": "c",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}},
            {"type": "custom"},
        ],
        "tools": [{"type": "function", "function": {"name": "g"}}],
        "audio": {"id": "a"},
    }


def test_extra_of_a_message_must_not_repeat_a_field() -> None:
    made = message.ChatMessage(role=message.ROLE_USER)
    made.extra.CopyFrom(document({"content": "x"}))
    error = refused(CreateChatCompletionRequest(messages=[made]))
    assert error.conflicting
    assert fields_of(error) == {"messages[0].extra.content"}


def test_extra_of_a_call() -> None:
    call = message.ToolCall(id="c1", function=message.FunctionCall(name="f", arguments="{}"))
    call.extra.CopyFrom(document({"signature": "s"}))
    made = message.ChatMessage(role=message.ROLE_ASSISTANT, tool_calls=[call])
    assert message_body(made)["tool_calls"][0]["signature"] == "s"
    call.extra.CopyFrom(document({"function": {"signature": "s"}}))
    made = message.ChatMessage(role=message.ROLE_ASSISTANT, tool_calls=[call])
    function = {"name": "f", "arguments": "{}", "signature": "s"}
    assert message_body(made)["tool_calls"][0]["function"] == function


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"id": "other"}, "id"),
        ({"function": {"new": 1, "name": "g"}}, "function.name"),
        ({"function": "f"}, "function"),
    ],
)
def test_extra_of_a_call_must_not_repeat_a_field(extra: dict[str, Any], field: str) -> None:
    call = message.ToolCall(id="c1", function=message.FunctionCall(name="f", arguments="{}"))
    call.extra.CopyFrom(document(extra))
    made = message.ChatMessage(role=message.ROLE_ASSISTANT, tool_calls=[call])
    error = refused(CreateChatCompletionRequest(messages=[made]))
    assert error.conflicting
    assert fields_of(error) == {f"messages[0].tool_calls[0].extra.{field}"}


def test_empty_call() -> None:
    made = message.ChatMessage(role=message.ROLE_ASSISTANT, tool_calls=[message.ToolCall()])
    error = refused(CreateChatCompletionRequest(messages=[made]))
    assert fields_of(error) == {"messages[0].tool_calls[0]"}


# Content


def test_content_of_one_text_is_a_string() -> None:
    made = message.ChatMessage(role=message.ROLE_USER, content=[message.ContentPart(text="")])
    assert message_body(made)["content"] == ""


def test_content_of_one_text_with_uuid_keeps_it() -> None:
    part = message.ContentPart(text="x", uuid="u")
    made = message.ChatMessage(role=message.ROLE_USER, content=[part])
    assert message_body(made)["content"] == [{"type": "text", "text": "x", "uuid": "u"}]


def test_content_of_several_texts_is_a_list() -> None:
    parts = [message.ContentPart(text=text) for text in "ab"]
    made = message.ChatMessage(role=message.ROLE_USER, content=parts)
    assert message_body(made)["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def image(**fields: Any) -> message.ContentPart:
    return message.ContentPart(image=message.Media(**fields))


@pytest.mark.parametrize(
    ("mime_type", "format_"),
    [
        *((one, "wav") for one in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")),
        *((one, "mp3") for one in ("audio/mp3", "audio/mpeg", "Audio/MPEG")),
        ("audio/wav; codecs=1", "wav"),
    ],
)
def test_audio_in_a_format_of_the_api(mime_type: str, format_: str) -> None:
    part = part_body(audio(data=b"abc", mime_type=mime_type))
    assert part == {"type": "input_audio", "input_audio": {"data": "YWJj", "format": format_}}


@pytest.mark.parametrize("form", ["flac", "ogg", "webm", "mp4", "m4a", "x-m4a", "opus", "aac"])
@pytest.mark.parametrize("parameter", ["", ";codecs=opus", " ; a=b"])
def test_audio_in_other_formats_is_a_data_uri(form: str, parameter: str) -> None:
    part = part_body(audio(data=b"abc", mime_type=f"audio/{form}{parameter}"))
    assert part == {
        "type": "audio_url",
        "audio_url": {"url": f"data:audio/{form};base64,YWJj"},
    }


def audio(**fields: Any) -> message.ContentPart:
    return message.ContentPart(audio=message.Media(**fields))


def video(**fields: Any) -> message.ContentPart:
    return message.ContentPart(video=message.Media(**fields))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            image(url="https://x/y.png", detail=message.IMAGE_DETAIL_LOW),
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        ),
        (
            image(data=b"abc", mime_type="image/png"),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
        ),
        (
            image(url="data:image/png;base64,YWJj"),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
        ),
        (image(url="file:///a.png"), {"type": "image_url", "image_url": {"url": "file:///a.png"}}),
        (
            video(data=b"abc", mime_type="video/mp4"),
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,YWJj"}},
        ),
        (
            audio(data=b"abc", mime_type="audio/x-wav"),
            {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "wav"}},
        ),
        (audio(url="http://x/y"), {"type": "audio_url", "audio_url": {"url": "http://x/y"}}),
        (message.ContentPart(refusal="no"), {"type": "refusal", "refusal": "no"}),
        (
            message.ContentPart(thinking=message.Thinking(text="hm", closed=False)),
            {"type": "thinking", "thinking": "hm", "closed": False},
        ),
        (
            message.ContentPart(thinking=message.Thinking()),
            {"type": "thinking", "thinking": ""},
        ),
    ],
)
def test_part(part: message.ContentPart, expected: Any) -> None:
    assert part_body(part) == expected
    part.uuid = "u-1"
    assert part_body(part) == {**expected, "uuid": "u-1"}


def test_nothing_of_media_is_cached() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(8):
            part_body(image(url=f"data:image/png;base64,{number}{'A' * 1_000_000}"))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000


def test_medium_sent_before() -> None:
    part = message.ContentPart(image=message.Media(), uuid="u-1")
    assert part_body(part) == {"type": "image_url", "image_url": None, "uuid": "u-1"}
    part = message.ContentPart(audio=message.Media(), uuid="u-1")
    assert part_body(part) == {"type": "audio_url", "audio_url": None, "uuid": "u-1"}


def test_other_part() -> None:
    part = message.ContentPart()
    part.other.CopyFrom(document({"type": "image_embeds", "image_embeds": "QUJD"}))
    assert part_body(part) == {"type": "image_embeds", "image_embeds": "QUJD"}


@pytest.mark.parametrize(
    "values", [{}, {"type": 1}, {"type": ""}, {"type": "text", "text": "x"}, {"type": "thinking"}]
)
def test_bad_other_part(values: Any) -> None:
    part = message.ContentPart()
    part.other.json = orjson.dumps(values).decode()
    assert part_refused(part) == {"messages[0].content[0].other.type"}


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (message.ContentPart(), ""),
        (image(), ".image"),
        (image(url=""), ".image.url"),
        (image(url="nowhere"), ".image.url"),
        (image(url="ftp://x/y"), ".image.url"),
        (image(url="https://"), ".image.url"),
        (image(url="http://[::1"), ".image.url"),
        (image(data=b"", mime_type="image/png"), ".image.data"),
        (image(data=b"abc"), ".image.mime_type"),
        (image(data=b"abc", mime_type="png"), ".image.mime_type"),
        (video(), ".video"),
        (video(url="https://x/y", detail=message.IMAGE_DETAIL_LOW), ".video.detail"),
        (audio(), ".audio"),
        (audio(data=b"abc", mime_type="image/png"), ".audio.mime_type"),
        (audio(data=b"abc", mime_type="audio/"), ".audio.mime_type"),
        (
            audio(data=b"abc", mime_type="audio/wav", detail=message.IMAGE_DETAIL_LOW),
            ".audio.detail",
        ),
    ],
)
def test_bad_part(part: message.ContentPart, field: str) -> None:
    assert part_refused(part) == {f"messages[0].content[0]{field}"}


# Tools and forms


def test_all_fields_of_a_function() -> None:
    definition = message.FunctionDefinition(
        name="f", description="d", strict=False, defer_loading=True
    )
    definition.parameters.json = '{"type":"object"}'
    definition.extra.CopyFrom(document({"cache": 1}))
    body = body_of(asking(tools=[message.Tool(function=definition)]))
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "strict": False,
                "defer_loading": True,
                "parameters": {"type": "object"},
                "cache": 1,
            },
        }
    ]


def test_bad_tools() -> None:
    assert fields_of(refused(asking(tools=[message.Tool()]))) == {"tools[0]"}
    nameless = message.Tool(function=message.FunctionDefinition())
    assert fields_of(refused(asking(tools=[nameless]))) == {"tools[0].function.name"}
    definition = message.FunctionDefinition(name="f")
    definition.extra.CopyFrom(document({"strict": True}))
    error = refused(asking(tools=[message.Tool(function=definition)]))
    assert error.conflicting
    assert fields_of(error) == {"tools[0].function.extra.strict"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (message.ToolChoice(mode=message.ToolChoice.MODE_AUTO), "auto"),
        (message.ToolChoice(mode=message.ToolChoice.MODE_NONE), "none"),
        (message.ToolChoice(mode=message.ToolChoice.MODE_REQUIRED), "required"),
        (
            message.ToolChoice(function_name="f"),
            {"type": "function", "function": {"name": "f"}},
        ),
        (
            message.ToolChoice(other=common.JsonDocument(json='{"type":"allowed_tools"}')),
            {"type": "allowed_tools"},
        ),
    ],
)
def test_tool_choice(choice: message.ToolChoice, expected: Any) -> None:
    assert body_of(asking(tool_choice=choice))["tool_choice"] == expected


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (message.ToolChoice(), "tool_choice"),
        (message.ToolChoice(mode=message.ToolChoice.MODE_UNSPECIFIED), "tool_choice.mode"),
        (message.ToolChoice(mode=99), "tool_choice.mode"),  # type: ignore[arg-type]
        (message.ToolChoice(other=common.JsonDocument()), "tool_choice.other"),
    ],
)
def test_bad_tool_choice(choice: message.ToolChoice, field: str) -> None:
    assert fields_of(refused(asking(tool_choice=choice))) == {field}


def test_response_formats() -> None:
    schema = message.JsonSchemaFormat(name="n", description="d", strict=False)
    schema.schema.json = '{"b":1,"a":2}'
    forms = {
        "text": message.ResponseFormat(text=message.TextFormat()),
        "json_object": message.ResponseFormat(json_object=common.JsonObjectFormat()),
        "json_schema": message.ResponseFormat(json_schema=schema),
    }
    sent = {name: body_of(asking(response_format=form)) for name, form in forms.items()}
    assert sent["text"]["response_format"] == {"type": "text"}
    assert sent["json_object"]["response_format"] == {"type": "json_object"}
    assert sent["json_schema"]["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "n",
            "description": "d",
            "strict": False,
            "schema": {"b": 1, "a": 2},
        },
    }
    assert list(sent["json_schema"]["response_format"]["json_schema"]["schema"]) == ["b", "a"]


@pytest.mark.parametrize("as_struct", [False, True])
def test_structural_tag_gets_its_type(as_struct: bool) -> None:
    form = message.ResponseFormat()
    tag = {"format": {"type": "any_text"}}
    if as_struct:
        form.structural_tag.object.update(tag)
    else:
        form.structural_tag.json = orjson.dumps(tag).decode()
    sent = body_of(asking(response_format=form))["response_format"]
    assert sent == {"type": "structural_tag", **tag}


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (
            '{"format": {"maximum": 18446744073709551616, "multipleOf": 1e2}}',
            '{"type":"structural_tag","format": '
            '{"maximum": 18446744073709551616, "multipleOf": 1e2}}',
        ),
        (' {"b": 1.10, "type": "structural_tag"}', ' {"b": 1.10, "type": "structural_tag"}'),
        (" { }", '{"type":"structural_tag" }'),
    ],
)
def test_structural_tag_is_sent_unchanged(tag: str, expected: str) -> None:
    form = message.ResponseFormat(structural_tag=common.JsonDocument(json=tag))
    body = chat.request_body(asking(response_format=form), stream=False)
    assert orjson.dumps(body["response_format"]).decode() == expected


def test_bad_structural_tag() -> None:
    form = message.ResponseFormat(structural_tag=common.JsonDocument(json="[1]"))
    assert fields_of(refused(asking(response_format=form))) == {"response_format.structural_tag"}
    form.structural_tag.json = '{"type": "text"}'
    assert fields_of(refused(asking(response_format=form))) == {
        "response_format.structural_tag.type"
    }


def test_bad_response_format() -> None:
    form = message.ResponseFormat()
    assert fields_of(refused(asking(response_format=form))) == {"response_format"}
    form.json_schema.schema.json = "{}"
    error = refused(asking(response_format=form))
    assert fields_of(error) == {"response_format.json_schema.name"}
    form = message.ResponseFormat(json_schema=message.JsonSchemaFormat(name="n"))
    error = refused(asking(response_format=form))
    assert fields_of(error) == {"response_format.json_schema.schema"}


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (common.StructuredOutputs(json_schema=common.JsonDocument(json="{}")), {"json": {}}),
        (
            common.StructuredOutputs(json_object=common.JsonObjectFormat()),
            {"json_object": True},
        ),
        (common.StructuredOutputs(regex=""), {"regex": ""}),
        (
            common.StructuredOutputs(choice=common.StructuredOutputs.Choices(choices=["a"])),
            {"choice": ["a"]},
        ),
        (common.StructuredOutputs(grammar="g"), {"grammar": "g"}),
        (
            common.StructuredOutputs(structural_tag=document({"b": 1, "a": 2**60})),
            {"structural_tag": '{"b": 1, "a": 1152921504606846976}'},
        ),
        (
            common.StructuredOutputs(
                regex="a",
                disable_any_whitespace=False,
                disable_additional_properties=True,
                whitespace_pattern=" ",
            ),
            {
                "regex": "a",
                "disable_any_whitespace": False,
                "disable_additional_properties": True,
                "whitespace_pattern": " ",
            },
        ),
    ],
)
def test_structured_outputs(outputs: common.StructuredOutputs, expected: Any) -> None:
    assert body_of(asking(structured_outputs=outputs))["structured_outputs"] == expected


def test_bad_structured_outputs() -> None:
    outputs = common.StructuredOutputs(whitespace_pattern=" ")
    assert fields_of(refused(asking(structured_outputs=outputs))) == {"structured_outputs"}
    outputs.choice.SetInParent()
    assert fields_of(refused(asking(structured_outputs=outputs))) == {
        "structured_outputs.choice.choices"
    }


def test_an_answer_can_be_sent_back() -> None:
    said = {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning": "Hm.",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "signature": "s",
            }
        ],
        "annotations": [{"type": "url"}],
    }
    answer = chat.response({"id": "a", "choices": [{"index": 0, "message": said}]})
    assert message_body(answer.choices[0].message) == said
