"""Prompts given as token ids."""

from penstock.v1.common_pb2 import TokenIds
from penstock_server.convert.errors import invalid


def read(tokens: TokenIds, path: str) -> list[int]:
    """Returns the ids.

    Negative ids are refused here because they crash the engine of older vLLMs, which do not check
    them.

    Raises:
        InvalidRequest: an id is negative.
    """
    ids = list(tokens.ids)
    if ids and min(ids) < 0:
        raise invalid(f"{path}.ids", "must not be negative")
    return ids
