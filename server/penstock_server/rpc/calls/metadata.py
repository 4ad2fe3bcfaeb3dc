"""Request metadata: what of it goes upstream, and that it agrees with the request."""

import re

from penstock.v1.common_pb2 import EngineOptions
from penstock_server.convert.errors import InvalidRequest, Violation, invalid
from penstock_server.rpc import status
from penstock_server.rpc.calls.context import Rpc, current, fits_header
from penstock_server.upstream import Call

_HEADER_LIMIT = 1024
_KEYS = frozenset(
    (
        "traceparent",
        "tracestate",
        "x-data-parallel-rank",
        "x-llm-model",
        "x-session-id",
        "x-vllm-priority",
    )
)
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def upstream_call(model: str, engine: EngineOptions, parent: str = "") -> Call:
    """Returns what the current RPC hands on to the upstream beside the body.

    Args:
        model: the model that the request names.
        engine: the request's engine options.
        parent: what stands before both in paths of the request's fields.

    Raises:
        status.Refusal: MODEL_FORBIDDEN, whether there is such a model or not.
        InvalidRequest: a metadata key is faulty or contradicts its request field.
    """
    rpc = current.get()
    rpc.model = model
    if model and not rpc.may_use(model):
        raise status.Refusal(status.of_forbidden(model))
    call = Call(
        rpc.request_id,
        model,
        authorization=rpc.authorization,
        deadline=rpc.deadline,
        may_use=rpc.may_use,
        attempts=rpc.attempts,
    )
    if not rpc.metadata.keys().isdisjoint(_KEYS):
        _agree(f"{parent}model", model, rpc, "x-llm-model")
        _read_metadata(call, rpc)
    if engine.ByteSize():
        _read_engine(call, rpc, engine, f"{parent}engine")
    return call


def _read_metadata(call: Call, rpc: Rpc) -> None:
    call.traceparent = _header("metadata traceparent", rpc.text("traceparent"))
    call.tracestate = _header("metadata tracestate", rpc.text("tracestate"))
    call.session_id = _header("metadata x-session-id", rpc.text("x-session-id"))
    call.priority = _number(rpc, "x-vllm-priority")
    call.data_parallel_rank = _number(rpc, "x-data-parallel-rank")


def _read_engine(call: Call, rpc: Rpc, engine: EngineOptions, path: str) -> None:
    """Takes what the engine options say, with which metadata must agree."""
    _agree(f"{path}.session_id", engine.session_id, rpc, "x-session-id")
    call.request_id = _header(f"{path}.request_id", engine.request_id) or rpc.request_id
    call.session_id = _header(f"{path}.session_id", engine.session_id) or call.session_id
    if engine.HasField("priority"):
        _agree_in_number(f"{path}.priority", engine.priority, call.priority, "x-vllm-priority")
        call.priority = engine.priority
    if engine.HasField("data_parallel_rank"):
        rank, given = engine.data_parallel_rank, call.data_parallel_rank
        _agree_in_number(f"{path}.data_parallel_rank", rank, given, "x-data-parallel-rank")
        call.data_parallel_rank = rank


def _agree(field: str, value: str, rpc: Rpc, key: str) -> None:
    if value and rpc.text(key) not in ("", value):
        raise _conflict(field, key)


def _agree_in_number(field: str, value: int, given: int | None, key: str) -> None:
    if given not in (None, value):
        raise _conflict(field, key)


def _header(field: str, value: str) -> str:
    if not value:
        return value
    if len(value) > _HEADER_LIMIT:
        raise invalid(field, f"must not be longer than {_HEADER_LIMIT} characters")
    if not fits_header(value):
        raise invalid(field, "must be printable ASCII, with no space around it")
    return value


def _number(rpc: Rpc, key: str) -> int | None:
    given = rpc.text(key)
    if not given:
        return None
    if not _INTEGER.fullmatch(given):
        raise invalid(f"metadata {key}", "must be a decimal integer of at most 18 digits")
    return int(given)


def _conflict(field: str, key: str) -> InvalidRequest:
    return InvalidRequest(Violation(field, f"contradicts the metadata {key}"), conflicting=True)
