"""Converts messages to a prompt: texts of content parts, and a ChatML template."""

from dataclasses import dataclass

from penstock_server.simulator.faults.table import without_directives
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts.media import PART_TYPES, Medium, medium

_TEXT_TYPES = ("text", "refusal", "thinking")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a request with their content as text, and the media among them."""

    messages: list[Json]
    media: list[Medium]
    tools: list[str]

    @property
    def last_words(self) -> str:
        """The text of the user's last message."""
        said = [message["content"] for message in self.messages if message["role"] == "user"]
        return said[-1] if said else ""


def conversation(body: dict[str, Json]) -> Conversation:
    """Reads the messages and tools of a request, without fault directives."""
    media = [medium(part) for message in body["messages"] for part in _media_parts(message)]
    messages = [_as_text(message) for message in body["messages"]]
    tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    return Conversation(messages, media, tools)


def message_text(message: Json) -> str:
    """Returns the text of a message: its content, or its text parts joined by line breaks."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(filter(None, (_part_text(part) for part in content)))


def render(talk: Conversation, body: dict[str, Json], thinking: bool) -> str:
    """Returns the prompt as text, in the format of the project's tiny models."""
    turns = [_turn(message) for message in talk.messages]
    if talk.tools:
        names = "\n".join(talk.tools)
        turns.insert(0, f"<|im_start|>system\n# Tools\n<tools>\n{names}\n</tools><|im_end|>\n")
    if body.get("continue_final_message"):
        turns[-1] = turns[-1].removesuffix("<|im_end|>\n")
    elif body.get("add_generation_prompt", True):
        turns.append("<|im_start|>assistant\n" + ("" if thinking else "<think>\n\n</think>\n\n"))
    return "".join(turns)


def _as_text(message: Json) -> Json:
    text = without_directives(message_text(message))
    return {**message, "content": text}


def _media_parts(message: Json) -> list[Json]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict) and part.get("type") in PART_TYPES]


def _part_text(part: Json) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type")
    return str(part.get(kind, "")) if kind in _TEXT_TYPES else ""


def _turn(message: Json) -> str:
    calls = "".join(
        f'\n<tool_call>\n{{"name": "{call["function"]["name"]}", '
        f'"arguments": {call["function"].get("arguments", "")}}}\n</tool_call>'
        for call in message.get("tool_calls") or []
    )
    return f"<|im_start|>{message['role']}\n{message['content']}{calls}<|im_end|>\n"
