"""Inputs and options of calls to pooling models."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from penstock._base.option_docs import documented
from penstock._base.options import PoolingOptions, TemplateOption, UserOptions
from penstock.messages import MessageLike, conversation
from penstock.v1.common_pb2 import TokenIds
from penstock.v1.message_pb2 import ChatInput, PoolingInput

InputLike: TypeAlias = MessageLike | PoolingInput | Sequence[int] | Sequence[MessageLike]
"""A text, its token ids, a message, or a conversation."""

Inputs: TypeAlias = InputLike | Sequence[InputLike]
"""One input, or several of one kind. Each message in a list of messages is its own input."""


@documented
class InputOptions(UserOptions, PoolingOptions, TemplateOption, total=False):
    """Options of calls to pooling models; see `penstock/v1/common.proto`."""


def as_inputs(given: Any) -> list[PoolingInput]:
    """Returns the inputs of a request.

    Raises:
        TypeError: an item is not a valid input.
    """
    alone = not isinstance(given, Iterable) or isinstance(given, str | Mapping)
    if alone or _is_ids(given):
        return [_as_input(given)]
    return [_as_input(one) for one in given]


def _as_input(given: Any) -> PoolingInput:
    if isinstance(given, PoolingInput):
        return given
    if isinstance(given, str):
        return PoolingInput(text=given)
    if _is_ids(given):
        return PoolingInput(token_ids=TokenIds(ids=given))
    return PoolingInput(chat=ChatInput(messages=conversation(given)))


def _is_ids(given: Any) -> bool:
    return bool(given) and isinstance(given, Sequence) and isinstance(given[0], int)
