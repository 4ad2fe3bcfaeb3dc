"""Tools from functions, and calls of tools."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial, wraps
from types import FunctionType
from typing import Annotated, Any

import pytest
from documents import value_of
from pydantic import BaseModel

from penstock import tool
from penstock.tools import ToolCall, as_tool_choice, as_tools
from penstock.v1.message_pb2 import FunctionCall, FunctionDefinition, ToolChoice
from penstock.v1.message_pb2 import ToolCall as ToolCallProto


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    x: float
    y: float = 0.0


class Item(BaseModel):
    name: str


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


def test_tool_with_another_name_and_description() -> None:
    definition = tool(search, name="find", description="Finds.", strict=True).function
    assert (definition.name, definition.description, definition.strict) == ("find", "Finds.", True)


def positional(a: int, /) -> None:
    pass


def variadic(*a: int) -> None:
    pass


def unknown(a: FunctionType) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (positional, "parameter 'a' cannot be passed by name"),
        (variadic, "parameter 'a' cannot be passed by name"),
        (unknown, "parameter 'a': <class 'function'> cannot be represented in JSON"),
    ],
)
def test_functions_that_cannot_be_tools(function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tool(function)


def properties(definition: FunctionDefinition) -> dict[str, Any]:
    """Returns the schemas of a function's arguments."""
    schema = json.loads(definition.parameters.json)
    return dict(schema["properties"])


def paint(canvas: Any, at: Point, color: Color = Color.RED, count: int = 1) -> "Nothing":  # type: ignore[name-defined]  # noqa: F821
    """Paints.

    Args:
        at: where.
    """


class Painter:
    """A callable object."""

    def __call__(self, at: Point) -> "Nothing":  # type: ignore[name-defined]  # noqa: F821
        """Paints it.

        Args:
            at: where to.
        """

    def erase(self, at: Point) -> None:
        """Erases."""


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    return run


@pytest.mark.parametrize(
    ("function", "name", "description", "at"),
    [
        (partial(paint, "canvas"), "paint", "Paints.", "where."),
        (partial(partial(paint, canvas="canvas"), color=Color.RED), "paint", "Paints.", "where."),
        (Painter(), "Painter", "Paints it.", "where to."),
        (partial(Painter()), "Painter", "Paints it.", "where to."),
        (Painter().erase, "erase", "Erases.", None),
        (traced(Painter().erase), "erase", "Erases.", None),
    ],
)
def test_callable_objects(function: Any, name: str, description: str, at: str | None) -> None:
    definition = tool(function).function
    assert (definition.name, definition.description) == (name, description)
    schema = json.loads(definition.parameters.json)
    assert "canvas" not in schema["properties"]
    assert schema["properties"]["at"].get("description") == at
    assert schema["properties"]["at"]["$ref"] == "#/$defs/Point"
    assert schema["$defs"]["Point"]["required"] == ["x"]


def test_arguments_that_a_partial_binds_are_hidden() -> None:
    made = properties(tool(partial(paint, color=Color.GREEN)).function)
    assert list(made) == ["canvas", "at", "count"]


def test_defaults() -> None:
    def function(
        color: Color = Color.GREEN,
        colors: list[Color] = [Color.GREEN],  # noqa: B006
        names: list[str] = ["a", "b"],  # noqa: B006
        limit: float = float("nan"),
        point: Point = Point(1),  # noqa: B008
        nothing: None = None,
    ) -> None:
        pass

    made = properties(tool(function).function)
    assert made["color"] == {"$ref": "#/$defs/Color", "default": "green"}
    assert made["colors"]["default"] == ["green"]
    assert made["names"]["default"] == ["a", "b"]
    assert "default" not in made["limit"]
    assert "default" not in made["point"]
    assert made["nothing"]["default"] is None


@pytest.mark.parametrize(
    "text",
    [
        "Args:\n    a: what.",
        "Args:\n    a: what.\n\nReturns:\n    a: not this.",
        "\n\n    Args:\n        a: what.",
        "Does.\nArgs:\n    a: what.",
        "Does\nArgs:\n\n    a: what.\n\nReturns:\n    a: not this.",
    ],
)
def test_docstrings(text: str) -> None:
    def function(a: int) -> None:
        pass

    function.__doc__ = text
    definition = tool(function).function
    assert definition.description == text.partition("Args")[0].strip()
    assert properties(definition)["a"]["description"] == "what."


def call(**arguments: Any) -> ToolCall:
    text = json.dumps(arguments)
    return ToolCall(ToolCallProto(function=FunctionCall(name="f", arguments=text)))


def test_arguments_are_converted_to_the_functions_types() -> None:
    def function(color: Color, points: list[Point], item: Item | None = None) -> None:
        pass

    asked = call(color="red", points=[{"x": 1}], item={"name": "a"})
    assert asked.arguments_for(function) == {
        "color": Color.RED,
        "points": [Point(1.0)],
        "item": Item(name="a"),
    }
    assert call(color="red", points=[]).arguments_for(function) == {
        "color": Color.RED,
        "points": [],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "paint: 'canvas' is missing"),
        ({"canvas": 1, "at": {"x": 1}, "size": 2}, "paint: unknown name 'size'"),
        ({"canvas": 1, "at": 2}, "parameter 'at': .*Point.*input_value=2"),
        ({"canvas": 1, "at": {"x": 1}, "color": "blue"}, "parameter 'color': .*input_value='blue'"),
        ({"canvas": 1, "at": {"x": 1}, "count": "1"}, "parameter 'count': '1' is not a valid int"),
    ],
)
def test_arguments_that_do_not_match(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call(**arguments).arguments_for(paint)


def test_tools_in_openais_form() -> None:
    function = {"name": "f", "parameters": {"type": "object"}, "strict": True, "new": 1}
    for given in ({"type": "function", "function": function}, {"type": "function", **function}):
        [made] = as_tools([given])
        assert (made.function.name, made.function.strict) == ("f", True)
        assert json.loads(made.function.parameters.json) == {"type": "object"}
        assert value_of(made.function.extra)["new"] == 1
    [other] = as_tools([{"type": "web_search", "a": 1}])
    assert json.loads(other.other.json) == {"type": "web_search", "a": 1}


def test_choices() -> None:
    assert as_tool_choice("auto").mode == ToolChoice.MODE_AUTO
    assert as_tool_choice("required").mode == ToolChoice.MODE_REQUIRED
    assert as_tool_choice("none").mode == ToolChoice.MODE_NONE
    assert as_tool_choice("f").function_name == "f"
    as_json = {"type": "function", "function": {"name": "f"}}
    assert as_tool_choice(as_json) == as_tool_choice("f")
    as_responses_have_it = {"type": "function", "name": "f"}
    assert as_tool_choice(as_responses_have_it) == as_tool_choice("f")
    other = as_tool_choice({"type": "allowed_tools", "a": 1}).other
    assert json.loads(other.json) == {"type": "allowed_tools", "a": 1}


@pytest.mark.parametrize("arguments", ["[1]", '{"a": ', "x", '{"a": ' + "[" * 100_000])
def test_invalid_arguments(arguments: str) -> None:
    call = ToolCall(ToolCallProto(function=FunctionCall(name="f", arguments=arguments)))
    assert call.arguments_json == arguments
    with pytest.raises(ValueError, match=r"."):
        _ = call.arguments


def test_no_arguments() -> None:
    assert ToolCall(ToolCallProto(function=FunctionCall(name="f"))).arguments == {}
