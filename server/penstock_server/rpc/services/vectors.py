"""The call for vectors, in the fastest form that the upstream gives them in."""

from collections.abc import Mapping
from typing import Any

from penstock_server.convert import vector
from penstock_server.fleet import Fleet
from penstock_server.upstream import Call, Operation, UpstreamFailure


async def call_for_vectors(
    fleet: Fleet, operation: Operation, body: Mapping[str, Any], call: Call
) -> dict[str, Any]:
    """Sends a request for vectors; asks again for JSON numbers where others are refused.

    Several vectors for an input come from some vLLMs as numbers only, and old ones do not know
    every encoding.

    Raises:
        UpstreamFailure: no upstream fits, or the one chosen failed.
    """
    try:
        return await fleet.call(operation, body, call)
    except UpstreamFailure as failure:
        plain = vector.otherwise(body, failure.error.param, failure.error.message)
        if plain is None:
            raise
        return await fleet.call(operation, plain, call)
