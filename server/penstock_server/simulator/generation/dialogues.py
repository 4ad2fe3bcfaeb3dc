"""The conversations whose answers are fixed; the project's tiny models are trained on them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts.conversation import conversation, render


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, with its arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Script:
    """An output of the model: reasoning, text and calls."""

    content: str
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()


def find(messages: list[Json], tools: list[str]) -> Script | None:
    """Returns the fixed answer to a conversation with these tools, if there is one."""
    return _dialogues().get(_key(messages, tools))


def continuation(messages: list[Json], tools: list[str], begun: str) -> Script | None:
    """Returns the rest of a fixed answer that starts with a text; prefers this conversation's."""
    scripts = [find(messages, tools), *_dialogues().values()]
    for script in scripts:
        if script and script.content.startswith(begun):
            return Script(script.content[len(begun) :])
    return None


def of_prompt(text: str) -> Script | None:
    """Returns the text of the fixed answer to a conversation, by the prompt rendered from it."""
    return _by_prompt().get(text)


@cache
def _by_prompt() -> dict[str, Script]:
    return {
        render(conversation({**entry, "tools": []}), {}, thinking=False): Script(
            _script(entry).content
        )
        for entry in _entries()
        if not entry.get("tools") and entry.get("content")
    }


@cache
def _entries() -> list[Json]:
    entries: list[Json] = json.loads(Path(__file__).with_name("dialogues.json").read_text("utf-8"))
    return entries


@cache
def _dialogues() -> dict[str, Script]:
    return {_key(entry["messages"], entry.get("tools", [])): _script(entry) for entry in _entries()}


def _script(entry: Json) -> Script:
    calls = tuple(Call(call["name"], call["arguments"]) for call in entry.get("tool_calls", []))
    return Script(entry.get("content", ""), entry.get("reasoning"), calls)


def _key(messages: list[Json], tools: list[str]) -> str:
    return json.dumps([[_essence(message) for message in messages], tools], sort_keys=True)


def _essence(message: Json) -> Json:
    """Returns the parts of a message that the template renders; excludes ids of calls."""
    calls = [call.get("function") for call in message.get("tool_calls") or []]
    shown = {"role": message.get("role"), "content": message.get("content"), "calls": calls}
    return {key: value for key, value in shown.items() if value}
