"""Generated contents of a call, accumulated for its span."""

from collections.abc import Iterable
from typing import Any

_UNFINISHED = "unfinished"


class Outputs:
    """The choices of an answer as received so far, each at most as long as a span records."""

    def __init__(self, most: int) -> None:
        """Starts without choices.

        Args:
            most: the number of characters to keep of each text.
        """
        self._most = most
        self._choices: dict[int, _Choice] = {}

    def add_choice(self, choice: Any, finish_reason: str) -> None:
        """Adds a choice, or a piece of one, of a chat or a completion.

        Args:
            choice: the choice.
            finish_reason: why it ended; empty if it has not.
        """
        kept = self._choice(choice.index)
        _ADDED[choice.DESCRIPTOR.name](kept, choice)
        kept.finish_reason = finish_reason or kept.finish_reason

    def add_event(self, event: Any) -> None:
        """Adds an event of a streamed response."""
        kind = event.WhichOneof("event")
        if kind in _TEXT_EVENTS:
            self._choice(0).add(_TEXT_EVENTS[kind], getattr(event, kind).text)
        elif kind == "output_item_added" and event.output_item_added.item.HasField("function_call"):
            added = event.output_item_added
            call = added.item.function_call
            self._choice(0).add_call(added.output_index, call.call_id, call.name, call.arguments)
        elif kind == "function_call_arguments_delta":
            delta = event.function_call_arguments_delta
            self._choice(0).add_call(delta.output_index, "", "", delta.arguments)

    def replace(self, response: Any, finish_reason: str) -> None:
        """Replaces the contents by those of a response.

        Args:
            response: the response.
            finish_reason: its status.
        """
        if response.output:
            self._choices.clear()
        for number, item in enumerate(response.output):
            self._choice(item.choice_index).add_item(number, item)
        for choice in self._choices.values():
            choice.finish_reason = finish_reason

    def messages(self) -> list[dict[str, Any]]:
        """Returns the choices in vLLM's JSON."""
        return [choice.message() for _, choice in sorted(self._choices.items())]

    def _choice(self, index: int) -> "_Choice":
        if index not in self._choices:
            self._choices[index] = _Choice(self._most)
        return self._choices[index]


class _Choice:
    """A choice as received so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts = {"reasoning": _Text(), "content": _Text()}
        self._calls: dict[int, _Call] = {}
        self.finish_reason = ""

    def add(self, name: str, text: str) -> None:
        self._texts[name].add(text, self._most)

    def add_all(self, name: str, texts: Iterable[str]) -> None:
        for text in texts:
            self.add(name, text)

    def add_call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        # A call takes at least as many characters.
        if index not in self._calls and len(self._calls) > self._most:
            return
        call = self._calls.setdefault(index, _Call())
        call.id, call.name = call_id or call.id, name or call.name
        call.arguments.add(arguments, self._most)

    def add_item(self, number: int, item: Any) -> None:
        kind = item.WhichOneof("item")
        if kind == "message":
            self.add_all("content", (part.text or part.refusal for part in item.message.content))
        elif kind == "reasoning":
            self.add_all("reasoning", item.reasoning.content)
        elif kind == "function_call":
            call = item.function_call
            self.add_call(number, call.call_id, call.name, call.arguments)

    def message(self) -> dict[str, Any]:
        texts = {name: text.whole() for name, text in self._texts.items()}
        return {
            "role": "assistant",
            **texts,
            "tool_calls": [call.document() for _, call in sorted(self._calls.items())],
            "finish_reason": self.finish_reason or _UNFINISHED,
        }


class _Text:
    """A text that grows."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def add(self, text: str, most: int) -> None:
        """Adds a piece unless the text is already too long for the attribute."""
        if text and self._length <= most:
            self._pieces.append(text)
            self._length += len(text)

    def whole(self) -> str:
        return "".join(self._pieces)


class _Call:
    """A call of a tool that the model requests."""

    def __init__(self) -> None:
        self.id = self.name = ""
        self.arguments = _Text()

    def document(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": self.arguments.whole()}
        return {"id": self.id, "function": function}


def _add_message(kept: _Choice, choice: Any) -> None:
    message = choice.message
    kept.add("reasoning", message.reasoning)
    kept.add_all("content", (part.text or part.refusal for part in message.content))
    kept.add("content", message.refusal)
    for number, call in enumerate(message.tool_calls):
        kept.add_call(number, call.id, call.function.name, call.function.arguments)


def _add_delta(kept: _Choice, choice: Any) -> None:
    delta = choice.delta
    kept.add("reasoning", delta.reasoning)
    kept.add("content", delta.content)
    kept.add("content", delta.refusal)
    for call in delta.tool_calls:
        kept.add_call(call.index, call.id, call.name, call.arguments)


def _add_text(kept: _Choice, choice: Any) -> None:
    kept.add("content", choice.text)


_ADDED = {
    "ChatChoice": _add_message,
    "ChatChoiceDelta": _add_delta,
    "CompletionChoice": _add_text,
    "CompletionChoiceDelta": _add_text,
}
_TEXT_EVENTS = {
    "output_text_delta": "content",
    "refusal_delta": "content",
    "reasoning_text_delta": "reasoning",
}
