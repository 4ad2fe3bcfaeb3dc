"""Requests of operators to the engines of upstreams."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from penstock_server.fleet.replica import Replica
from penstock_server.fleet.sleep import development_request
from penstock_server.upstream import Call, Kind, Stage, UpstreamFailure

_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request to one replica.

    Attributes:
        upstream: the name of the configured upstream.
        address: host and port, or the path of the socket.
        failure: the failure; None if it succeeded.
        asleep: whether its engine is asleep afterwards, to our knowledge.
    """

    upstream: str
    address: str
    failure: UpstreamFailure | None
    asleep: bool


async def on_each(
    replicas: Iterable[Replica], act: Callable[[Replica], Awaitable[None]]
) -> Sequence[Outcome]:
    """Acts on each replica at the same time; returns the outcomes, sorted."""
    ordered = sorted(replicas, key=lambda one: (one.upstream.name, one.address))
    return await asyncio.gather(*(_outcome(replica, act) for replica in ordered))


async def _outcome(replica: Replica, act: Callable[[Replica], Awaitable[None]]) -> Outcome:
    failure = None
    try:
        await act(replica)
    except UpstreamFailure as raised:
        failure = raised
    return Outcome(replica.upstream.name, replica.address, failure, replica.known.asleep)


async def reset_caches(replica: Replica, call: Call, routes: Sequence[str]) -> None:
    """Requests the routes that empty caches, one after the other.

    Raises:
        UpstreamFailure: one of them fails, or reports that the cache is in use.
    """
    for route in routes:
        if _refuses(await development_request(replica, route, call)):
            raise UpstreamFailure(
                Kind.HTTP_ERROR,
                f"{route}: the cache is in use",
                Stage.BODY,
                upstream=replica.upstream.name,
                path=route,
                status=_CONFLICT,
            )


def _refuses(answer: str) -> bool:
    """Returns whether an answer reports that nothing was done; those of older vLLMs are empty."""
    try:
        document = json.loads(answer)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("success") is False
