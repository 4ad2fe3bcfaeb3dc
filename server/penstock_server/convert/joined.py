"""Requests that are sent upstream together: joins their bodies, and splits the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from penstock.v1.common_pb2 import EngineOptions
from penstock_server.convert import batch

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One request, as a part of a request for several.

    Attributes:
        inputs: its inputs, each of which gets one result.
        rest: everything else, as bytes; only requests whose `rest` is equal can be joined.
    """

    inputs: list[Any]
    rest: bytes

    @property
    def size(self) -> int:
        """The number of inputs."""
        return len(self.inputs)


def part(body: Mapping[str, Any], engine: EngineOptions) -> Part | None:
    """Returns the JSON of a request as a part; None if it must be sent alone.

    Conversations are sent alone, because not every vLLM accepts several.

    Args:
        body: the JSON.
        engine: the engine options, some of which are headers.
    """
    inputs = body.get("input")
    if not isinstance(inputs, list) or not inputs:
        return None
    kind = "text" if isinstance(inputs[0], str) else "ids"
    rest = {key: value for key, value in body.items() if key != "input"}
    written = orjson.dumps((kind, rest), option=orjson.OPT_SORT_KEYS)
    return Part(inputs, written + engine.SerializeToString(deterministic=True))


def joined(body: Mapping[str, Any], parts: Sequence[Part]) -> JsonObject:
    """Returns the request for all parts, in their order.

    Args:
        body: the JSON of any of the requests.
        parts: the parts.
    """
    return {**body, "input": [one for part in parts for one in part.inputs]}


def split(answer: Mapping[str, Any], parts: Sequence[Part]) -> list[JsonObject]:
    """Returns the answer to each part; the first one has the token counts of all.

    Raises:
        MalformedAnswer: a result is missing, duplicated or belongs to no input.
    """
    results = batch.in_order(answer.get("data"), sum(part.size for part in parts))
    answers, start = [], 0
    for part in parts:
        own = results[start : start + part.size]
        start += part.size
        data = [{**result, "index": index} for index, result in enumerate(own)]
        answers.append({**answer, "data": data})
    for later in answers[1:]:
        later.pop("usage", None)
    return answers
