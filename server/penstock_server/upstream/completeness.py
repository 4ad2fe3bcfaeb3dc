"""The one place that decides whether an answer is complete: a stream, or choices in one piece."""

from collections.abc import Mapping
from typing import Any, Protocol

from penstock_server.upstream.failure import ABORTED, ErrorBody, failed_response
from penstock_server.upstream.merging import JsonObject, merged_text

_FAILED = ErrorBody(message="the upstream failed to generate an answer", code=500)
"""What the finish reason "error" stands for; vLLM itself answers HTTP 500 then."""


class StreamContract(Protocol):
    """What a kind of stream promises, followed event by event."""

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account.

        Raises:
            ContractBroken: the event contradicts the contract.
        """

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Returns one event in place of two that follow each other; None if both are needed."""

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""

    @property
    def failure(self) -> ErrorBody | None:
        """The error that the last event told of, for streams that tell it in their events."""


class ContractBroken(Exception):
    """The upstream's events contradict the stream contract."""


class ChoiceStream:
    """Follows the events of a chat or completion stream.

    A stream is complete when every choice has had exactly one finish reason, nothing of a
    choice came after its finish, and the last event carried usage. `[DONE]` is not required:
    a connection that closes after all this has lost nothing. An answer in one piece counts as
    one event; it is whole when every choice has finished.

    Attributes:
        failure: why a choice failed, if one did.
    """

    def __init__(self, choices: int) -> None:
        """Takes the number of choices that the request asks for."""
        self.failure: ErrorBody | None = None
        self._expected = choices
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._answered = 0  # of those that were asked for
        self._usage_last = False

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account.

        Raises:
            ContractBroken: something of a choice came after its finish, or it is no choice.
        """
        for choice in event.get("choices") or ():
            self._choice(choice.get("index") or 0, choice.get("finish_reason"))
        self._usage_last = event.get("usage") is not None

    def merged(self, first: JsonObject, second: JsonObject) -> JsonObject | None:
        """Returns an event with the text of two."""
        return merged_text(first, second)

    def _choice(self, index: int, finish_reason: str | None) -> None:
        if index < 0:
            raise ContractBroken(f"it has a choice {index}")
        if index in self._finished:
            raise ContractBroken(f"choice {index} went on after its finish")
        if finish_reason:
            self.failure = _failure_after(finish_reason, self.failure)
            self._finished.add(index)
            self._answered += index < self._expected
            self._open.discard(index)
        else:
            self._open.add(index)

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""
        return self.whole and self._usage_last

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""
        if not self.whole:
            return f"{self._answered} of {self._expected} choices finished"
        return "the last event carries no usage"

    @property
    def whole(self) -> bool:
        """Whether every choice has finished, as far as they are known."""
        return not self._open and self._answered >= self._expected


def _failure_after(finish_reason: str | None, earlier: ErrorBody | None) -> ErrorBody | None:
    """Returns why a generation failed: an error, rather than that it was aborted."""
    if finish_reason == "error":
        return _FAILED
    return earlier or (ABORTED if finish_reason == "abort" else None)


class TranscriptStream:
    """Follows the events of a transcription stream.

    Each part of the audio ends with a finish reason of its own, and nothing tells how many
    parts there are. So a stream is complete when no part is open and the last event carried
    usage and nothing else: the upstream sends it once all parts have ended.

    Attributes:
        failure: why a part failed, if one did.
    """

    def __init__(self) -> None:
        """Starts before the first event."""
        self.failure: ErrorBody | None = None
        self._finished = False
        self._open = False
        self._usage_last = False

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account."""
        choices = event.get("choices") or ()
        for choice in choices:
            finish_reason = choice.get("finish_reason")
            self.failure = _failure_after(finish_reason, self.failure)
            self._open = not finish_reason
            self._finished = self._finished or not self._open
        self._usage_last = event.get("usage") is not None and not choices

    def merged(self, first: JsonObject, second: JsonObject) -> None:
        """Returns None: each event is needed."""

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""
        return self._finished and not self._open and self._usage_last

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""
        if self._open or not self._finished:
            return "a part of the audio did not finish" if self._open else "no part finished"
        return "the last event is not the usage"


class ResponseEvents:
    """Follows the events of a stream of the Responses API, which has no `[DONE]`.

    A stream is complete when its terminal event has arrived, with usage. A response that failed
    says so in an event of its own, after which nothing more is to be expected either.

    Attributes:
        failure: why the response failed, if it did.
    """

    def __init__(self) -> None:
        """Starts before the first event."""
        self.failure: ErrorBody | None = None
        self._ended = False

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account.

        Raises:
            ContractBroken: it comes after the terminal event, or that has no usage or tells of a
                response that has not ended.
        """
        if self.complete:
            raise ContractBroken("it went on after its terminal event")
        kind, _, end = str(event.get("type")).partition(".")
        if kind != "response" or end not in ("completed", "incomplete", "failed"):
            return
        response = event["response"]
        self.failure = failed_response(response)
        if end == "failed":
            self.failure = self.failure or ErrorBody(code="server_error")
        elif not self.failure:
            self._end(response)

    def merged(self, first: JsonObject, second: JsonObject) -> None:
        """Returns None: each event is needed."""

    def _end(self, response: Mapping[str, Any]) -> None:
        # vLLM tells by "completed" of incomplete responses as well.
        if response.get("status") in ("in_progress", "queued"):
            raise ContractBroken("the terminal event tells of a response that has not ended")
        if response.get("usage") is None:
            raise ContractBroken("the terminal event carries no usage")
        self._ended = True

    @property
    def complete(self) -> bool:
        """Whether everything that is to be expected has arrived."""
        return self._ended

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""
        return "no terminal event"
