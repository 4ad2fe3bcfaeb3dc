"""Requests for vectors, in the fastest encoding that the upstream supports."""

from collections.abc import Mapping
from typing import Any

from penstock_server.convert import vector
from penstock_server.fleet import Fleet
from penstock_server.upstream import Call, Operation, UpstreamFailure


async def call_for_vectors(
    fleet: Fleet, operation: Operation, body: Mapping[str, Any], call: Call
) -> dict[str, Any]:
    """Sends a request for vectors; repeats it for JSON numbers if the encoding is refused.

    Some vLLMs return several vectors for an input as numbers only, and old ones lack encodings.

    Raises:
        UpstreamFailure: no upstream fits, or the chosen one failed.
    """
    try:
        return await fleet.call(operation, body, call)
    except UpstreamFailure as failure:
        plain = vector.otherwise(body, failure.error.param, failure.error.message)
        if plain is None:
            raise
        return await fleet.call(operation, plain, call)
