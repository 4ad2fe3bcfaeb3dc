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
>>> result = tool_result(call, get_weather(**call.arguments))
>>> client.chat.create([question, answer.message, result], tools=[get_weather]).text
'It is sunny in Paris, 21 degrees.'
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock._base.options import document
from penstock.schema import parameters_schema
from penstock.v1.message_pb2 import FunctionDefinition, Tool, ToolChoice
from penstock.v1.message_pb2 import ToolCall as ToolCallProto

ToolLike: TypeAlias = Tool | Callable[..., Any] | Mapping[str, Any]

_ARGUMENT = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_SECTION = re.compile(r"^(\w+):\s*$")
_ARGUMENT_SECTIONS = ("Args", "Arguments", "Parameters")
_MODES = ("auto", "none", "required")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the model.

    Attributes:
        proto: the call as it came.
    """

    proto: ToolCallProto

    @property
    def id(self) -> str:
        """Name of this call, which `tool_result` repeats."""
        return self.proto.id

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.proto.function.name

    @property
    def arguments_json(self) -> str:
        """The arguments as the model wrote them: perhaps no JSON, or cut off."""
        return self.proto.function.arguments

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, to be given by name.

        Raises:
            ValueError: they are no JSON object.
        """
        made = json.loads(self.arguments_json or "{}")
        if not isinstance(made, dict):
            raise ValueError(f"the arguments of {self.name} are no object: {self.arguments_json}")
        return made


def tool(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    strict: bool | None = None,
) -> Tool:
    """Returns a function of Python as a tool.

    The schema of the arguments is made from the annotations; descriptions are the docstring's
    first paragraph and its section "Args", or `Annotated[str, "name of the city"]`.

        >>> tool(lambda city: city, name="echo").function.name
        'echo'

    Args:
        function: what the model may call.
        name: name for the model, if not the function's own.
        description: what it does, if not as in the docstring.
        strict: force arguments to follow the schema, where the upstream can.

    Raises:
        TypeError: a parameter cannot be given by name, or its type has no form in JSON.
    """
    summary, arguments = _read_docstring(inspect.getdoc(function) or "")
    definition = FunctionDefinition(
        name=name or function.__name__,
        description=description or summary,
        parameters=document(parameters_schema(function, arguments)),
        strict=strict,
    )
    return Tool(function=definition)


def as_tools(given: Iterable[ToolLike]) -> list[Tool]:
    """Returns tools given as functions, as messages, or as in OpenAI's JSON."""
    return [_as_tool(one) for one in given]


def as_tool_choice(given: str | ToolChoice) -> ToolChoice:
    """Returns a choice given as "auto", "none", "required" or the name of a function."""
    if isinstance(given, ToolChoice):
        return given
    if given in _MODES:
        return ToolChoice(mode=ToolChoice.Mode.Value(f"MODE_{given.upper()}"))
    return ToolChoice(function_name=given)


def _as_tool(given: ToolLike) -> Tool:
    if isinstance(given, Tool):
        return given
    if callable(given):
        return tool(given)
    if not isinstance(given, Mapping):
        raise TypeError(f"{given!r} is no tool")
    if given.get("type", "function") != "function":
        return Tool(other=document(given))
    function = dict(given.get("function", given))
    function.pop("type", None)
    if (parameters := function.pop("parameters", None)) is not None:
        function["parameters"] = document(parameters)
    known = FunctionDefinition.DESCRIPTOR.fields_by_name
    extra = {key: function.pop(key) for key in list(function) if key not in known}
    definition = FunctionDefinition(**function)
    if extra:
        definition.extra.update(extra)
    return Tool(function=definition)


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Returns the first paragraph of a docstring, and the descriptions in its "Args"."""
    summary = " ".join(text.split("\n\n")[0].split())
    arguments: dict[str, str] = {}
    section, name, depth = "", "", 0
    for line in filter(None, text.splitlines()):
        indent = len(line) - len(line.lstrip())
        if not indent:
            heading = _SECTION.match(line)
            section, depth = heading[1] if heading else "", 0
        elif section in _ARGUMENT_SECTIONS:
            depth = depth or indent
            found = _ARGUMENT.match(line.strip()) if indent == depth else None
            if found:
                name = found[1]
            described = found[2] if found else f"{arguments.get(name, '')} {line.strip()}"
            arguments[name] = described.strip()
    return summary, arguments
