"""Answers with a required structure."""

import json
import re
from typing import Any

import grpc
import pytest
from documents import document

from penstock.v1.common_pb2 import (
    FINISH_REASON_STOP,
    JsonObjectFormat,
    SamplingParams,
    StructuredOutputs,
)
from penstock.v1.message_pb2 import (
    JsonSchemaFormat,
    ResponseFormat,
    TextFormat,
)

from .chats import HELLO, Chats, asking

PROMPT = "Say hello."
SHORT: Any = {"type": "string", "maxLength": 8}
# Shaped like the tool calls that the small models learned; for others they generate only blanks.
SCHEMA = {
    "type": "object",
    "properties": {
        "name": SHORT,
        "arguments": {
            "type": "object",
            "properties": {"city": {"type": ["string", "null"], "maxLength": 8}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "arguments"],
    "additionalProperties": False,
}
BAD_SCHEMA = {"type": "object", "properties": {"x": {"type": "nonsense"}}}
LIMIT = SamplingParams(max_tokens=120)


def check(text: str) -> None:
    value: dict[str, Any] = json.loads(text)
    # The order of the schema's properties is kept on the way to the model.
    assert list(value) == ["name", "arguments"]
    assert len(value["name"]) <= 8
    assert list(value["arguments"]) == ["city"]


async def test_text_format(chats: Chats) -> None:
    response = await chats.both(asking(PROMPT, response_format=ResponseFormat(text=TextFormat())))
    assert response.text == HELLO


async def test_json_object_format(chats: Chats) -> None:
    form = ResponseFormat(json_object=JsonObjectFormat())
    response = await chats.both(asking(PROMPT, response_format=form, sampling=LIMIT))
    assert response.text.startswith("{")


async def test_json_schema_format(chats: Chats) -> None:
    form = JsonSchemaFormat(name="call", schema=document(SCHEMA), strict=True, description="a call")
    request = asking(PROMPT, response_format=ResponseFormat(json_schema=form), sampling=LIMIT)
    response = await chats.both(request)
    assert response.choice.finish_reason == FINISH_REASON_STOP
    check(response.text)


async def test_json_schema(chats: Chats) -> None:
    form = StructuredOutputs(json_schema=document(SCHEMA))
    response = await chats.both(asking(PROMPT, structured_outputs=form, sampling=LIMIT))
    assert response.choice.finish_reason == FINISH_REASON_STOP
    check(response.text)


async def test_json_schema_as_struct(chats: Chats) -> None:
    form = StructuredOutputs()
    form.json_schema.object.update(
        {"type": "object", "properties": {"name": SHORT}, "required": ["name"]}
    )
    form.json_schema.object["additionalProperties"] = False
    response = await chats.both(asking(PROMPT, structured_outputs=form, sampling=LIMIT))
    assert list(json.loads(response.text)) == ["name"]


async def test_json_object(chats: Chats) -> None:
    form = StructuredOutputs(json_object=JsonObjectFormat())
    response = await chats.both(asking(PROMPT, structured_outputs=form, sampling=LIMIT))
    assert response.text.startswith("{")


async def test_choice(chats: Chats) -> None:
    choices = StructuredOutputs.Choices(choices=["red", "green"])
    form = StructuredOutputs(choice=choices)
    assert (await chats.both(asking(PROMPT, structured_outputs=form))).text in ("red", "green")


async def test_regex(chats: Chats) -> None:
    form = StructuredOutputs(regex="[0-9]{3}-[a-z]{2}")
    response = await chats.both(asking(PROMPT, structured_outputs=form, sampling=LIMIT))
    assert re.fullmatch("[0-9]{3}-[a-z]{2}", response.text)


async def test_grammar(chats: Chats) -> None:
    form = StructuredOutputs(grammar='root ::= "yes" | "no"')
    assert (await chats.both(asking(PROMPT, structured_outputs=form))).text in ("yes", "no")


@pytest.mark.parametrize(
    "form",
    [
        StructuredOutputs(regex="[0-9"),
        StructuredOutputs(grammar="root ::= ("),
        StructuredOutputs(json_schema=document(BAD_SCHEMA)),
    ],
    ids=["regex", "grammar", "schema"],
)
async def test_bad_constraint(chats: Chats, form: StructuredOutputs) -> None:
    refusal = await chats.refused(asking(PROMPT, structured_outputs=form))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "UPSTREAM_REJECTED"


async def test_bad_json_schema_format(chats: Chats) -> None:
    form = ResponseFormat(json_schema=JsonSchemaFormat(name="bad", schema=document(BAD_SCHEMA)))
    refusal = await chats.refused(asking(PROMPT, response_format=form))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "UPSTREAM_REJECTED"
