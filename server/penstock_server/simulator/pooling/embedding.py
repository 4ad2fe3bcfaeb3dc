"""POST /v1/embeddings."""

from penstock_server.simulator.http.answers import Answer
from penstock_server.simulator.http.errors import ApiError, detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.pooling.answer import vectors
from penstock_server.simulator.pooling.request import ENCODING, Pooling, prepare
from penstock_server.simulator.pooling.vectors import LENGTH, embedding
from penstock_server.simulator.state import State

_MATRYOSHKA = [16, 32, 64]
_UNSERVED = "The model does not support Embeddings API"


async def create(request: Request, state: State) -> Answer:
    """Computes a vector for each input."""
    if state.settings.pooling_task.startswith("token_"):
        raise ApiError(_UNSERVED, status=501, kind="NotImplementedError")
    try:
        batches = state.dialect.batches_conversations
        pooling = prepare(request, state, "embd", ENCODING, batches=batches)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    length = _length(pooling, state)
    outputs = [embedding(tokens, length, normal=pooling.normal) for tokens in pooling.inputs]
    return vectors(pooling, outputs, "embedding", "embedding")


def _length(pooling: Pooling, state: State) -> int:
    length: int = pooling.values.get("dimensions", LENGTH)
    if "dimensions" not in pooling.values:
        return length
    if not state.settings.matryoshka:
        raise ApiError(
            f"Model '{pooling.model}' does not support Matryoshka embeddings; dimensions must be "
            f"unset (received dimensions={length})."
        )
    if not 1 <= length <= LENGTH:
        raise ApiError(
            f"Model '{pooling.model}' only supports dimensions in range [1, {LENGTH}], "
            f"got {length}."
        )
    if length not in _MATRYOSHKA:
        raise ApiError(
            f"Model '{pooling.model}' only supports Matryoshka dimensions {_MATRYOSHKA}, "
            f"got {length}."
        )
    return length
