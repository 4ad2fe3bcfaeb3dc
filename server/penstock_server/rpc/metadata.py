"""Request metadata: what of it goes upstream, and that it agrees with the request."""

from penstock.v1.common_pb2 import EngineOptions

from penstock_server.convert.errors import InvalidRequest, Violation, invalid
from penstock_server.rpc.rpc import Rpc, current
from penstock_server.upstream.headers import Call


def upstream_call(model: str, engine: EngineOptions) -> Call:
    """Returns what the current RPC hands on to the upstream beside the body.

    Raises:
        InvalidRequest: a metadata key is faulty or contradicts its request field.
    """
    rpc = current.get()
    _agree("model", model, rpc, "x-llm-model")
    _agree("engine.session_id", engine.session_id, rpc, "x-session-id")
    rank = engine.data_parallel_rank if engine.HasField("data_parallel_rank") else None
    priority = engine.priority if engine.HasField("priority") else None
    return Call(
        request_id=engine.request_id or rpc.request_id,
        model=model,
        traceparent=rpc.text("traceparent"),
        tracestate=rpc.text("tracestate"),
        session_id=engine.session_id or rpc.text("x-session-id"),
        priority=_number("engine.priority", priority, rpc, "x-vllm-priority"),
        data_parallel_rank=_number("engine.data_parallel_rank", rank, rpc, "x-data-parallel-rank"),
    )


def _agree(field: str, value: str, rpc: Rpc, key: str) -> None:
    given = rpc.text(key)
    if value and given and value != given:
        raise _conflict(field, key)


def _number(field: str, value: int | None, rpc: Rpc, key: str) -> int | None:
    given = rpc.text(key)
    if not given:
        return value
    try:
        number = int(given)
    except ValueError:
        raise invalid(f"metadata {key}", "must be a decimal integer") from None
    if value is not None and value != number:
        raise _conflict(field, key)
    return number


def _conflict(field: str, key: str) -> InvalidRequest:
    return InvalidRequest(Violation(field, f"contradicts the metadata {key}"), conflicting=True)
