"""Conversion of one choice of a chat to the items of a response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.v1 import common_pb2, message_pb2, response_pb2
from penstock_server.convert import document, message, tool_calls
from penstock_server.convert.response import chat_input
from penstock_server.convert.response.chat_items import (
    Call,
    Events,
    Message,
    Reasoning,
    logprob_records,
)
from penstock_server.convert.response.chat_tokens import tokens_of

_COMPLETED = response_pb2.RESPONSE_STATUS_COMPLETED
_INCOMPLETE = response_pb2.RESPONSE_STATUS_INCOMPLETE
_NATURAL_ENDS = ("stop", "tool_calls", "function_call")
_REASONS = {"length": "max_output_tokens"}
_CHOICE_KEYS = frozenset({"index", "message", "delta", "finish_reason", "logprobs"})
_LOGPROB_KEYS = frozenset({"content"})
_ROLES = {name: role for role, name in chat_input.ROLES.items()}


@dataclass(frozen=True, slots=True)
class End:
    """The end of a choice: its status and, if it ended early, the reason."""

    status: response_pb2.ResponseStatus.ValueType
    reason: str = ""

    @classmethod
    def of(cls, finish_reason: str) -> "End":
        """Returns the end that a finish reason of a chat stands for."""
        if finish_reason in _NATURAL_ENDS:
            return cls(_COMPLETED)
        return cls(_INCOMPLETE, _REASONS.get(finish_reason, finish_reason))


class ResponseChoice:
    """The items of one choice, in the order in which they begin.

    Reasoning closes text, text closes reasoning, and a call closes both; calls stay open until the
    choice ends, because pieces of several calls may interleave.

    Attributes:
        ended: end of the choice; its status is unspecified until then.
        rest: keys of the choice that have no field in a response.
    """

    def __init__(
        self, events: Events, items: list[response_pb2.ResponseItem], suffix: str, index: int
    ) -> None:
        """Creates a choice without items.

        Args:
            events: collects the events of the choice.
            items: collects the items of the response.
            suffix: end of the items' ids.
            index: number of the choice.
        """
        self.ended = End(response_pb2.RESPONSE_STATUS_UNSPECIFIED)
        self.rest: dict[str, Any] = {}
        self._events = events
        self._items = items
        self._suffix = suffix
        self._index = index
        self._role: message_pb2.Role.ValueType = message_pb2.ROLE_ASSISTANT
        self._current: Message | Reasoning | None = None
        self._calls: list[Call] = []
        self._by_number: dict[int, Call] = {}
        self._pieces = tool_calls.Calls()
        self._held: list[common_pb2.TokenLogprob] = []  # entries of tokens without text yet
        self._last_index = -1  # the position of the choice's last item

    def read(self, data: Mapping[str, Any], generated: Mapping[str, Any], *, whole: bool) -> None:
        """Reads a choice of an event or of a unary answer.

        Args:
            data: the choice.
            generated: its message or delta.
            whole: whether the answer is unary.
        """
        if role := generated.get("role"):
            self._role = _ROLES.get(role, message_pb2.ROLE_ASSISTANT)
        logprobs = data.get("logprobs") or {}
        self._read_words(generated, logprobs.get("content") or [])
        if not _LOGPROB_KEYS.issuperset(logprobs):
            _merge(self.rest.setdefault("logprobs", {}), logprobs, _LOGPROB_KEYS)
        calls = generated.get("tool_calls") or ()
        # In a unary answer each entry is a separate call, whatever its id and name.
        found = tool_calls.whole_calls(calls) if whole else self._pieces.pieces(calls)
        for piece, call in found:
            self._read_call(piece, call)
        _merge(self.rest, data, _CHOICE_KEYS)
        _merge(self.rest, generated, message.GENERATED_KEYS)
        finish_reason = data.get("finish_reason")
        if finish_reason and not self.ended.status:
            self.ended = End.of(finish_reason)
            self.end(self.ended.status)

    def end(self, status: response_pb2.ResponseStatus.ValueType) -> None:
        """Closes the open items; `status` applies to the last one, which may be incomplete."""
        if isinstance(self._current, Message):
            self._current.end_text(self._held)
        still = [*self._calls, *([self._current] if self._current else [])]
        for item in sorted(still, key=lambda one: one.index):
            item.close(status if item.index == self._last_index else _COMPLETED)
        self._current = None
        self._calls.clear()
        self._by_number.clear()

    def _read_words(self, generated: Mapping[str, Any], entries: Sequence[Any]) -> None:
        reasoning, text = message.reasoning_of(generated), message.text_of(generated.get("content"))
        if reasoning:
            self._thinking().write(reasoning)
            _merge(self.rest, message.other_reasoning(generated, reasoning), frozenset())
        if text:
            self._read_text(text, reasoning or "", [*self._held, *logprob_records(entries)])
        elif not (reasoning or generated.get("tool_calls")) and self._expects_text:
            # A token without text yet: a part of a character, or the end.
            self._held += logprob_records(entries)
        if refusal := generated.get("refusal"):
            self._speaking().write_refusal(refusal)

    def _read_text(self, text: str, reasoning: str, entries: list[common_pb2.TokenLogprob]) -> None:
        """Adds a text with the entries of its tokens; holds back those of later text."""
        first, end = tokens_of(text, reasoning, entries)
        if not (reasoning or isinstance(self._current, Reasoning) or self._calls):
            first = 0  # they can belong to nothing else
        self._speaking().write_text(text, entries[first:end])
        self._held = entries[end:]

    @property
    def _expects_text(self) -> bool:
        return isinstance(self._current, Message) or not (self._current or self._calls)

    def _thinking(self) -> Reasoning:
        if not isinstance(self._current, Reasoning):
            self._close_current()
            self._current = Reasoning(self._events, *self._new("rs"))
        return self._current

    def _speaking(self) -> Message:
        if not isinstance(self._current, Message):
            self._close_current()
            self._current = Message(self._events, *self._new("msg"), self._role)
        return self._current

    def _close_current(self) -> None:
        """Closes reasoning or text; entries that were held back for later text are discarded."""
        if self._current:
            self._current.close(_COMPLETED)
        self._current = None
        self._held.clear()

    def _read_call(self, piece: tool_calls.Piece, data: Mapping[str, Any]) -> None:
        if data.get("function") is None and data.get("type") not in (None, "function"):
            self._other_call(data)
            return
        call = self._call(piece)
        if piece.arguments:
            call.write(piece.arguments)
        tool_calls.keep_unknown(call.item, data)

    def _call(self, piece: tool_calls.Piece) -> Call:
        """Returns the call that a piece belongs to; creates the call for its first piece."""
        if known := self._by_number.get(piece.number):
            if piece.name:
                known.item.function_call.name = piece.name
            return known
        self._close_current()
        position, item = self._new("fc")
        call = Call(self._events, position, item, piece.id or _made_id(item.id), piece.name)
        self._calls.append(call)
        self._by_number[piece.number] = call
        return call

    def _other_call(self, data: Mapping[str, Any]) -> None:
        self._close_current()
        position, item = self._new("")
        item.ClearField("id")
        item.other.CopyFrom(document.to_document(data))
        whole = response_pb2.OutputItemEvent(output_index=position, item=item)
        self._events.add(output_item_added=whole)
        self._events.add(output_item_done=whole)

    def _new(self, prefix: str) -> tuple[int, response_pb2.ResponseItem]:
        """Adds an item to the output; returns its position and the item."""
        position = len(self._items)
        item = response_pb2.ResponseItem(
            id=f"{prefix}_{self._suffix}_{position}", choice_index=self._index
        )
        self._items.append(item)
        self._last_index = position
        return position, item


def _made_id(item_id: str) -> str:
    return item_id.replace("fc_", "call_", 1)


def _merge(target: dict[str, Any], data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Merges the keys that are neither known nor null; concatenates texts and lists."""
    for key, value in data.items():
        if key in known or value is None:
            continue
        before = target.get(key)
        adds_up = type(before) is type(value) and isinstance(value, str | list)
        target[key] = before + value if adds_up else value
