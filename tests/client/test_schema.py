"""JSON Schema from types, values from JSON, tools from functions."""

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import pytest
from pydantic import BaseModel

from penstock import AnswerParseError, AsyncClient, Client, tool
from penstock.schema import from_json, json_schema
from penstock.tools import ToolCall, as_tool_choice, as_tools
from penstock.v1.message_pb2 import FunctionCall, ToolChoice
from penstock.v1.message_pb2 import ToolCall as ToolCallProto


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    x: float
    y: float = 0.0


class Options(TypedDict):
    color: Color
    name: NotRequired[str]


@dataclass
class Shape:
    points: list[Point]
    options: Options
    tags: set[str] = field(default_factory=set)
    parent: Optional["Shape"] = None


class Sum(BaseModel):
    result: int


POINT = {
    "type": "object",
    "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
    "required": ["x"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (list, {"type": "array", "items": {}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal[1, "a"], {"enum": [1, "a"]}),
        (Color, {"enum": ["red", "green"]}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Point, POINT),
        ({"type": "string"}, {"type": "string"}),
    ],
)
def test_schema(kind: Any, schema: dict[str, Any]) -> None:
    assert json_schema(kind) == schema


def test_schema_of_objects() -> None:
    schema = json_schema(Options)
    assert schema["required"] == ["color"]
    assert list(schema["properties"]) == ["color", "name"]
    assert json_schema(Sum)["properties"]["result"]["type"] == "integer"
    pair = json_schema(tuple[int, str])
    assert (pair["minItems"], pair["maxItems"], len(pair["prefixItems"])) == (2, 2, 2)


@pytest.mark.parametrize("kind", [bytes, complex, dict[int, str], list[bytes], type(lambda: 0)])
def test_no_schema(kind: Any) -> None:
    with pytest.raises(TypeError):
        json_schema(kind)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "1", 1),
        (float, "1", 1.0),
        (Any, "[1]", [1]),
        (int | None, "null", None),
        (int | str, '"a"', "a"),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (dict[str, Point], '{"a": {"x": 1}}', {"a": Point(1.0)}),
        (Literal["a"], '"a"', "a"),
        (Color, '"red"', Color.RED),
        (Sum, '{"result": 4}', Sum(result=4)),
        (list[Sum], '[{"result": 4}]', [Sum(result=4)]),
        (
            Shape,
            '{"points": [{"x": 1, "y": 2}], "options": {"color": "green"}, "tags": ["a"]}',
            Shape([Point(1, 2)], {"color": Color.GREEN}, {"a"}),
        ),
    ],
)
def test_from_json(kind: Any, text: str, value: Any) -> None:
    made = from_json(kind, text)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "1.5"),
        (int, "true"),
        (str, "1"),
        (int, "{"),
        (Point, "[]"),
        (Point, "{}"),
        (Point, '{"x": 1, "z": 1}'),
        (Point, '{"x": "1"}'),
        (Color, '"blue"'),
        (Literal["a"], '"b"'),
        (int | str, "[]"),
        (tuple[int, str], "[1]"),
        (list[int], '{"a": 1}'),
        (Sum, "{}"),
    ],
)
def test_not_from_json(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(kind, text)


def search(
    query: str,
    limit: int = 10,
    color: Annotated[Color | None, "of the thing"] = None,
    *,
    deep: bool,
) -> list[str]:
    """Searches things
    everywhere.

    More about it.

    Args:
        query: what to search for,
            note: in any language.
        limit (int): most results.

    Returns:
        query: not this.
    """
    return [query] * limit


def test_tool() -> None:
    definition = tool(search).function
    assert (definition.name, definition.description) == ("search", "Searches things everywhere.")
    assert not definition.HasField("strict")
    schema = json.loads(definition.parameters.json)
    assert list(schema["properties"]) == ["query", "limit", "color", "deep"]
    assert schema["required"] == ["query", "deep"]
    properties = schema["properties"]
    assert properties["query"] == {
        "type": "string",
        "description": "what to search for, note: in any language.",
    }
    assert properties["limit"]["default"] == 10
    assert properties["limit"]["description"] == "most results."
    assert properties["color"]["description"] == "of the thing"
    assert properties["color"]["default"] is None


def test_tool_with_other_words() -> None:
    definition = tool(search, name="find", description="Finds.", strict=True).function
    assert (definition.name, definition.description, definition.strict) == ("find", "Finds.", True)


def positional(a: int, /) -> None:
    pass


def variadic(*a: int) -> None:
    pass


def unknown(a: bytes) -> None:
    pass


@pytest.mark.parametrize("function", [positional, variadic, unknown])
def test_functions_that_cannot_be_tools(function: Any) -> None:
    with pytest.raises(TypeError):
        tool(function)


def test_tools_as_openai_writes_them() -> None:
    function = {"name": "f", "parameters": {"type": "object"}, "strict": True, "new": 1}
    for given in ({"type": "function", "function": function}, {"type": "function", **function}):
        [made] = as_tools([given])
        assert (made.function.name, made.function.strict) == ("f", True)
        assert json.loads(made.function.parameters.json) == {"type": "object"}
        assert made.function.extra["new"] == 1
    [other] = as_tools([{"type": "web_search", "a": 1}])
    assert json.loads(other.other.json) == {"type": "web_search", "a": 1}


def test_choices() -> None:
    assert as_tool_choice("auto").mode == ToolChoice.MODE_AUTO
    assert as_tool_choice("required").mode == ToolChoice.MODE_REQUIRED
    assert as_tool_choice("none").mode == ToolChoice.MODE_NONE
    assert as_tool_choice("f").function_name == "f"


@pytest.mark.parametrize("arguments", ["[1]", '{"a": ', "x"])
def test_arguments_that_are_none(arguments: str) -> None:
    call = ToolCall(ToolCallProto(function=FunctionCall(name="f", arguments=arguments)))
    assert call.arguments_json == arguments
    with pytest.raises(ValueError, match=r"."):
        _ = call.arguments


def test_no_arguments() -> None:
    assert ToolCall(ToolCallProto(function=FunctionCall(name="f"))).arguments == {}


@dataclass
class City:
    """What the simulator makes of any object with these fields."""

    name: str
    population: int


async def test_parse(client: Client, aclient: AsyncClient) -> None:
    for kind in (City, Sum):
        answer = client.chat.parse(kind, "A city?")
        assert type(answer.parsed) is kind
        assert answer.finish_reason == "stop"
        assert type((await aclient.chat.parse(kind, "A city?")).parsed) is kind
        stream = client.chat.stream("A city?", response_format=kind)
        assert type(stream.final().parse(kind)) is kind
        response = client.responses.create("A city?", text_format=kind)
        assert type(response.parse(kind)) is kind


def test_parse_what_was_cut_off(client: Client) -> None:
    with pytest.raises(AnswerParseError, match="finish_reason length") as caught:
        client.chat.parse(City, "A city?", max_tokens=2)
    assert caught.value.answer.finish_reason == "length"
    assert caught.value.__cause__


def test_formats(client: Client) -> None:
    assert json.loads(client.chat.create("A city?", response_format="json_object").text) is not None
    schema = {"title": "City", "type": "object", "properties": {"a": {"type": "integer"}}}
    assert isinstance(json.loads(client.chat.create("?", response_format=schema).text), dict)
    text = client.chat.create("?", structured_outputs={"choice": {"choices": ["yes"]}}).text
    assert text == "yes"
    with pytest.raises(ValueError, match="no response format"):
        client.chat.create("?", response_format="yaml")
