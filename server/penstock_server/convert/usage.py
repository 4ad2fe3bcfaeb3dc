"""Token counts and the engine's measurements."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from penstock.v1 import common_pb2
from penstock_server.convert import document, extra
from penstock_server.convert.errors import UNREADABLE
from penstock_server.json_numbers import integer, number

USAGE_KEYS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
"""Keys of OpenAI's usage that have a field."""

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DURATIONS = {
    "time_to_first_token_ms": "time_to_first_token",
    "generation_time_ms": "generation_time",
    "queue_time_ms": "queue_time",
    "mean_itl_ms": "mean_inter_token_latency",
}
_METRIC_KEYS = frozenset({*_DURATIONS, "tokens_per_second", "speculative_decoding"})


def fill_usage(target: common_pb2.Usage, usage: Mapping[str, Any]) -> None:
    """Writes the token counts."""
    try:
        target.prompt_tokens = usage.get("prompt_tokens") or 0
        target.completion_tokens = usage.get("completion_tokens") or 0
        target.total_tokens = usage.get("total_tokens") or 0
    except (TypeError, ValueError):
        for name in _COUNTS:
            extra.fill(target, name, usage, integer)
    extra.keep(target, usage, USAGE_KEYS)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        if details := usage.get(name):
            rest = fill_details(getattr(target, name), details)
            extra.keep(target, {name: rest or None}, frozenset())


def fill_details(
    target: Message, details: Any, renamed: Mapping[str, str] = MappingProxyType({})
) -> Any:
    """Writes the parts of a count; returns those that have no field or cannot be read.

    Args:
        target: the message of the parts.
        details: the upstream's object.
        renamed: names of fields by the upstream's keys, if they differ.
    """
    if not isinstance(details, Mapping):
        return details
    target.SetInParent()
    rest = {}
    for key, value in details.items():
        name = renamed.get(key, key)
        if value is None:
            continue
        try:
            _fill_part(target, name, value)
        except UNREADABLE:
            rest[key] = value
    return rest


def _fill_part(target: Message, name: str, value: Any) -> None:
    if name not in target.DESCRIPTOR.fields_by_name:
        raise LookupError(name)
    if isinstance(value, Mapping):
        getattr(target, name).update({key: integer(count) for key, count in value.items()})
    elif isinstance(value, list):
        getattr(target, name).extend([integer(count) for count in value])
    else:
        setattr(target, name, integer(value))


def fill_metrics(target: common_pb2.RequestMetrics, metrics: Mapping[str, Any]) -> None:
    """Writes the engine's measurements."""
    for key, name in _DURATIONS.items():
        extra.fill_with(target, key, metrics, _milliseconds_into(getattr(target, name)))
    extra.fill(target, "tokens_per_second", metrics, number)
    if speculative := metrics.get("speculative_decoding"):
        target.speculative_decoding.CopyFrom(document.to_document(speculative))
    extra.keep(target, metrics, _METRIC_KEYS)


def _milliseconds_into(target: Duration) -> Callable[[Any], None]:
    return lambda value: target.FromNanoseconds(round(number(value) * 1e6))
