"""Builders of messages, and requests from options."""

import re
from pathlib import Path
from typing import Any

import pytest
from documents import value_of

from penstock import (
    assistant,
    audio,
    chat_request,
    developer,
    image,
    system,
    tool_result,
    user,
    video,
)
from penstock._base.options import build, message
from penstock._base.pooling import as_inputs
from penstock._base.scoring import as_documents
from penstock.messages import conversation
from penstock.response_input import as_items
from penstock.tools import ToolCall
from penstock.v1.common_pb2 import JsonDocument, LogprobOptions
from penstock.v1.message_pb2 import (
    IMAGE_DETAIL_LOW,
    ROLE_ASSISTANT,
    ROLE_DEVELOPER,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    ChatInput,
    ChatMessage,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    Media,
    PoolingInput,
    Thinking,
    Tool,
)
from penstock.v1.message_pb2 import ToolCall as ToolCallProto
from penstock.v1.rerank_pb2 import MultimodalInput, ScoringInput
from penstock.v1.transcription_pb2 import TranscriptionConfig

PNG = b"\x89PNG\r\n\x1a\n"
CALL = ToolCallProto(id="7", function=FunctionCall(name="f", arguments="{}"))


def test_roles() -> None:
    made = [system("a"), developer("b"), user("c"), assistant("d"), tool_result("7", "e")]
    roles = [ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL]
    assert [message.role for message in made] == roles
    assert [message.content[0].text for message in made] == list("abcde")
    assert made[-1].tool_call_id == "7"


def test_tool_calls() -> None:
    made = assistant(tool_calls=[CALL, ToolCall(CALL)])
    assert list(made.tool_calls) == [CALL, CALL]
    assert not made.content
    assert tool_result(ToolCall(CALL), image(PNG)).tool_call_id == "7"


@pytest.mark.parametrize("url", ["https://x/a.png", "data:image/png;base64,AA", "file:///a"])
def test_urls(url: str) -> None:
    assert image(url, detail="low").image.url == url
    assert image(url, detail="low").image.detail == IMAGE_DETAIL_LOW
    assert video(url).video.url == url
    assert audio(url).audio.url == url


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", "audio/wav"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
    ],
)
def test_content(data: bytes, mime_type: str, tmp_path: Path) -> None:
    assert (image(data).image.data, image(data).image.mime_type) == (data, mime_type)
    assert image(data, mime_type="x/y").image.mime_type == "x/y"
    path = tmp_path / "a.unknown"
    path.write_bytes(data)
    assert image(path).image.mime_type == mime_type
    named = path.rename(tmp_path / "a.gif")
    assert image(str(named)).image == image(data, mime_type="image/gif").image


@pytest.mark.parametrize(
    ("data", "name", "mime_type"),
    [
        (b"\0\0\0\x20ftypM4A ", "a.m4a", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "a.mp4", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "a.webm", "audio/webm"),
    ],
)
def test_audio_in_video_containers(data: bytes, name: str, mime_type: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert audio(data).audio.mime_type == audio(path).audio.mime_type == mime_type
    assert audio(data, mime_type="video/mp4").audio.mime_type == "video/mp4"


def test_content_of_an_unknown_type() -> None:
    with pytest.raises(ValueError, match="set mime_type"):
        image(b"what?")
    with pytest.raises(FileNotFoundError):
        image("nowhere.png")


def test_conversations() -> None:
    assert conversation("a") == conversation(user("a")) == conversation(["a"]) == [user("a")]
    spoken: list[str | ChatMessage] = [system("a"), "b"]
    assert conversation(iter(spoken)) == [system("a"), user("b")]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"role": "user", "content": "a"}, user("a")),
        ({"role": "developer", "content": "a"}, developer("a")),
        ({"role": "system", "content": ["a", image(PNG)]}, system("a", image(PNG))),
        ({"role": "user", "content": {"type": "text", "text": "a"}}, user("a")),
        ({"role": "assistant", "content": None, "refusal": None}, assistant()),
        (
            {"role": "user", "content": "a", "name": "b", "new": [1]},
            message(
                ChatMessage,
                {"role": "user", "content": user("a").content, "name": "b", "extra": {"new": [1]}},
            ),
        ),
        ({"role": "tool", "content": "a", "tool_call_id": "7"}, tool_result("7", "a")),
        (
            {"role": "assistant", "reasoning_content": "a", "refusal": "b"},
            ChatMessage(role=ROLE_ASSISTANT, reasoning="a", refusal="b"),
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "7", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "7", "type": "function", "function": {"name": "f", "arguments": {}}},
                    CALL,
                    {"id": "8", "type": "custom", "custom": {"name": "g"}},
                ],
            },
            assistant(
                tool_calls=[
                    CALL,
                    CALL,
                    CALL,
                    ToolCallProto(
                        id="8",
                        other=JsonDocument(
                            json='{"id": "8", "type": "custom", "custom": {"name": "g"}}'
                        ),
                    ),
                ]
            ),
        ),
        (
            {
                "role": "developer",
                "tools": [{"type": "function", "function": {"name": "f"}}],
            },
            ChatMessage(role=ROLE_DEVELOPER, tools=[Tool(function=FunctionDefinition(name="f"))]),
        ),
    ],
)
def test_messages_in_openais_form(given: dict[str, Any], made: ChatMessage) -> None:
    assert conversation([given]) == conversation(given) == [made]
    asked = {**given}
    asked["role"] = asked["role"].upper()
    assert conversation([asked]) == [made]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"type": "text", "text": "a"}, ContentPart(text="a")),
        (
            {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}, "uuid": "u"},
            ContentPart(image=Media(url="https://x", detail=IMAGE_DETAIL_LOW), uuid="u"),
        ),
        ({"type": "image_url", "image_url": "data:,"}, ContentPart(image=Media(url="data:,"))),
        (
            {"type": "image_url", "image_url": None, "uuid": "u"},
            ContentPart(image=Media(), uuid="u"),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://x"}},
            ContentPart(video=Media(url="https://x")),
        ),
        (
            {"type": "audio_url", "audio_url": {"url": "https://x"}},
            ContentPart(audio=Media(url="https://x")),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAE=", "format": "wav"}},
            ContentPart(audio=Media(data=b"\0\1", mime_type="audio/wav")),
        ),
        ({"type": "refusal", "refusal": "no"}, ContentPart(refusal="no")),
        (
            {"type": "thinking", "thinking": "a", "closed": True},
            ContentPart(thinking=Thinking(text="a", closed=True)),
        ),
        ({"type": "new", "a": 1}, message(ContentPart, {"other": {"type": "new", "a": 1}})),
    ],
)
def test_parts_in_openais_form(given: dict[str, Any], part: ContentPart) -> None:
    assert user(given) == user(part)
    assert conversation({"role": "user", "content": [given]}) == [user(part)]


@pytest.mark.parametrize(
    ("given", "error", "pattern"),
    [
        ([3], TypeError, "3 is not a valid message"),
        ([["a"]], TypeError, "is not a valid message"),
        ({"content": "a"}, ValueError, "a message needs a role"),
        (
            {"role": "usr", "content": "a"},
            ValueError,
            "'usr' is not a valid Role; valid values: system",
        ),
        ({"role": "user", "content": 3}, TypeError, "3 is not a valid part of a message"),
        ({"role": "user", "content": [3]}, TypeError, "3 is not a valid part of a message"),
        ({"role": "user", "content": [{"text": "a"}]}, ValueError, "needs a type"),
        (
            {"role": "user", "content": [{"type": "image_url", "url": "a"}]},
            ValueError,
            "of type 'image_url' needs the key 'image_url'",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"link": "a"}}]},
            TypeError,
            "no field 'link'",
        ),
        ({"role": "user", "content": "a", "name": 3}, TypeError, "name cannot be 3"),
        ({"role": "assistant", "tool_calls": ["f"]}, TypeError, "'f' is not a valid tool call"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": 3}}]},
            TypeError,
            "name cannot be 3",
        ),
    ],
)
def test_invalid_messages(given: Any, error: type[Exception], pattern: str) -> None:
    for take in (conversation, as_items):
        with pytest.raises(error, match=pattern):
            take(given)


def test_inputs_in_openais_form() -> None:
    given = {"role": "user", "content": "a"}
    alone = PoolingInput(chat=ChatInput(messages=[user("a")]))
    assert as_inputs(given) == [alone]
    assert as_inputs([given, given]) == [alone, alone]
    assert as_inputs([[given, "b"]]) == [
        PoolingInput(chat=ChatInput(messages=[user("a"), user("b")]))
    ]
    assert as_items(given) == as_items([given]) == as_items(user("a"))
    [item] = as_items({"role": "user", "content": "a", "new": 1})
    assert value_of(item.extra)["new"] == 1
    with pytest.raises(TypeError, match="None is not a valid message"):
        as_inputs([None])


def test_documents() -> None:
    text = ScoringInput(text="Paris")
    assert as_documents("Paris") == as_documents(text) == as_documents(["Paris"]) == [text]
    pictured = ScoringInput(multimodal=MultimodalInput(parts=[image(PNG)]))
    assert as_documents(image(PNG)) == as_documents([[image(PNG)]]) == [pictured]
    url = {"type": "image_url", "image_url": "https://x"}
    assert as_documents(["Paris", ["a", url]])[1].multimodal.parts[1] == image("https://x")
    with pytest.raises(ValueError, match="needs a type"):
        as_documents([{"text": "Paris"}])
    with pytest.raises(TypeError, match="3 is not a valid part"):
        as_documents([3])  # type: ignore[list-item]


def test_options() -> None:
    request = chat_request(
        "a",
        model="m",
        temperature=0,
        stop="x",
        logit_bias={1: 2.0},
        truncation_side="left",
        seed=0,
        logprobs=0,
        tool_choice="f",
        engine={"priority": 0, "request_id": "named", "kv_transfer_params": {"b": 1, "a": [1.5]}},
        structured_outputs={"json_schema": {"type": "object"}},
        repetition_detection={"min_count": 2},
        template={"documents": [{"fields": {"a": "b"}}]},
        stream_options={"stream_interval": 3},
        extra_body={"a": {"b": [1, None]}},
        user=None,
        max_tokens=None,
        timeout=3,
        metadata={"a": "b"},
        request_id="c",
    )
    assert request.sampling.HasField("temperature")
    assert request.sampling.HasField("seed")
    assert not request.sampling.HasField("max_tokens")
    assert list(request.sampling.stop) == ["x"]
    assert request.sampling.truncation_side == 1
    assert request.sampling.repetition_detection.min_count == 2
    assert request.logprobs == LogprobOptions(top_logprobs=0)
    assert request.tool_choice.function_name == "f"
    assert request.engine.HasField("priority")
    assert request.engine.request_id == "named"
    assert request.engine.kv_transfer_params.json == '{"b": 1, "a": [1.5]}'
    assert request.structured_outputs.json_schema.json == '{"type": "object"}'
    assert request.template.documents[0].fields == {"a": "b"}
    assert request.stream_options.stream_interval == 3
    assert value_of(request.extra_body) == {"a": {"b": [1, None]}}
    assert not chat_request("a", logprobs=False).HasField("logprobs")
    assert chat_request("a", logprobs=True).logprobs == LogprobOptions()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"temprature": 1}, TypeError),
        ({"sampling": {"temperature": 1}}, TypeError),
        ({"temperature": "hot"}, TypeError),
        ({"truncation_side": "up"}, ValueError),
        ({"seed": 2**70}, ValueError),
        ({"engine": {"nothing": 1}}, TypeError),
        ({"tools": [3]}, TypeError),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, TypeError),
        ({"tools": [{"type": "function", "function": "f"}]}, TypeError),
        ({"stop": "\udcff"}, ValueError),
    ],
)
def test_invalid_options(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        chat_request("a", **options)


def test_the_error_names_an_invalid_option() -> None:
    with pytest.raises(ValueError, match="seed cannot be 1180591620717411303424"):
        chat_request("a", temperature=1, seed=2**70)
    with pytest.raises(TypeError, match="temperature cannot be 'hot'"):
        chat_request("a", temperature="hot")  # type: ignore[arg-type]


def test_one_of_several_values() -> None:
    made = build(TranscriptionConfig, {"subtitles": "srt", "timestamp_granularities": "word"})
    several = {"subtitles": ["srt"], "timestamp_granularities": ["word"]}
    assert made == build(TranscriptionConfig, several)


def test_items_of_responses() -> None:
    spoken = assistant("b", tool_calls=[CALL])
    spoken.reasoning = "because"
    items = as_items([system("a"), spoken, tool_result("7", "c"), "d", user(image(PNG))])
    kinds = [item.WhichOneof("item") for item in items]
    assert kinds == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ]
    assert items[3].function_call.call_id == items[4].function_call_output.call_id == "7"
    assert items[-1].message.content[0].image.data == PNG
    assert as_items(items) == items
    assert as_items("a") == as_items(user("a"))


@pytest.mark.parametrize(
    ("key", "meant"),
    [("nmae", "name"), ("contnt", "content"), ("tool_call", "tool_calls"), ("roles", "role")],
)
def test_a_misspelt_key(key: str, meant: str) -> None:
    expected = f"a message has the key {key!r}; did you mean {meant!r}?"
    with pytest.raises(ValueError, match=re.escape(expected)):
        conversation([{"role": "user", "content": "x", key: None}])


def test_keys_without_a_field_that_no_key_resembles() -> None:
    """Servers and clients add these."""
    more = {"reasoning_details": [], "annotations": [], "audio": {}, "prefix": True, "phase": "a"}
    [made] = conversation([{"role": "assistant", "content": "x", "function_call": {}, **more}])
    assert value_of(made.extra) == {"function_call": {}, **more}


def test_a_misspelt_key_of_a_tool() -> None:
    tool = {"type": "function", "function": {"name": "f", "paramters": {}}}
    with pytest.raises(ValueError, match="a tool has the key 'paramters'; did you mean 'param"):
        chat_request("x", tools=[tool])
