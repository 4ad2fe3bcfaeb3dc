"""Request metadata: the part that is sent upstream, and its agreement with the request."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.v1.common_pb2 import EngineOptions, StreamOptions
from penstock_server.convert.errors import InvalidRequest, Violation, invalid
from penstock_server.rpc import status
from penstock_server.rpc.calls.context import Rpc, fits_header
from penstock_server.upstream import LONGEST_WINDOW_S, Call

_HEADER_LIMIT = 1024
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def upstream_call(
    rpc: Rpc,
    model: str,
    engine: EngineOptions,
    parent: str = "",
    stream: StreamOptions | None = None,
) -> Call:
    """Returns the upstream call of an RPC; checks that the caller may use the model.

    Args:
        rpc: the call.
        model: the model that the request names.
        engine: the request's engine options.
        parent: the prefix of these in field paths.
        stream: the request's options of a stream; None for a unary answer.

    Raises:
        status.Refusal: MODEL_FORBIDDEN, even if there is no such model.
        InvalidRequest: a metadata key is invalid or contradicts its request field, or an option of
            the stream is invalid.
    """
    rpc.model = model
    if model and not rpc.may_use(model):
        raise status.Refusal(status.of_forbidden(model))
    options: dict[str, Any] = {"request_id": rpc.request_id}
    if has_keys := not rpc.metadata.keys().isdisjoint(_KEYS):
        _require_same(f"{parent}model", model, rpc.text("x-llm-model"), "x-llm-model")
        options |= _given_in_metadata(rpc)
    if engine.ByteSize():
        options |= _given_in_request(engine, options, f"{parent}engine")
    if has_keys and "session_id" not in options:
        options["session_id"] = _other_session(rpc)
    if stream is not None and stream.HasField("merge_deltas_within"):
        options["merge_within_s"] = _window(stream, f"{parent}stream_options.merge_deltas_within")
    if rpc.propagated:
        options["traceparent"], options["tracestate"] = rpc.propagated
    return Call(
        model=model,
        authorization=rpc.authorization,
        deadline=rpc.deadline,
        may_use=rpc.may_use,
        attempts=rpc.attempts,
        observer=rpc.observer,
        **options,
    )


def _given_in_metadata(rpc: Rpc) -> dict[str, Any]:
    """Returns the attributes of a `Call` from the metadata."""
    return {
        name: read(f"metadata {key}", text)
        for key, (name, read) in _READERS.items()
        if isinstance(text := rpc.metadata.get(key), str) and text
    }


def _other_session(rpc: Rpc) -> str:
    """Returns the session that metadata of other gateways names."""
    found = ((key, rpc.text(key)) for key in _OTHER_SESSIONS)
    return next((_header(f"metadata {key}", text) for key, text in found if text), "")


def _given_in_request(
    engine: EngineOptions, metadata: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """Returns the attributes of a `Call` from the engine options; metadata must agree."""
    given: dict[str, Any] = {}
    if engine.request_id:
        given["request_id"] = _header(f"{path}.request_id", engine.request_id)
    if engine.session_id:
        given["session_id"] = _header(f"{path}.session_id", engine.session_id)
    if engine.HasField("priority"):
        given["priority"] = engine.priority
    if engine.HasField("data_parallel_rank"):
        given["data_parallel_rank"] = engine.data_parallel_rank
    for key, (name, _) in _READERS.items():
        if name in given:
            _require_same(f"{path}.{name}", given[name], metadata.get(name), key)
    return given


def _window(stream: StreamOptions, field: str) -> float:
    window = stream.merge_deltas_within
    seconds = window.seconds + window.nanos / 1e9
    if not 0 <= seconds <= LONGEST_WINDOW_S:
        raise invalid(field, f"must be from 0 to {LONGEST_WINDOW_S} seconds")
    return seconds


def _require_same(field: str, value: str | int, given: str | int | None, key: str) -> None:
    """Checks that metadata, if given, agrees with a field, if set."""
    if value != "" and given not in (None, "", value):
        violation = Violation(field, f"contradicts the metadata {key}")
        raise InvalidRequest(violation, conflicting=True)


def _header(field: str, value: str) -> str:
    if len(value) > _HEADER_LIMIT:
        raise invalid(field, f"must not be longer than {_HEADER_LIMIT} characters")
    if not fits_header(value):
        raise invalid(field, "must be printable ASCII, with no space around it")
    return value


def _integer(field: str, value: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise invalid(field, "must be a decimal integer of at most 18 digits")
    return int(value)


_READERS: Mapping[str, tuple[str, Callable[[str, str], str | int]]] = {
    "traceparent": ("traceparent", _header),
    "tracestate": ("tracestate", _header),
    "x-session-id": ("session_id", _header),
    "x-vllm-priority": ("priority", _integer),
    "x-data-parallel-rank": ("data_parallel_rank", _integer),
    "x-gateway-inference-objective": ("objective", _header),
    "x-gateway-inference-fairness-id": ("fairness_id", _header),
}
"""Metadata keys, each with the attribute of a `Call` that it sets."""

_OTHER_SESSIONS = ("x-session-affinity", "x-multi-turn-session-id")
"""Metadata keys that name the session if `x-session-id` and the request do not, in this order."""

_KEYS = frozenset((*_READERS, *_OTHER_SESSIONS, "x-llm-model"))
