"""The result of one item of a stream of requests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from penstock import errors
from penstock.v1.common_pb2 import Usage

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class ItemResult(Generic[A]):
    """The result of one item of a stream: an answer or an error.

    Attributes:
        proto: the result as received.
        build: builds the answer from the response.
    """

    proto: Any
    build: Callable[[Any], A]

    @property
    def key(self) -> str:
        """Key of the item."""
        return str(self.proto.key)

    @property
    def error(self) -> errors.CallError | None:
        """The error that a call of the item's own would have raised; None if it succeeded."""
        if not self.proto.HasField("error"):
            return None
        return errors.from_item(self.proto.error, "")

    @property
    def answer(self) -> A:
        """The answer, as a call of the item's own returns it.

        Raises:
            CallError: the item failed.
        """
        if error := self.error:
            raise error
        return self.build(self.proto.response)

    @property
    def usage(self) -> Usage:
        """Tokens used; if items were sent upstream together, one of them has the tokens of all."""
        for message, name in ((self.proto, "shared_usage"), (self.proto.response, "usage")):
            # Not every kind of item has token counts.
            if name in message.DESCRIPTOR.fields_by_name and message.HasField(name):
                usage: Usage = getattr(message, name)
                return usage
        return Usage()
