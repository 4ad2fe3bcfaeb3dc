"""LoRA adapters of replicas: loading, unloading, and loading again where one is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock_server.fleet.kept_adapters import Adapter, KeptAdapters
from penstock_server.fleet.model_list import ModelList, models_of
from penstock_server.fleet.model_names import published
from penstock_server.fleet.replica import Replica
from penstock_server.telemetry import events
from penstock_server.upstream import Call, JsonObject, Kind, Stage, UpstreamFailure

_LOAD = "/v1/load_lora_adapter"
_UNLOAD = "/v1/unload_lora_adapter"
_SETTING = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
_RESTORE_LIMIT_S = 60.0
_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Placement:
    """A replica of an adapter's model.

    Attributes:
        upstream: the name of the configured upstream.
        address: host and port, or the path of the socket.
        loaded: whether the replica lists the adapter.
        last_error: why it could not be loaded again; empty if it could, or was not tried.
    """

    upstream: str
    address: str
    loaded: bool
    last_error: str


@dataclass(frozen=True, slots=True)
class AdapterState:
    """An adapter, and the replicas of its model.

    Attributes:
        adapter: the adapter.
        kept: whether replicas must have it.
        placements: the replicas, sorted.
    """

    adapter: Adapter
    kept: bool
    placements: Sequence[Placement]


def states(replicas: Iterable[Replica], kept: Mapping[str, Adapter]) -> Sequence[AdapterState]:
    """Returns the adapters that replicas list or must have, sorted by name."""
    ordered = sorted(replicas, key=lambda one: (one.upstream.name, one.address))
    found = {
        name: Adapter(name, str(entry["parent"]), str(entry.get("root") or ""))
        for replica in reversed(ordered)
        for name, entry in (replica.known.models or {}).items()
        if entry.get("parent")
    }
    return [
        AdapterState(adapter, name in kept, _placements(ordered, adapter))
        for name, adapter in sorted({**found, **kept}.items())
    ]


def _placements(replicas: Iterable[Replica], adapter: Adapter) -> Sequence[Placement]:
    return [
        Placement(
            replica.upstream.name,
            replica.address,
            has_adapter(replica, adapter.name),
            replica.adapters.reason(adapter.name),
        )
        for replica in replicas
        if has_adapter(replica, adapter.name) or adapter.model in (replica.known.models or {})
    ]


def has_adapter(replica: Replica, name: str) -> bool:
    """Returns whether the last model list of a replica contains the adapter of a name."""
    return bool((replica.known.models or {}).get(name, {}).get("parent"))


async def load(replica: Replica, adapter: Adapter, call: Call) -> None:
    """Loads an adapter on a replica, unless it has that adapter from that path.

    Raises:
        UpstreamFailure: it cannot be loaded.
    """
    limit_s = replica.upstream.config.timeouts.first_byte
    async with replica.adapters.changing:
        listing = await models_of(replica.upstream, call, limit_s)
        if _root(listing.entries, adapter.name) != adapter.path:
            await _post_load(replica, adapter, call, limit_s)
            listing = await models_of(replica.upstream, call, limit_s)
        _record(replica, listing)
    replica.adapters.forget_failure(adapter.name)


async def unload(replica: Replica, name: str, call: Call) -> None:
    """Unloads an adapter from a replica, if it has that adapter.

    Raises:
        UpstreamFailure: it cannot be unloaded.
    """
    limit_s = replica.upstream.config.timeouts.first_byte
    async with replica.adapters.changing:
        try:
            await _post(replica, _UNLOAD, {"lora_name": name}, call, limit_s)
        except UpstreamFailure as failure:
            if not failure.model_missing:
                raise
        _record(replica, await models_of(replica.upstream, call, limit_s))
    replica.adapters.forget_failure(name)


async def restore(
    replica: Replica, kept: KeptAdapters, entries: Sequence[JsonObject], call: Call
) -> bool:
    """Loads the adapters that a replica must have and does not list.

    Args:
        replica: the replica.
        kept: the adapters that replicas must have.
        entries: its model list now.
        call: the call of the probe.

    Returns:
        Whether it has loaded any, so that the list has changed.
    """
    if not kept.restores or (replica.known.alive and replica.known.asleep):
        return False
    listed = {entry["id"] for entry in entries}
    missing = [one for one in kept.all().values() if one.name not in listed]
    models = published(entries, replica.upstream.config.models) if missing else {}
    loaded = [
        await _restore(replica, adapter, kept, call)
        for adapter in missing
        if adapter.model in models and _is_due(replica, adapter)
    ]
    return any(loaded)


def _is_due(replica: Replica, adapter: Adapter) -> bool:
    # One that was down may be another server.
    return not replica.known.alive or replica.adapters.may_retry(adapter.name, replica.clock())


async def _restore(replica: Replica, adapter: Adapter, kept: KeptAdapters, call: Call) -> bool:
    """Loads an adapter that a replica lost; returns whether it was loaded."""
    state = replica.adapters
    fields = {
        "upstream": replica.upstream.name,
        "address": replica.address,
        "model": adapter.model,
        "adapter": adapter.name,
    }
    async with state.changing:
        if adapter.name not in kept.all():
            return False
        try:
            await _post_load(replica, adapter, call, _RESTORE_LIMIT_S)
        except UpstreamFailure as failure:
            if state.reason(adapter.name) != failure.message:
                events.ADAPTER_NOT_RESTORED.log(**fields, reason=failure.message)
            state.record_failure(adapter.name, failure.message, replica.clock() + _RETRY_S)
            return False
    state.forget_failure(adapter.name)
    state.restored += 1
    events.ADAPTER_RESTORED.log(**fields)
    return True


def _record(replica: Replica, listing: ModelList) -> None:
    replica.adapters.changes += 1
    replica.record_models(*listing)
    replica.report_change()


def _root(entries: Iterable[JsonObject], name: str) -> object:
    return next((one.get("root") for one in entries if one["id"] == name and one.get("parent")), "")


async def _post_load(replica: Replica, adapter: Adapter, call: Call, limit_s: float) -> None:
    body = {"lora_name": adapter.name, "lora_path": adapter.path}
    await _post(replica, _LOAD, body, call, limit_s)


async def _post(replica: Replica, path: str, body: JsonObject, call: Call, limit_s: float) -> None:
    upstream = replica.upstream
    try:
        await upstream.text("POST", path, call, limit_s, body)
    except UpstreamFailure as failure:
        if not failure.route_missing:
            raise
        raise UpstreamFailure(
            Kind.ROUTE_MISSING,
            f"it has no {path}, which requires vLLM's {_SETTING}",
            Stage.BODY,
            upstream=upstream.name,
            path=path,
        ) from None
