"""Tools: functions that the model may call.

>>> def get_weather(city: str) -> str:
...     '''The weather of a city.
...
...     Args:
...         city: name of the city.
...     '''
...     return "sunny, 21C"
>>> question = user("What is the weather in Paris?")
>>> answer = client.chat.create([question], tools=[get_weather])
>>> [call] = answer.tool_calls
>>> call.name, call.arguments
('get_weather', {'city': 'Paris'})
>>> result = tool_result(call, get_weather(**call.arguments_for(get_weather)))
>>> client.chat.create([question, answer.message, result], tools=[get_weather]).text
'It is sunny in Paris, 21 degrees.'
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock._base.functions import behind
from penstock._base.json_documents import WithExtra, document
from penstock._base.options import message
from penstock._base.spelling import refuse_misspelt
from penstock.schema import parameters_schema
from penstock.v1.message_pb2 import FunctionDefinition, Tool, ToolChoice
from penstock.v1.message_pb2 import ToolCall as ToolCallProto
from penstock.values import arguments_from, from_json

ToolLike: TypeAlias = Tool | Callable[..., Any] | Mapping[str, Any]
ToolChoiceLike: TypeAlias = str | ToolChoice | Mapping[str, Any]

_ARGUMENT = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_SECTION = re.compile(r"^(\w+):\s*$")
_ARGUMENT_SECTIONS = ("Args", "Arguments", "Parameters")
_MODES = ("auto", "none", "required")


@dataclass(frozen=True, slots=True)
class ToolCall(WithExtra):
    """A call of a tool by the model.

    Attributes:
        proto: the call as received.
    """

    proto: ToolCallProto

    @property
    def id(self) -> str:
        """Id of this call, which `tool_result` repeats."""
        return self.proto.id

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.proto.function.name

    @property
    def arguments_json(self) -> str:
        """The arguments as the model wrote them; may be cut off or not valid JSON."""
        return self.proto.function.arguments

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by parameter name.

        Raises:
            ValueError: the arguments are not a valid JSON object.
        """
        made = from_json(Any, self.arguments_json or "{}")
        if not isinstance(made, dict):
            raise ValueError(
                f"the arguments of {self.name} are not a JSON object: {self.arguments_json}"
            )
        return made

    def arguments_for(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Returns the arguments by name, converted to the types of a function's parameters.

        For example, a JSON string becomes an enum member or a date, and a JSON object becomes a
        dataclass or a pydantic model; these types require the extra `pydantic`.

            >>> from datetime import date
            >>> def is_weekend(day: date) -> bool:
            ...     return day.weekday() > 4
            >>> answer = client.chat.create("?", tools=[is_weekend], tool_choice="required")
            >>> [call] = answer.tool_calls
            >>> type(call.arguments["day"])
            <class 'str'>
            >>> type(call.arguments_for(is_weekend)["day"])
            <class 'datetime.date'>

        Raises:
            ValueError: the arguments are not a valid JSON object, or do not match the function.
            TypeError: a parameter's type requires pydantic.
        """
        return arguments_from(function, self.arguments)


def tool(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    strict: bool | None = None,
) -> Tool:
    """Returns a Python function as a tool.

    The annotations define the schema of the arguments; those other than scalars, lists, dicts,
    `Literal` and optional types require the extra `pydantic`. Descriptions come
    from the docstring's first paragraph and its "Args" section, or from `Annotated[str, "name of
    the city"]`. The model does not see arguments that a `functools.partial` already binds.

        >>> tool(lambda city: city, name="echo").function.name
        'echo'

    Args:
        function: the function that the model may call.
        name: name of the tool, if not that of the function.
        description: description of the tool, if not that of the docstring.
        strict: whether arguments must follow the schema, if the upstream supports it.

    Raises:
        TypeError: a parameter cannot be passed by name, its type cannot be represented in JSON, or
            its type requires pydantic.
    """
    called: Any = behind(function)
    named = hasattr(called, "__name__")
    text = inspect.getdoc(called if named else called.__call__) or inspect.getdoc(called) or ""
    summary, arguments = _read_docstring(text)
    definition = FunctionDefinition(
        name=name or (called.__name__ if named else type(called).__name__),
        description=description or summary,
        parameters=document(parameters_schema(function, arguments)),
        strict=strict,
    )
    return Tool(function=definition)


def as_tools(given: Iterable[ToolLike]) -> list[Tool]:
    """Returns tools given as functions, as messages, or in OpenAI's JSON form.

    Raises:
        TypeError: an item is not a valid tool, or contains a value of the wrong type.
        ValueError: a key is misspelt.
    """
    return [_as_tool(one) for one in given]


def as_tool_choice(given: ToolChoiceLike) -> ToolChoice:
    """Returns a tool choice.

    Args:
        given: "auto", "none", "required", the name of a function, a message, or OpenAI's JSON form.
    """
    if isinstance(given, ToolChoice):
        return given
    if isinstance(given, Mapping):
        # The Responses API names the function next to the type.
        function = given.get("function", given if given.get("type") == "function" else {})
        if name := function.get("name"):
            return ToolChoice(function_name=name)
        return ToolChoice(other=document(given))
    if given in _MODES:
        return ToolChoice(mode=ToolChoice.Mode.Value(f"MODE_{given.upper()}"))
    return ToolChoice(function_name=given)


def _as_tool(given: ToolLike) -> Tool:
    if isinstance(given, Tool):
        return given
    if callable(given):
        return tool(given)
    if not isinstance(given, Mapping):
        raise TypeError(f"{given!r} is not a valid tool")
    if given.get("type", "function") != "function":
        return Tool(other=document(given))
    function = given.get("function", given)
    if not isinstance(function, Mapping):
        raise TypeError(f"{given!r} is not a valid tool")
    known = FunctionDefinition.DESCRIPTOR.fields_by_name
    refuse_misspelt(function, known, "a tool")
    values = {key: value for key, value in function.items() if key in known}
    extra = {key: value for key, value in function.items() if key not in {*known, "type"}}
    return Tool(function=message(FunctionDefinition, values | {"extra": extra or None}))


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Returns the first paragraph of a docstring, and the descriptions in its "Args" section."""
    summary: list[str] = []
    arguments: dict[str, str] = {}
    lines = text.splitlines()
    while lines and lines[0] and not _SECTION.match(lines[0]):
        summary += lines.pop(0).split()
    section, name, depth = "", "", -1
    for line in filter(None, lines):
        indent = len(line) - len(line.lstrip())
        if heading := _SECTION.match(line):
            section, depth = heading[1], -1
        elif section in _ARGUMENT_SECTIONS and indent >= depth:
            depth = indent if depth < 0 else depth
            found = _ARGUMENT.match(line.strip()) if indent == depth else None
            if found:
                name = found[1]
            described = found[2] if found else f"{arguments.get(name, '')} {line.strip()}"
            arguments[name] = described.strip()
        else:
            section = ""
    return " ".join(summary), arguments
