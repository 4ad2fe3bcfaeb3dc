"""Images, audio and video in a prompt, described in words so that tests can check them."""

import base64
import binascii
from collections import Counter
from dataclasses import dataclass

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError

_TOKENS_EACH = 16

_KINDS = {
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "input_audio": "audio",
    "image_embeds": "image",
    "audio_embeds": "audio",
    "video_embeds": "video",
}
"""Modality by the type of a content part."""

PART_TYPES = frozenset(_KINDS)
"""Types of content parts that carry media."""


@dataclass(frozen=True, slots=True)
class Medium:
    """One image, audio or video."""

    modality: str
    description: str


def medium(part: Json) -> Medium:
    """Reads a content part that contains media."""
    kind = part["type"]
    return Medium(_KINDS[kind], _description(kind, part.get(kind)))


def in_words(media: list[Medium]) -> str:
    """Describes the media: "I see 1 image (image/png, 68 bytes)."."""
    groups = []
    for modality, count in Counter(one.modality for one in media).items():
        details = "; ".join(one.description for one in media if one.modality == modality)
        noun = modality if count == 1 or modality == "audio" else f"{modality}s"
        groups.append(f"{count} {noun} ({details})")
    return f"I see {' and '.join(groups)}."


def multimodal_tokens(media: list[Medium]) -> dict[str, int] | None:
    """Returns the number of tokens by modality, as in usage."""
    counts = Counter(one.modality for one in media)
    return {modality: count * _TOKENS_EACH for modality, count in counts.items()} or None


def _description(kind: str, payload: Json) -> str:
    if kind == "input_audio" and isinstance(payload, dict):
        return _sized(f"audio/{payload.get('format')}", str(payload.get("data", "")))
    if kind.endswith("_embeds"):
        return _sized("embedding", payload) if isinstance(payload, str) else "embedding"
    url = payload.get("url", "") if isinstance(payload, dict) else str(payload)
    scheme, _, rest = url.partition(":")
    if scheme != "data":
        return str(url)
    head, _, data = rest.partition(",")
    return _sized(head.partition(";")[0], data)


def _sized(media_type: str, encoded: str) -> str:
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except binascii.Error as error:
        raise ApiError(f"Invalid base64-encoded media: {error}") from None
    return f"{media_type}, {size} bytes"
