"""The one place that decides whether an answer is complete, streamed or with choices."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock_server.json_numbers import integer
from penstock_server.upstream.error_body import ABORTED, ErrorBody, failed_response, find_error
from penstock_server.upstream.merging import (
    JsonObject,
    Piece,
    merged_choices,
    merged_deltas,
    pieces_of_choices,
    pieces_of_delta,
)

_FAILED = ErrorBody(message="the upstream failed to generate an answer", code=500)
"""The meaning of the finish reason "error"; vLLM itself then answers with HTTP 500."""

_ORDINARY_ENDS = ("stop", "length", "tool_calls")
_FRAME = frozenset({"id", "object", "created", "model", "choices", "usage"})
"""Keys that events repeat."""
_FRAME_OF_CALL = frozenset({"index", "type"})
_FRAME_OF_CHOICE = frozenset({"index", "delta", "role"})
_CONTENT = frozenset({"text", "message", "logprobs", "token_ids"})
_TERMINAL = frozenset({"completed", "incomplete", "failed"})
_ENDS_SESSION = frozenset(
    {
        "invalid_event",
        "invalid_json",
        "model_not_found",
        "model_not_validated",
        "processing_error",
        "unknown_event",
    }
)
"""Codes of errors after which a live transcription cannot continue."""
_STATES = frozenset({"created", "in_progress", "queued"})
_CONTENT_OF_DELTA = frozenset(
    {
        "audio",
        "content",
        "function_call",
        "reasoning",
        "reasoning_content",
        "refusal",
    }
)


class Contract(Protocol):
    """The contract of a kind of answer, checked event by event."""

    def observe(self, event: JsonObject) -> None:
        """Records the next event, and removes from it what adds nothing.

        An event that adds nothing at all is empty afterwards.

        Raises:
            ContractBroken: the event contradicts the contract.
        """

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""

    @property
    def missing(self) -> str:
        """Description of the missing parts."""

    @property
    def failure(self) -> ErrorBody | None:
        """The error that the last event reported, for streams that report errors in events."""


class StreamContract(Contract, Protocol):
    """The contract of a kind of stream over HTTP."""

    def ended(self) -> None:
        """Records that the upstream sent `[DONE]`."""

    def pieces(self, event: JsonObject) -> Sequence[Piece]:
        """Returns the pieces of texts in an event; none if it has other content."""

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Merges two consecutive events into one; returns None if both are needed."""


class ContractBroken(Exception):
    """The upstream's events contradict the stream contract."""


class ChoiceStream:
    """Follows the events of a chat or completion stream.

    A stream is complete when every choice has finished, no content of a choice followed its finish,
    and usage arrived with the last finish or later. After `[DONE]`, usage that arrived before a
    finish without content counts, too; otherwise `[DONE]` is not required: a connection that closes
    after all this has lost nothing. Later events that add nothing, such as a second finish, are
    ignored. A unary answer counts as one event; it is complete when every choice has finished.

    Attributes:
        failure: why a choice failed, if one did.
    """

    def __init__(self, choices: int) -> None:
        """Creates the contract of a stream with a number of choices."""
        self.failure: ErrorBody | None = None
        self._expected = choices
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._answered = 0  # of the requested ones
        self._usage: Any = None  # that arrived with the last finish or content, or later
        self._counted: Any = None  # usage that arrived with the last content, or later

    def observe(self, event: JsonObject) -> None:
        """Records the next event, and removes from it what adds nothing.

        Raises:
            ContractBroken: content of a choice followed its finish, or its index is unreadable.
        """
        idle: list[Any] | None = None
        for choice in event.get("choices") or ():
            index = choice.get("index") if choice else None
            if type(index) is not int or index not in self._open or choice.get("finish_reason"):
                if not (choice and self._unusual(choice)):
                    if idle is None:
                        idle = []
                    idle.append(choice)
            elif self._counted is not None:
                self._note(choice)
        if idle:
            _remove(idle, event)
        if "usage" in event or self._counted is not None:
            self._count(event)

    def ended(self) -> None:
        """Records that the upstream sent `[DONE]`."""
        self._usage = self._counted

    def _count(self, event: JsonObject) -> None:
        """Counts the usage of an event, or repeats that of an earlier one in it."""
        if (usage := event.get("usage")) is not None:
            self._usage = self._counted = usage
        elif self._counted is not None:
            _repeat_usage(event, self._counted)

    def pieces(self, event: JsonObject) -> Sequence[Piece]:
        """Returns the pieces of texts in an event; none if it has other content."""
        return pieces_of_choices(event)

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Merges two consecutive events into one; returns None if both are needed."""
        return merged_choices(first, second)

    def _unusual(self, choice: JsonObject) -> bool:
        """Records a choice that begins or ends; returns whether it adds anything."""
        index = choice["index"] = _index(choice.get("index"))
        finish_reason = _finish_of(choice)
        if index in self._finished:
            return self._late(choice, index, finish_reason)
        if self._counted is not None:
            self._note(choice)
        if finish_reason:
            self._usage = None
            self.failure = _failure_after(finish_reason, self.failure)
            self._finished.add(index)
            self._answered += index < self._expected
            self._open.discard(index)
        elif _has_content(choice):
            self._open.add(index)
        return True

    def _late(self, choice: JsonObject, index: int, finish_reason: Any) -> bool:
        if _has_content(choice):
            raise ContractBroken(f"choice {index} continued after its finish")
        if not self.complete:
            self.failure = _failure_after(finish_reason, self.failure)
        return _trimmed(choice)

    def _note(self, choice: JsonObject) -> None:
        """Records that earlier usage does not cover the content of a choice."""
        if _has_content(choice):
            self._usage = self._counted = None

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""
        return self._usage is not None and self.whole

    @property
    def missing(self) -> str:
        """Description of the missing parts."""
        if not self.whole:
            return f"{self._answered} of {self._expected} choices finished"
        return "no usage arrived with the last finish or after it"

    @property
    def whole(self) -> bool:
        """Whether every known choice has finished."""
        return not self._open and self._answered >= self._expected


def is_plainly_whole(answer: JsonObject, choices: int) -> bool:
    """Returns whether a unary answer is of the most frequent form: its only choice has ended.

    A `ChoiceStream` decides about all other forms, but costs ten times as much.
    """
    found = answer.get("choices")
    if choices != 1 or type(found) is not list or len(found) != 1:
        return False
    choice = found[0]
    if type(choice) is not dict or type(choice.get("index")) is not int or choice["index"]:
        return False
    return choice.get("finish_reason") in _ORDINARY_ENDS


def _failure_after(finish_reason: str | None, earlier: ErrorBody | None) -> ErrorBody | None:
    """Returns why a generation failed; an error takes precedence over an abort."""
    if finish_reason == "error":
        return _FAILED
    return earlier or (ABORTED if finish_reason == "abort" else None)


def _finish_of(choice: JsonObject) -> Any:
    """Returns the finish reason of a choice; some servers write null as a text.

    Raises:
        TypeError: it is not a text.
    """
    reason = choice.get("finish_reason")
    if reason == "null":
        reason = choice["finish_reason"] = None
    if reason and not isinstance(reason, str):
        raise TypeError("a finish reason that is not a text")
    return reason


def _index(value: Any) -> int:
    """Returns the index of a choice, in any form; 0 if there is none."""
    if type(value) is int and value >= 0:
        return value
    if value is None:
        return 0
    try:
        index = integer(value)
    except (ArithmeticError, TypeError, ValueError):
        index = -1
    if index < 0:
        raise ContractBroken("it has a choice whose index is not a number from 0")
    return index


def _has_content(choice: Mapping[str, Any]) -> bool:
    delta = choice.get("delta") or {}
    return (
        any(_says(delta.get(key)) for key in _CONTENT_OF_DELTA)
        or any(_says(choice.get(key)) for key in _CONTENT)
        or any(map(_adds_to_call, delta.get("tool_calls") or ()))
    )


def _adds_to_call(piece: Mapping[str, Any] | None) -> bool:
    """Returns whether a piece of a call has an id, a name, arguments or anything unknown."""
    rest = [value for key, value in (piece or {}).items() if key not in _FRAME_OF_CALL]
    return any(map(_says, rest))


def _says(value: Any) -> bool:
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _trimmed(choice: JsonObject) -> bool:
    """Removes the end from a choice without content; returns whether anything is left."""
    delta = choice.get("delta") or {}
    delta.pop("tool_calls", None)
    choice.pop("finish_reason", None)
    choice.pop("stop_reason", None)
    left = {**choice, **delta}
    return any(_says(value) for key, value in left.items() if key not in _FRAME_OF_CHOICE)


def _remove(idle: list[Any], event: JsonObject) -> None:
    """Removes choices that add nothing from an event, and everything if the rest adds nothing."""
    removed = set(map(id, idle))
    event["choices"] = [choice for choice in event["choices"] if id(choice) not in removed]
    if event.get("usage") is None and not _has_news(event):
        event.clear()


def _repeat_usage(event: JsonObject, usage: Any) -> None:
    """Adds the usage to an event that follows it, or empties one that adds nothing.

    So the last event always has usage.
    """
    if _has_news(event):
        event["usage"] = usage
    else:
        event.clear()


def _has_news(event: JsonObject) -> bool:
    others = any(value is not None for key, value in event.items() if key not in _FRAME)
    return others or bool(event.get("choices"))


class TranscriptStream:
    """Follows the events of a transcription stream.

    Each part of the audio ends with its own finish reason, and the number of parts is not known. So
    a stream is complete when no part is open and usage has arrived in a separate event after the
    last finish: the upstream sends it once all parts have ended. From an upstream that sends no
    usage, `[DONE]` marks the end.

    Attributes:
        failure: why a part failed, if one did.
    """

    def __init__(self) -> None:
        """Creates the contract of a stream before its first event."""
        self.failure: ErrorBody | None = None
        self._finished = False
        self._open = False
        self._usage: Any = None  # after all parts
        self._ended = False

    def observe(self, event: JsonObject) -> None:
        """Records the next event, and removes from it what adds nothing."""
        choices = event.get("choices") or ()
        idle = [choice for choice in choices if not (choice and self._adds(choice))]
        if idle:
            _remove(idle, event)
        usage = event.get("usage")
        if usage is not None and usage != self._usage:
            self._usage = None if event.get("choices") else usage
        elif self._usage is not None:
            _repeat_usage(event, self._usage)

    def ended(self) -> None:
        """Records that the upstream sent `[DONE]`."""
        self._ended = True

    def pieces(self, event: JsonObject) -> Sequence[Piece]:
        """Returns the pieces of texts in an event; none if it has other content."""
        return pieces_of_choices(event)

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Merges two consecutive events into one; returns None if both are needed."""
        return merged_choices(first, second)

    def _adds(self, choice: JsonObject) -> bool:
        """Records a choice; returns whether it adds anything."""
        finish_reason = _finish_of(choice)
        content = _has_content(choice)
        between = self._finished and not self._open
        if between and not content and (self._usage is not None or not finish_reason):
            return _trimmed(choice)
        self._usage = None
        self.failure = _failure_after(finish_reason, self.failure)
        self._finished = self._finished or bool(finish_reason)
        self._open = not finish_reason and (content or self._open)
        return True

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""
        whole = self._finished and not self._open
        return whole and (self._ended or self._usage is not None)

    @property
    def missing(self) -> str:
        """Description of the missing parts."""
        if self._open or not self._finished:
            return "a part of the audio did not finish" if self._open else "no part finished"
        return "neither usage nor [DONE] followed the last part"


class ResponseEvents:
    """Follows the events of a stream of the Responses API, which has no `[DONE]`.

    A stream is complete when its terminal event has arrived, with usage. A failed response ends
    with a separate event, after which no further events are expected. Events after the terminal
    event that add nothing to the response are dropped.

    Attributes:
        failure: why the response failed, if it did.
    """

    def __init__(self, *, resumable: bool = False) -> None:
        """Creates the contract of a stream before its first event.

        Args:
            resumable: whether the upstream's numbers of the events are needed to resume the
                stream; then no events are merged.
        """
        self.failure: ErrorBody | None = None
        self._resumable = resumable
        self._ended = False

    def observe(self, event: JsonObject) -> None:
        """Records the next event; empties one that follows the terminal event.

        Raises:
            ContractBroken: the response continues after the terminal event, or that event has no
                usage or reports a response that has not ended.
        """
        kind, _, end = str(event.get("type")).partition(".")
        terminal = kind == "response" and end in _TERMINAL
        if self._ended:
            if kind == "response" and not terminal and end not in _STATES:
                raise ContractBroken("it continued after its terminal event")
            event.clear()
        elif terminal:
            self._end(end, event["response"])

    def ended(self) -> None:
        """Records that the upstream sent `[DONE]`, which has no meaning here."""

    def pieces(self, event: JsonObject) -> Sequence[Piece]:
        """Returns the pieces of texts in an event; none if it has other content."""
        return () if self._resumable else pieces_of_delta(event)

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Merges two consecutive events into one; returns None if both are needed."""
        return None if self._resumable else merged_deltas(first, second)

    def _end(self, end: str, response: Mapping[str, Any]) -> None:
        self.failure = failed_response(response)
        if end == "failed":
            self.failure = self.failure or ErrorBody(code="server_error")
        if self.failure:
            return
        # vLLM sends "completed" for incomplete responses, too.
        if response.get("status") in ("in_progress", "queued"):
            raise ContractBroken("the terminal event reports a response that has not ended")
        if response.get("usage") is None:
            raise ContractBroken("the terminal event carries no usage")
        self._ended = True

    @property
    def complete(self) -> bool:
        """Whether everything expected has arrived."""
        return self._ended

    @property
    def missing(self) -> str:
        """Description of the missing parts."""
        return "no terminal event"


class LiveTranscript:
    """Follows the events of a live transcription, which consists of utterances.

    It is complete while no utterance is open: each one that began has ended with its own event.
    An error with one of some codes ends the session, because no such event follows it, or because
    parts of the utterance would become parts of the next one.

    Attributes:
        failure: why the session failed, if it did.
        idle: set while no utterance is open.
    """

    def __init__(self) -> None:
        """Creates the contract of a session before its first event."""
        self.failure: ErrorBody | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    def begin(self) -> None:
        """Records that an utterance begins."""
        self.idle.clear()

    def observe(self, event: JsonObject) -> None:
        """Records the next event; empties one that ends an utterance that is not open."""
        kind = event.get("type")
        if kind == "error":
            code = event.get("code")
            if code is None or code in _ENDS_SESSION:
                param = "model" if code == "model_not_found" else ""
                found = find_error(event) or ErrorBody()
                code = code or "processing_error"
                self.failure = ErrorBody(found.message, param=param, code=code)
        elif kind == "transcription.done":
            if self.complete:
                event.clear()
            self.idle.set()

    @property
    def complete(self) -> bool:
        """Whether every utterance has ended."""
        return self.idle.is_set()

    @property
    def missing(self) -> str:
        """Description of the missing parts."""
        return "an utterance did not end" if not self.complete else "the audio had not ended"
