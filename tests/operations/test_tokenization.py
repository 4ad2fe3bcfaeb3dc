"""Tokenization: requests and faulty answers."""

from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from documents import document, value_of
from google.protobuf.json_format import ParseDict

from penstock.v1.tokenization_pb2 import DetokenizeRequest, TokenizeRequest
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub
from penstock_server.convert import tokenization
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer

from .conftest import Stand

USER = {"role": "ROLE_USER", "content": [{"text": "Hi"}]}
SENT = [{"role": "user", "content": "Hi"}]
TOOL = {"function": {"name": "f"}}

BODIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"text": ""}, {"prompt": ""}),
    ({"text": "a", "model": "m"}, {"prompt": "a", "model": "m"}),
    (
        {"text": "a", "addSpecialTokens": False, "returnTokenStrings": False},
        {"prompt": "a", "add_special_tokens": False, "return_token_strs": False},
    ),
    (
        {"chat": {"messages": [USER], "tools": [TOOL]}, "returnTokenStrings": True},
        {
            "messages": SENT,
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "return_token_strs": True,
        },
    ),
    (
        {
            "chat": {
                "messages": [USER],
                "template": {
                    "addGenerationPrompt": False,
                    "continueFinalMessage": True,
                    "addSpecialTokens": True,
                    "chatTemplate": "t",
                    "chatTemplateKwargs": {"object": {"a": 1}},
                    "mmProcessorKwargs": {"object": {"b": 2}},
                    "mediaIoKwargs": {"object": {"c": 3}},
                },
            },
            "extraBody": {"object": {"new": 1}},
        },
        {
            "messages": SENT,
            "add_generation_prompt": False,
            "continue_final_message": True,
            "add_special_tokens": True,
            "chat_template": "t",
            "chat_template_kwargs": {"a": 1},
            "mm_processor_kwargs": {"b": 2},
            "media_io_kwargs": {"c": 3},
            "new": 1,
        },
    ),
]


@pytest.mark.parametrize(("fields", "expected"), BODIES)
def test_bodies(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert tokenization.tokenize_body(ParseDict(fields, TokenizeRequest())) == expected


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "input"),
    ({"chat": {}}, "chat.messages"),
    ({"chat": {"messages": [{"content": [{"text": "x"}]}]}}, "chat.messages[0].role"),
    ({"chat": {"messages": [USER], "tools": [{}]}}, "chat.tools[0]"),
    ({"chat": {"messages": [USER], "template": {"echo": False}}}, "chat.template.echo"),
    ({"chat": {"messages": [USER], "template": {"documents": [{}]}}}, "chat.template.documents"),
    ({"chat": {"messages": [USER]}, "addSpecialTokens": True}, "add_special_tokens"),
    ({"text": "a", "extraBody": {"object": {"prompt": "b"}}}, "extra_body.prompt"),
    ({"text": "a", "extraBody": {"object": {"messages": []}}}, "extra_body.messages"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED)
async def test_refused(stand: Stand, fields: dict[str, Any], path: str) -> None:
    request = ParseDict(fields, TokenizeRequest())
    refusal = await refused(TokenizationServiceStub(stand.channel).Tokenize(request))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == (path,)
    assert stand.posts == []


def test_detokenize_bodies() -> None:
    request = DetokenizeRequest(token_ids=[1, 2], model="m")
    assert tokenization.detokenize_body(request) == {"tokens": [1, 2], "model": "m"}
    assert tokenization.detokenize_body(DetokenizeRequest()) == {"tokens": []}
    request.extra_body.CopyFrom(document({"tokens": [3]}))
    with pytest.raises(InvalidRequest):
        tokenization.detokenize_body(request)


def test_unknown_keys_are_kept() -> None:
    tokens = tokenization.tokenize_response({"count": 1, "tokens": [7], "offsets": [0]})
    assert value_of(tokens.extra) == {"offsets": [0]}
    assert tokens.max_model_len == 0
    text = tokenization.detokenize_response({"prompt": "x", "n": 1})
    assert value_of(text.extra)["n"] == 1


@pytest.mark.parametrize(
    "data",
    [
        {"tokens": [1]},
        {"count": 1},
        {"count": "one", "tokens": [1]},
        {"count": 1, "tokens": ["one"]},
        {"count": 1, "tokens": [2**31]},
        {"count": 1, "tokens": [1], "token_strs": [None]},
    ],
)
def test_malformed(data: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        tokenization.tokenize_response(data)


@pytest.mark.parametrize("data", [{}, {"prompt": None}, {"prompt": 1}, {"prompt": "\ud800"}])
def test_malformed_text(data: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        tokenization.detokenize_response(data)
