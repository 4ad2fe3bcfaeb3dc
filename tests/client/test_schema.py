"""JSON Schema from types, values from JSON."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import FunctionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
)
from uuid import UUID

import pytest
from operations.canned import canned, in_json
from pydantic import BaseModel, Field, create_model
from typing_extensions import TypedDict  # pydantic reads that of typing from Python 3.12 on

from penstock import AnswerParseError, AsyncClient, Client
from penstock._base.generation import as_format
from penstock.schema import json_schema, parameters_schema
from penstock.values import arguments_from, from_json


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


class Item(BaseModel):
    name: str


class Order(BaseModel):
    items: list[Item]
    ordered: datetime | None = None


@dataclass
class Customer:
    orders: list[Order]


@dataclass
class Tree:
    value: int
    branches: "list[Tree]" = field(default_factory=list)


class Comment(TypedDict):
    replies: "list[Answer]"


class Answer(TypedDict):
    to: Comment


class Category(BaseModel):
    parts: list["Category"]


class Pair(NamedTuple):
    x: int
    y: str


UserId = NewType("UserId", int)
Age = Annotated[int, Field(ge=0, description="in years")]


POINT = {
    "title": "Point",
    "type": "object",
    "properties": {
        "x": {"title": "X", "type": "number"},
        "y": {"title": "Y", "type": "number", "default": 0.0},
    },
    "required": ["x"],
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
        (Color, {"title": "Color", "type": "string", "enum": ["red", "green"]}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Age, {"type": "integer", "minimum": 0, "description": "in years"}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (
            Mapping[str, int],
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (UserId, {"type": "integer"}),
        (Literal[Color.RED], {"enum": ["red"]}),
        (datetime, {"type": "string", "format": "date-time"}),
        (UUID, {"type": "string", "format": "uuid"}),
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
    assert schema["properties"]["color"] == {"$ref": "#/$defs/Color"}
    assert json_schema(Sum)["properties"]["result"]["type"] == "integer"
    pair = json_schema(tuple[int, str])
    assert (pair["minItems"], pair["maxItems"], len(pair["prefixItems"])) == (2, 2, 2)


@pytest.mark.parametrize("kind", [FunctionType, list[FunctionType], Callable[[int], int], 3])
def test_no_schema(kind: Any) -> None:
    with pytest.raises(TypeError, match="cannot be represented in JSON"):
        json_schema(kind)


LEFT_TO_PYDANTIC = (
    (datetime, '"2024-01-01T00:00:00Z"'),
    (list[bytes], '["a"]'),
    (dict[int, str], '{"1": "a"}'),
    (dict[str, Color], '{"a": "red"}'),
    (Age, "1"),
    (Color, '"red"'),
    (Color | None, '"red"'),
    (Pair, '[1, "a"]'),
    (Point, '{"x": 1}'),
    (Options, '{"color": "red"}'),
    (Sum, '{"result": 1}'),
    (int | str, "1"),
    (set[str], '["a"]'),
    (tuple[int, ...], "[1]"),
    (Sequence[int], "[1]"),
    (UserId, "1"),
)
MISSING = re.escape(
    'requires pydantic, which is not installed; run: pip install "penstock[pydantic]"'
)


@pytest.mark.parametrize(("kind", "text"), LEFT_TO_PYDANTIC)
def test_types_that_require_pydantic(kind: Any, text: str) -> None:
    json_schema(kind)
    from_json(kind, text)


@pytest.mark.parametrize(("kind", "text"), LEFT_TO_PYDANTIC)
def test_without_pydantic(kind: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def function(at: int, what: Any) -> None:
        pass

    function.__annotations__["what"] = kind
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(TypeError, match=MISSING):
        json_schema(kind)
    with pytest.raises(TypeError, match=MISSING):
        from_json(kind, text)
    with pytest.raises(TypeError, match=f"^parameter 'what': .*{MISSING}"):
        parameters_schema(function, {})
    with pytest.raises(TypeError, match=f"^parameter 'what': .*{MISSING}"):
        arguments_from(function, {"at": 1, "what": json.loads(text)})


SIMPLE = (str, int, float, bool, None, Any, object, list, dict, list[str], dict[str, Any])


@pytest.mark.parametrize("simple", SIMPLE)
def test_types_that_need_no_pydantic(simple: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    for kind in (simple, list[simple], dict[str, simple], Annotated[simple, "a"]):
        assert isinstance(json_schema(kind), dict)
    assert from_json(list[simple], "[]") == []


def test_optional_and_literal_need_no_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    literal: Any = Literal["a", 1, None, Color.RED]
    assert json_schema(literal) == {"enum": ["a", 1, None, "red"]}
    assert from_json(literal, '"red"') is Color.RED
    for optional in (list[int] | None, Optional[list[int]]):  # noqa: UP045
        kind: Any = optional
        assert json_schema(kind)["anyOf"][1] == {"type": "null"}
        assert (from_json(kind, "[1]"), from_json(kind, "null")) == ([1], None)


def references(schema: Any) -> Iterator[str]:
    """Returns the references in a schema."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for one in schema.values():
            yield from references(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from references(one)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Order, {"Item"}),
        (list[Order], {"Item", "Order"}),
        (Order | None, {"Item", "Order"}),
        (Customer, {"Item", "Order"}),
        (dict[str, Customer], {"Item", "Order", "Customer"}),
        (Tree, {"Tree"}),
        (list[Tree], {"Tree"}),
        (Comment, {"Answer", "Comment"}),
        (tuple[Answer, Comment], {"Answer", "Comment"}),
        (Category, {"Category"}),
        (tuple[Category, Tree, Order], {"Category", "Tree", "Item", "Order"}),
    ],
)
def test_definitions_are_at_the_root(kind: Any, names: set[str]) -> None:
    schema = json_schema(kind)
    assert set(schema["$defs"]) == names
    assert set(references(schema)) == {f"#/$defs/{name}" for name in names}
    assert all(definition["properties"] for definition in schema["$defs"].values())
    assert str(schema).count("$defs': ") == 1


def other_models() -> tuple[Any, Any]:
    """Returns models with the names of ours, but other fields."""

    class Item(BaseModel):
        price: float

    class Order(BaseModel):
        items: list[Item]

    return Order, Item


def defined(schema: Any, reference: dict[str, str]) -> Any:
    return schema["$defs"][reference["$ref"].removeprefix("#/$defs/")]


def test_models_with_the_same_name() -> None:
    other, item = other_models()

    def function(first: Order, second: other, third: Order) -> None:  # type: ignore[valid-type]
        pass

    schema = parameters_schema(function, {})
    properties = schema["properties"]
    assert properties["first"] == properties["third"] != properties["second"]
    for name, expected in (("first", Item), ("second", item)):
        order = defined(schema, properties[name])
        found = defined(schema, order["properties"]["items"]["items"])
        assert found == expected.model_json_schema()
    assert len(schema["$defs"]) == 4


def test_a_model_and_a_dataclass_with_the_same_name() -> None:
    tree = create_model("Tree", item=(Item, ...))
    kind: Any = (Tree, create_model("Holder", tree=(tree, ...)))
    schema = json_schema(tuple[kind])
    ours, holder = (defined(schema, one) for one in schema["prefixItems"])
    assert list(ours["properties"]) == ["value", "branches"]
    other = defined(schema, holder["properties"]["tree"])
    assert defined(schema, other["properties"]["item"]) == Item.model_json_schema()


def test_parameters() -> None:
    def buy(order: Order, for_whom: Customer, at: datetime, count: int = 1) -> None:
        pass

    schema = parameters_schema(buy, {"order": "what to buy"})
    assert schema["properties"]["order"] == {
        "$ref": "#/$defs/Order",
        "description": "what to buy",
    }
    assert schema["properties"]["at"] == {"type": "string", "format": "date-time"}
    assert schema["properties"]["count"] == {"type": "integer", "default": 1}
    assert list(schema["properties"]) == ["order", "for_whom", "at", "count"]
    assert set(schema["$defs"]) == {"Item", "Order", "Customer"}
    assert set(references(schema)) == {f"#/$defs/{name}" for name in schema["$defs"]}


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
        (Literal[Color.RED], '"red"', Color.RED),
        (Sequence[int], "[1]", [1]),
        (Mapping[str, int], '{"a": 1}', {"a": 1}),
        (UserId, "1", 1),
        (Age, "1", 1),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (datetime, '"2024-01-01T00:00:00Z"', datetime(2024, 1, 1, tzinfo=UTC)),
        (Tree, '{"value": 1, "branches": [{"value": 2}]}', Tree(1, [Tree(2)])),
        (
            Customer,
            '{"orders": [{"items": [{"name": "a"}]}]}',
            Customer([Order(items=[Item(name="a")])]),
        ),
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
        (Point, '{"x": "a"}'),
        (Color, '"blue"'),
        (Literal["a"], '"b"'),
        (int | str, "[]"),
        (tuple[int, str], "[1]"),
        (list[int], '{"a": 1}'),
        (list[int], '["1"]'),
        (dict[str, int], "[1]"),
        (float, "1" + 400 * "0"),
        (float | None, '"1"'),
        (Age, "-1"),
        (Literal[1], "true"),
        (Mapping[str, int], "[]"),
        (Customer, '{"orders": [{}]}'),
        (Sum, "{}"),
    ],
)
def test_not_from_json(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(kind, text)


@dataclass
class City:
    """The simulator's answer for any object with these fields."""

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


def test_parse_a_truncated_answer(client: Client) -> None:
    with pytest.raises(AnswerParseError, match="finish_reason length") as caught:
        client.chat.parse(City, "A city?", max_tokens=2)
    assert caught.value.answer.finish_reason == "length"
    assert caught.value.__cause__


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"content": "", "reasoning": '{"name":"x"}'}, "text is empty, but not its reasoning"),
        ({"content": None, "refusal": "no"}, "text is empty, but not its refusal"),
        ({"content": None}, "text is empty$"),
    ],
)
async def test_parse_an_answer_without_text(said: dict[str, Any], why: str) -> None:
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    async with canned(in_json({"id": "1", "choices": [choice], "usage": usage})) as (channel, _):
        with pytest.raises(AnswerParseError, match=why):
            await AsyncClient(channel=channel).chat.parse(City, "x")


def test_formats_in_openais_form() -> None:
    for name in ("text", "json_object"):
        assert as_format({"type": name}) == as_format(name)
    given = {"name": "n", "description": "d", "strict": True, "schema": {"type": "integer"}}
    made = as_format({"type": "json_schema", "json_schema": given})
    assert made
    form = made.json_schema
    assert (form.name, form.description, form.strict) == ("n", "d", True)
    assert form.schema.json == '{"type": "integer"}'
    assert as_format({"type": "json_schema", **given}) == made  # as the Responses API has it
    tags = as_format({"type": "structural_tag", "structures": [], "triggers": ["<f"]})
    assert tags
    assert tags.structural_tag.json == '{"structures": [], "triggers": ["<f"]}'
    schema = as_format({"type": "object"})
    assert schema
    assert schema.json_schema.schema.json == '{"type": "object"}'


def test_formats(client: Client) -> None:
    assert json.loads(client.chat.create("A city?", response_format="json_object").text) is not None
    schema = {"title": "City", "type": "object", "properties": {"a": {"type": "integer"}}}
    assert isinstance(json.loads(client.chat.create("?", response_format=schema).text), dict)
    text = client.chat.create("?", structured_outputs={"choice": {"choices": ["yes"]}}).text
    assert text == "yes"
    with pytest.raises(ValueError, match="not a valid response format"):
        client.chat.create("?", response_format="yaml")
