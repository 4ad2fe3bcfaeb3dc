"""Multimodal inputs of prompts that are token ids."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from penstock.v1.generation_pb2 import (
    ModalityFeatures,
    MultimodalFeatures,
    PlaceholderRange,
    PlaceholderRanges,
    PromptMedia,
)
from penstock_server.base64_text import LongBase64, base64_text
from penstock_server.convert import message
from penstock_server.convert.errors import invalid
from penstock_server.json_numbers import integer

_TENSORS = {"kwargs_data": "kwargs_data", "metadata": "mm_metadata"}
"""vLLM's keys for lists of tensors, by our field."""


def features(given: MultimodalFeatures, path: str) -> dict[str, Any]:
    """Returns vLLM's `features`.

    Raises:
        InvalidRequest: lists of one modality differ in length.
    """
    modalities = dict(given.modalities)
    for name, one in modalities.items():
        _require_parallel(one, f"{path}.modalities[{name}]")
    body: dict[str, Any] = {
        "mm_hashes": {name: list(one.hashes) for name, one in modalities.items()},
        "mm_placeholders": {
            name: [{"offset": place.offset, "length": place.length} for place in one.placeholders]
            for name, one in modalities.items()
        },
    }
    for field, key in _TENSORS.items():
        if any(getattr(one, field) for one in modalities.values()):
            body[key] = {
                name: _tensors(getattr(one, field), len(one.hashes))
                for name, one in modalities.items()
            }
    return body


def parts(media: Iterable[PromptMedia], path: str) -> list[dict[str, Any]]:
    """Returns vLLM's `content_parts`.

    Raises:
        InvalidRequest: an input is missing or faulty.
    """
    return [_part(one, f"{path}[{i}]") for i, one in enumerate(media)]


def placeholders_into(target: Any) -> Callable[[Any], None]:
    """Returns a function that writes the placeholders of an answer.

    Args:
        target: the map of the message.
    """

    def write(data: Mapping[str, Any]) -> None:
        read = {name: _ranges(places) for name, places in data.items()}
        for name, ranges in read.items():
            target[name].CopyFrom(ranges)

    return write


def _require_parallel(one: ModalityFeatures, path: str) -> None:
    wanted = len(one.hashes)
    if not wanted:
        raise invalid(f"{path}.hashes", "must contain a hash for each input")
    if len(one.placeholders) != wanted:
        raise invalid(f"{path}.placeholders", f"must have {wanted} entries, as hashes has")
    for field in _TENSORS:
        if len(getattr(one, field)) not in (0, wanted):
            raise invalid(f"{path}.{field}", f"must be empty or have {wanted} entries")


def _tensors(given: Sequence[bytes], inputs: int) -> list[str | LongBase64 | None]:
    return [base64_text(data) if data else None for data in given] or [None] * inputs


def _part(one: PromptMedia, path: str) -> dict[str, Any]:
    kind = one.WhichOneof("media")
    if kind is None:
        raise invalid(path, "set image, audio or video")
    media = getattr(one, kind)
    if media.detail:
        raise invalid(f"{path}.{kind}.detail", "does not apply to this RPC")
    url = message.media_url(media, f"{path}.{kind}", one.uuid)
    body = {"type": f"{kind}_url", "url": url}
    return body | ({"uuid": one.uuid} if one.uuid else {})


def _ranges(places: Iterable[Mapping[str, Any]]) -> PlaceholderRanges:
    ranges = [
        PlaceholderRange(offset=integer(place["offset"]), length=integer(place["length"]))
        for place in places
    ]
    return PlaceholderRanges(ranges=ranges)
