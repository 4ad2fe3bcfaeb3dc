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
        inputs: its inputs, by their keys; all lists have the same length, and the inputs at each
            position get one result.
        rest: everything else, as bytes; only requests whose `rest` is equal can be joined.
    """

    inputs: Mapping[str, list[Any]]
    rest: bytes

    @property
    def size(self) -> int:
        """The number of results."""
        return len(next(iter(self.inputs.values())))


def inputs(body: Mapping[str, Any], engine: EngineOptions) -> Part | None:
    """Returns the JSON of a request with `input` as a part; None if it must be sent alone.

    Conversations are sent alone, because not every vLLM accepts several.

    Args:
        body: the JSON.
        engine: the engine options, some of which are headers.
    """
    given = body.get("input")
    if not isinstance(given, list) or not given:
        return None
    return _part(body, engine, "text" if isinstance(given[0], str) else "ids", input=given)


def pairs(body: Mapping[str, Any], engine: EngineOptions) -> Part | None:
    """Returns the JSON of a request for scores as a part; None if it must be sent alone.

    Several documents for one query are sent alone: some models, such as JinaForRanking, read them
    together, so that their scores are not those of the single pairs.

    Args:
        body: the JSON.
        engine: the engine options, some of which are headers.
    """
    queries, documents = body["text_1"], body["text_2"]
    if isinstance(queries, str):
        queries = [queries]
    paired = isinstance(queries, list) and len(queries) == len(documents)
    if not paired or not all(isinstance(text, str) for text in (*queries, *documents)):
        return None
    return _part(body, engine, "text", text_1=queries, text_2=documents)


def _part(body: Mapping[str, Any], engine: EngineOptions, kind: str, **inputs: list[Any]) -> Part:
    rest = {key: value for key, value in body.items() if key not in inputs}
    written = orjson.dumps((kind, rest), option=orjson.OPT_SORT_KEYS)
    return Part(inputs, written + engine.SerializeToString(deterministic=True))


def joined(body: Mapping[str, Any], parts: Sequence[Part]) -> Mapping[str, Any]:
    """Returns the request for all parts, in their order.

    Args:
        body: the JSON of the request that is the first part.
        parts: the parts.
    """
    if len(parts) == 1:
        return body
    return {
        **body,
        **{key: [one for part in parts for one in part.inputs[key]] for key in parts[0].inputs},
    }


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
