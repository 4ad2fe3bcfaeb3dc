"""What there is: the addresses behind a name, and what each replica says of itself."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

from penstock_server.fleet.model_list import ModelList, read
from penstock_server.fleet.replica import Knowledge, Replica
from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.call import Call
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.upstream import Upstream

MODELS_PATH = "/v1/models"

Addresses: TypeAlias = tuple[str, ...]
"""The IP addresses of one server."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host name; raises OSError."""


def probe_call() -> Call:
    """Returns what a request that nobody called for hands on."""
    return Call(request_id=f"probe-{uuid4().hex}")


async def probe(replica: Replica, timeout_s: float) -> None:
    """Asks a replica how it is and what it serves, each within the time."""
    call, upstream = probe_call(), replica.upstream
    try:
        await _require_health(upstream, call, timeout_s)
        if (listing := await _listing(upstream, call, timeout_s)) is not None:
            replica.learn_models(*listing)
        _require_model(replica)
    except UpstreamFailure as failure:
        replica.found_down(failure)
        return
    if not replica.alive or replica.routes_are_old:
        await _ask_for_routes(replica, call, timeout_s)
    replica.found_well()


async def _ask_for_routes(replica: Replica, call: Call, timeout_s: float) -> None:
    document, about = await asyncio.gather(
        _told(replica.upstream, "/openapi.json", call, timeout_s),
        _told(replica.upstream, "/version", call, timeout_s),
    )
    # What comes back may be another server, of which nothing is known yet.
    known = replica.known if replica.alive else Knowledge()
    replica.learn_routes(
        known.paths if document is None else _paths(document),
        known.version if about is None else _version(about),
        complete=document is not None and about is not None,
    )


async def _require_health(upstream: Upstream, call: Call, timeout_s: float) -> None:
    try:
        await upstream.require_health(call, timeout_s)
    except UpstreamFailure as failure:
        # What stands in front of several servers need not have a health of its own.
        if not _is_missing(failure):
            raise


def _is_missing(failure: UpstreamFailure) -> bool:
    """Whether there is no such route, in whatever words: those of an engine need not be vLLM's."""
    return failure.kind is Kind.HTTP_ERROR and failure.status in (404, 405, 501)


async def _listing(upstream: Upstream, call: Call, timeout_s: float) -> ModelList | None:
    """Returns the model list; None if that is for callers only, who have keys of their own."""
    try:
        return await models_of(upstream, call, timeout_s)
    except UpstreamFailure as failure:
        if upstream.config.callers_credentials and failure.status in (401, 403):
            return None
        raise


def _require_model(replica: Replica) -> None:
    if replica.known.models == {}:
        wanted = ", ".join(replica.upstream.config.models.values())
        message = f"it lists none of the models: {wanted}" if wanted else "it lists no model"
        raise UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.BODY)


async def models_of(upstream: Upstream, call: Call, timeout_s: float) -> ModelList:
    """Returns an upstream's model list.

    Raises:
        UpstreamFailure: the list could not be had in time or is malformed.
    """
    listing = read((await upstream.get(MODELS_PATH, call, timeout_s)).get("data"))
    if listing is None:
        message = "malformed upstream answer: a model list without models"
        raise UpstreamFailure(
            Kind.MALFORMED, message, Stage.BODY, upstream=upstream.name, path=MODELS_PATH
        )
    return listing


async def servers(url: str, resolve: Resolve) -> Sequence[Addresses]:
    """Returns the servers that are a replica each, by their addresses.

    A name with several addresses of a family stands for several servers, as a headless Service of
    Kubernetes does. One with an address of each family is one server. What is no such name is one
    server without addresses.

    Raises:
        OSError: the name cannot be resolved.
    """
    host = urlsplit(url).hostname or ""
    if not host or host == "localhost" or host.endswith(".localhost") or _address(host):
        return ((),)
    found = [ip for text in await resolve(host) if (ip := _address(text))]
    families = [sorted({ip for ip in found if ip.version == version}) for version in (4, 6)]
    most = max(families, key=len)
    if len(most) > 1:
        return tuple((str(ip),) for ip in most)
    return (tuple(str(ip) for family in families for ip in family),)


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


async def _told(upstream: Upstream, path: str, call: Call, timeout_s: float) -> JsonObject | None:
    """Returns a document, empty if the upstream does not have it; None if it cannot be had now."""
    try:
        return await upstream.get(path, call, timeout_s)
    except UpstreamFailure as failure:
        return {} if _is_missing(failure) else None


def _paths(document: JsonObject) -> frozenset[str] | None:
    paths = document.get("paths")
    return frozenset(paths) if isinstance(paths, Mapping) else None


def _version(about: JsonObject) -> str:
    version = about.get("version")
    return version if isinstance(version, str) else ""
