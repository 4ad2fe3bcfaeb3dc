"""Reading of the model list of an upstream, and its oddities."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from penstock_server.upstream import Call, JsonObject, Kind, Stage, UpstreamFailure
from penstock_server.upstream.client import Upstream

_PATH = "/v1/models"

_KINDS: dict[str, type] = {
    "created": int,
    "max_model_len": int,
    "owned_by": str,
    "root": str,
    "parent": str,
}
_MOST_ODD = 5
_LONGEST_SHOWN = 40


class ModelList(NamedTuple):
    """A model list.

    Attributes:
        entries: the entries of the models; each has an `id`.
        oddities: description of oddities in the list, in one line; empty without any.
    """

    entries: list[JsonObject]
    oddities: str = ""


async def models_of(upstream: Upstream, call: Call, timeout_s: float) -> ModelList:
    """Returns an upstream's model list.

    Raises:
        UpstreamFailure: there was no list in time, or it is malformed.
    """
    listing = read((await upstream.get(_PATH, call, timeout_s)).get("data"))
    if listing is None:
        message = "malformed upstream answer: a model list without models"
        raise UpstreamFailure(
            Kind.MALFORMED, message, Stage.BODY, upstream=upstream.name, path=_PATH
        )
    return listing


def read(data: Any) -> ModelList | None:
    """Reads a list of entries; returns None if it is not a list, or contains no model.

    Entries that do not belong to models are omitted and do not affect others.
    """
    if not isinstance(data, list):
        return None
    entries = [entry for entry in data if _is_model(entry)]
    if data and not entries:
        return None
    odd = [*_not_models(data), *(what for entry in entries for what in _odd_values(entry))]
    more = f"; and {len(odd) - _MOST_ODD} more" if len(odd) > _MOST_ODD else ""
    return ModelList(entries, "; ".join(odd[:_MOST_ODD]) + more)


def _is_model(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and bool(entry["id"])


def _not_models(data: list[Any]) -> Iterator[str]:
    for position, entry in enumerate(data):
        if not _is_model(entry):
            yield f"entry {position} was skipped: it has no id"


def _odd_values(entry: JsonObject) -> Iterator[str]:
    for key, kind in _KINDS.items():
        value = entry.get(key)
        if value is not None and type(value) is not kind:
            yield f"{entry['id'][:_LONGEST_SHOWN]}: {key} is {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
