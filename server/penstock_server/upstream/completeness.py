"""The one place that decides whether a stream is complete."""

from collections.abc import Mapping
from typing import Any, Protocol


class StreamContract(Protocol):
    """What a kind of stream promises, followed event by event."""

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account.

        Raises:
            ContractBroken: the event contradicts the contract.
        """

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""


class ContractBroken(Exception):
    """The upstream's events contradict the stream contract."""


class ChoiceStream:
    """Follows the events of a chat or completion stream.

    A stream is complete when every choice has had exactly one finish reason, nothing of a
    choice came after its finish, and the last event carried usage. `[DONE]` is not required:
    a connection that closes after all this has lost nothing.
    """

    def __init__(self, choices: int) -> None:
        """Takes the number of choices that the request asks for."""
        self._expected = choices
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._usage_last = False

    def observe(self, event: Mapping[str, Any]) -> None:
        """Takes the next event into account.

        Raises:
            ContractBroken: something of a choice came after its finish.
        """
        for choice in event.get("choices") or ():
            self._choice(choice.get("index") or 0, choice.get("finish_reason"))
        self._usage_last = event.get("usage") is not None

    def _choice(self, index: int, finish_reason: str | None) -> None:
        if index in self._finished:
            raise ContractBroken(f"choice {index} went on after its finish")
        if finish_reason:
            self._finished.add(index)
            self._open.discard(index)
        else:
            self._open.add(index)

    @property
    def complete(self) -> bool:
        """Whether everything promised has arrived."""
        return self._all_finished and self._usage_last

    @property
    def missing(self) -> str:
        """What has not arrived, in words."""
        if not self._all_finished:
            return f"{len(self._finished)} of {self._expected} choices finished"
        return "the last event carries no usage"

    @property
    def _all_finished(self) -> bool:
        return not self._open and len(self._finished) >= self._expected
