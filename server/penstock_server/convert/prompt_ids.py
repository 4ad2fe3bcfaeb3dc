"""Prompts given as token ids."""

from collections.abc import Iterable

from penstock.v1.common_pb2 import TokenIds
from penstock_server.convert.errors import invalid


def read(tokens: TokenIds, path: str) -> list[int]:
    """Returns the ids.

    Raises:
        InvalidRequest: an id is negative.
    """
    return checked(tokens.ids, f"{path}.ids")


def checked(token_ids: Iterable[int], path: str) -> list[int]:
    """Returns token ids as a list.

    Negative ids are refused here because they crash the engine of older vLLMs, which do not check
    them.

    Raises:
        InvalidRequest: an id is negative.
    """
    ids = list(token_ids)
    if ids and min(ids) < 0:
        raise invalid(path, "must not be negative")
    return ids
