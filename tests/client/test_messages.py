"""Builders of messages, and requests from options."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

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
from penstock.messages import conversation
from penstock.response_input import as_items
from penstock.tools import ToolCall
from penstock.v1.common_pb2 import LogprobOptions
from penstock.v1.message_pb2 import (
    ROLE_ASSISTANT,
    ROLE_DEVELOPER,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    ChatMessage,
    FunctionCall,
)
from penstock.v1.message_pb2 import ToolCall as ToolCallProto

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
    assert image(url, detail="low").image.detail == "low"
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


def test_content_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match="give mime_type"):
        image(b"what?")
    with pytest.raises(FileNotFoundError):
        image("nowhere.png")


def test_conversations() -> None:
    assert conversation("a") == conversation(user("a")) == conversation(["a"]) == [user("a")]
    spoken: list[str | ChatMessage] = [system("a"), "b"]
    assert conversation(iter(spoken)) == [system("a"), user("b")]


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
    assert MessageToDict(request.extra_body) == {"a": {"b": [1, None]}}
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
    ],
)
def test_options_that_cannot_be(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        chat_request("a", **options)


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
