"""Answers to several inputs: one result for each input, in the order of the inputs."""

from collections.abc import Mapping
from typing import Any

from penstock_server.convert.errors import UNREADABLE, MalformedAnswer
from penstock_server.json_numbers import integer


def in_order(results: Any, inputs: int) -> list[Mapping[str, Any]]:
    """Returns the results in the order of the inputs.

    Args:
        results: the upstream's list; either each result names its input in `index`, or none does.
        inputs: number of inputs in the request.

    Raises:
        MalformedAnswer: a result is missing, duplicated or belongs to no input.
    """
    if _has_no_index(results) and len(results) == inputs:
        return list(results)
    found = by_index(results, inputs)
    for index in range(inputs):
        if index not in found:
            raise MalformedAnswer(f"{len(found)} results for {inputs} inputs, none for {index}")
    return [found[index] for index in range(inputs)]


def by_index(results: Any, inputs: int) -> dict[int, Mapping[str, Any]]:
    """Returns the results by the position of their input, in the upstream's order.

    Raises:
        MalformedAnswer: a result is duplicated or belongs to no input.
    """
    if not isinstance(results, list):
        raise MalformedAnswer("it has no list of results")
    found: dict[int, Mapping[str, Any]] = {}
    for number, result in enumerate(results):
        index = _index(result, number, inputs)
        if index in found:
            raise MalformedAnswer(f"it has two results for input {index}")
        found[index] = result
    return found


def _has_no_index(results: Any) -> bool:
    return isinstance(results, list) and all(
        isinstance(result, dict) and result.get("index") is None for result in results
    )


def _integer(index: Any, number: int) -> int:
    try:
        return integer(index)
    except UNREADABLE:
        raise MalformedAnswer(f"result {number} has no integer index") from None


def _index(result: Any, number: int, inputs: int) -> int:
    if not isinstance(result, dict):
        raise MalformedAnswer(f"result {number} is not an object")
    index = result.get("index")
    if type(index) is not int:
        index = _integer(index, number)
    if not 0 <= index < inputs:
        raise MalformedAnswer(
            f"result {number} has index {index}, out of range for {inputs} inputs"
        )
    return index
