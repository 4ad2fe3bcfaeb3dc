"""Request metadata: what of it goes upstream, and that it agrees with the request."""

import re

from penstock.v1.common_pb2 import EngineOptions
from penstock_server.convert.errors import InvalidRequest, Violation, invalid
from penstock_server.rpc import status
from penstock_server.rpc.rpc import Rpc, current, fits_header
from penstock_server.upstream.call import Call

_HEADER_LIMIT = 1024
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
    _agree(f"{parent}model", model, rpc, "x-llm-model")
    _agree(f"{parent}engine.session_id", engine.session_id, rpc, "x-session-id")
    rank = engine.data_parallel_rank if engine.HasField("data_parallel_rank") else None
    priority = engine.priority if engine.HasField("priority") else None
    session = engine.session_id or rpc.text("x-session-id")
    return Call(
        request_id=_header(f"{parent}engine.request_id", engine.request_id) or rpc.request_id,
        model=model,
        traceparent=_header("metadata traceparent", rpc.text("traceparent")),
        tracestate=_header("metadata tracestate", rpc.text("tracestate")),
        session_id=_header(f"{parent}engine.session_id", session),
        priority=_number(f"{parent}engine.priority", priority, rpc, "x-vllm-priority"),
        data_parallel_rank=_number(
            f"{parent}engine.data_parallel_rank", rank, rpc, "x-data-parallel-rank"
        ),
        authorization=rpc.authorization,
        deadline=rpc.deadline,
        may_use=rpc.may_use,
        attempts=rpc.attempts,
    )


def _agree(field: str, value: str, rpc: Rpc, key: str) -> None:
    if value and rpc.text(key) not in ("", value):
        raise _conflict(field, key)


def _header(field: str, value: str) -> str:
    if not value:
        return value
    if len(value) > _HEADER_LIMIT:
        raise invalid(field, f"must not be longer than {_HEADER_LIMIT} characters")
    if not fits_header(value):
        raise invalid(field, "must be printable ASCII, with no space around it")
    return value


def _number(field: str, value: int | None, rpc: Rpc, key: str) -> int | None:
    given = rpc.text(key)
    if not given:
        return value
    if not _INTEGER.fullmatch(given):
        raise invalid(f"metadata {key}", "must be a decimal integer of at most 18 digits")
    number = int(given)
    if value is not None and value != number:
        raise _conflict(field, key)
    return number


def _conflict(field: str, key: str) -> InvalidRequest:
    return InvalidRequest(Violation(field, f"contradicts the metadata {key}"), conflicting=True)
