"""Composes the answer to a conversation."""

import itertools
import random
from dataclasses import replace

from penstock_server.simulator.generation import dialogues
from penstock_server.simulator.generation.dialogues import Call, Script
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts import media
from penstock_server.simulator.prompts.conversation import Conversation
from penstock_server.simulator.structured.outputs import constrained_text, schema_text
from penstock_server.simulator.vllm_settings import SimulatorSettings

_WORDS = (
    *("water", "stone", "river", "gate", "wheel", "mill", "valley", "morning", "light"),
    *("small", "large", "quiet", "opens", "turns", "carries", "follows", "waits", "returns"),
    *("under", "over", "beside", "toward", "and", "then"),
)


def compose(
    body: dict[str, Json], talk: Conversation, thinking: bool, settings: SimulatorSettings
) -> Script:
    """Returns the answer to a request: a constrained text, a fixed dialogue, or the fallback."""
    constrained = constrained_text(body)
    said = Script(constrained) if constrained is not None else _said(body, talk, settings)
    script = said if thinking else replace(said, reasoning=None)
    return _with_tool_choice(script, body)


def continuation(text: str, body: dict[str, Json], settings: SimulatorSettings) -> Script:
    """Returns the continuation of a text: a constrained text, or the fallback."""
    constrained = constrained_text(body)
    if constrained is not None:
        return Script(constrained)
    if settings.fallback == "random":
        seed = body.get("seed", settings.seed)
        return Script(f" {_random_text(f'{seed}:{text}')}")
    return Script(f" You said: {text}")


def _said(body: dict[str, Json], talk: Conversation, settings: SimulatorSettings) -> Script:
    begun = _begun(body, talk)
    if begun is not None:
        found = dialogues.continuation(talk.messages[:-1], talk.tools, begun)
    else:
        found = dialogues.find(talk.messages, talk.tools)
    if found and not talk.media:
        return found
    return _fallback(body, talk, settings)


def _begun(body: dict[str, Json], talk: Conversation) -> str | None:
    """Returns the text of the assistant to continue, if the request asks for that."""
    last = talk.messages[-1]
    asked = body.get("continue_final_message") and last["role"] == "assistant"
    return str(last["content"]) if asked else None


def _fallback(body: dict[str, Json], talk: Conversation, settings: SimulatorSettings) -> Script:
    if settings.fallback == "random" and not talk.media:
        seed = body.get("seed", settings.seed)
        return Script(_random_text(f"{seed}:{talk.last_words}"))
    parts = [f"You said: {talk.last_words}"] if talk.last_words else []
    parts += [media.in_words(talk.media)] if talk.media else []
    text = " ".join(parts) or "You said nothing."
    return Script(text, "The user said something new. I will say it back.")


def _random_text(seed: str) -> str:
    source = random.Random(seed)
    words = source.choices(_WORDS, k=source.randint(12, 40))
    return f"{' '.join(words).capitalize()}."


def _with_tool_choice(script: Script, body: dict[str, Json]) -> Script:
    """Adds, drops or writes out calls according to the request's tool_choice."""
    tools = body.get("tools") or []
    choice = body.get("tool_choice", "auto")
    calls = script.calls
    if not tools or choice == "none":
        return replace(script, content=_written_out(script), calls=())
    if choice != "auto":
        calls = _forced_calls(calls, tools, choice)
        script = replace(script, content="")
    if not body.get("parallel_tool_calls", True):
        calls = calls[:1]
    return replace(script, calls=calls)


def _forced_calls(calls: tuple[Call, ...], tools: list[Json], choice: Json) -> tuple[Call, ...]:
    functions = [tool["function"] for tool in tools]
    if choice != "required":
        name = choice["function"]["name"]
        functions = [function for function in functions if function["name"] == name]
        calls = tuple(call for call in calls if call.name == name)
    return calls or (_invented(functions[0]),)


def _invented(function: Json) -> Call:
    return Call(function["name"], schema_text(function.get("parameters") or {}))


def _written_out(script: Script) -> str:
    """Returns the text with the calls as the model writes them."""
    written = [
        f'<tool_call>\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n</tool_call>'
        for call in script.calls
    ]
    return "\n".join(itertools.chain([script.content] if script.content else [], written))
