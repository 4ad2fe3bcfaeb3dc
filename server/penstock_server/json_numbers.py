"""Numbers in JSON as upstreams write them: 5, 5.0 and "5" are the same number."""

from collections.abc import Mapping
from math import nan
from typing import Any


def integer(value: Any) -> int:
    """Returns an integer that is written as an integer, a float or a string.

    Raises:
        ValueError: the value is not an integer.
    """
    if type(value) is int:
        return value
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, bool) or value != value // 1:
        raise ValueError("not an integer")
    return int(value)


def number(value: Any) -> float:
    """Returns a number; null, which represents values that JSON does not support, is NaN.

    Raises:
        ValueError: the value is not a number.
    """
    if type(value) is float:
        return value
    if value is None:
        return nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    return float(value)


def position(item: Mapping[str, Any], otherwise: int) -> int:
    """Returns the `index` of an item, or `otherwise` if the item has none.

    Raises:
        ValueError: the index is not an integer.
    """
    index = item.get("index")
    return otherwise if index is None else integer(index)


def _from_text(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
