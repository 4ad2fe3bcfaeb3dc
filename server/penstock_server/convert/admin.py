"""Requests of AdminService to engines."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from penstock.v1 import admin_pb2
from penstock.v1.admin_pb2 import (
    EngineCache,
    LoadAdapterRequest,
    ResetCachesRequest,
    SleepMode,
    SleepRequest,
    UnloadAdapterRequest,
)
from penstock_server.convert.errors import invalid

_DEEPEST = 2
_DEFAULT_LEVEL = 1

_MODES: Mapping[SleepMode.ValueType, str] = {
    admin_pb2.SLEEP_MODE_UNSPECIFIED: "abort",
    admin_pb2.SLEEP_MODE_ABORT: "abort",
    admin_pb2.SLEEP_MODE_WAIT: "wait",
    admin_pb2.SLEEP_MODE_KEEP: "keep",
}
_CACHES: Mapping[EngineCache.ValueType, str] = {
    admin_pb2.ENGINE_CACHE_PREFIX: "/reset_prefix_cache",
    admin_pb2.ENGINE_CACHE_MULTIMODAL: "/reset_mm_cache",
    admin_pb2.ENGINE_CACHE_ENCODER: "/reset_encoder_cache",
}

_Value = TypeVar("_Value", SleepMode.ValueType, EngineCache.ValueType)


def upstreams(named: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """Returns the names of upstreams in a request.

    Raises:
        InvalidRequest: there are none, or one is not known.
    """
    _require_any(named, "upstreams", known)
    for number, name in enumerate(named):
        if name not in known:
            raise invalid(
                f"upstreams[{number}]",
                f"{name!r} is not the name of an upstream; valid names: {_joined(known)}",
            )
    return named


def level(request: SleepRequest) -> int:
    """Returns how deeply to sleep.

    Raises:
        InvalidRequest: there is no such level.
    """
    given = request.level if request.HasField("level") else _DEFAULT_LEVEL
    if not 0 <= given <= _DEEPEST:
        raise invalid("level", f"must be from 0 to {_DEEPEST}, not {given}")
    return given


def mode(request: SleepRequest) -> str:
    """Returns vLLM's word for how to treat running calls.

    Raises:
        InvalidRequest: the mode is unknown.
    """
    return _word(_MODES, request.mode, "mode", SleepMode.keys())


def cache_routes(request: ResetCachesRequest) -> Sequence[str]:
    """Returns the routes that empty the caches.

    Raises:
        InvalidRequest: there are none, or one is unknown.
    """
    names = [name for name, value in EngineCache.items() if value in _CACHES]
    _require_any(request.caches, "caches", names)
    return [
        _word(_CACHES, cache, f"caches[{number}]", names)
        for number, cache in enumerate(request.caches)
    ]


def require_texts(request: LoadAdapterRequest | UnloadAdapterRequest) -> None:
    """Checks that no field of a request about an adapter is empty.

    Raises:
        InvalidRequest: one is empty.
    """
    for field in request.DESCRIPTOR.fields:
        if not getattr(request, field.name):
            raise invalid(field.name, "must not be empty")


def require_base(model: str, base: str) -> None:
    """Checks that a model is not an adapter.

    Raises:
        InvalidRequest: it has a base model.
    """
    if base:
        raise invalid("model", f"{model} is an adapter; name its base model {base}")


def require_free(name: str, *, taken: bool) -> None:
    """Checks that the name of an adapter is not in use.

    Raises:
        InvalidRequest: it is.
    """
    if taken:
        raise invalid("name", f"{name} is already the name of another model")


def _require_any(given: Sequence[object], field: str, valid: Iterable[str]) -> None:
    if not given:
        raise invalid(field, f"must not be empty; valid values: {_joined(valid)}")


def _word(words: Mapping[_Value, str], value: _Value, field: str, valid: Iterable[str]) -> str:
    if value not in words:
        raise invalid(field, f"{value} is not valid; valid values: {_joined(valid)}")
    return words[value]


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)
