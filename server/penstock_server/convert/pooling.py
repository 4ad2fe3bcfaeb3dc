"""Pooling: the unprocessed output of pooling models."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from penstock.v1 import pooling_pb2
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock_server import routes
from penstock_server.convert import (
    batch,
    document,
    extra,
    option_messages,
    pooling_input,
    timestamp,
    vector,
)
from penstock_server.convert.errors import invalid, reads_answer

_TASKS: Mapping[pooling_pb2.PoolingTask.ValueType, str] = {
    pooling_pb2.POOLING_TASK_EMBED: "embed",
    pooling_pb2.POOLING_TASK_CLASSIFY: "classify",
    pooling_pb2.POOLING_TASK_TOKEN_EMBED: "token_embed",
    pooling_pb2.POOLING_TASK_TOKEN_CLASSIFY: "token_classify",
    pooling_pb2.POOLING_TASK_PLUGIN: "plugin",
    pooling_pb2.POOLING_TASK_EMBED_AND_TOKEN_CLASSIFY: "embed&token_classify",
}
_PLUGIN_TASKS = (pooling_pb2.POOLING_TASK_UNSPECIFIED, pooling_pb2.POOLING_TASK_PLUGIN)
_RESULT_KEYS = vector.KEYS | {"data"}
_PLUGIN_KEYS = frozenset({"request_id", "created_at", "data"})


def request_body(request: PoolRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    body = _plugin(request) if request.HasField("plugin_data") else _inputs(request)
    body |= option_messages.scalars(
        request, "", skip=("task", "dtype", "plugin_data", "extra_body")
    )
    return pooling_input.with_extra(routes.POOLING, body, request)


@reads_answer
def response(data: Mapping[str, Any], request: PoolRequest) -> PoolResponse:
    """Returns the message for the answer to a request.

    Raises:
        MalformedAnswer: the answer does not have the API's shape, or does not match the request.
    """
    answer = PoolResponse()
    if request.HasField("plugin_data"):
        _fill_plugin(answer, data)
        return answer
    pooling_input.fill_answer(answer, data)
    form = vector.form_of(request.dtype)
    for index, result in enumerate(batch.in_order(data.get("data"), len(request.inputs))):
        target = answer.results.add(index=index)
        vector.fill(target, result, "data", form)
        extra.keep(target, result, _RESULT_KEYS)
    return answer


def _inputs(request: PoolRequest) -> dict[str, Any]:
    pooling_input.one_conversation(request.inputs)
    body = pooling_input.shared_body(request)
    body |= vector.as_bytes(vector.form_of(request.dtype), len(request.inputs))
    if request.task:
        body["task"] = option_messages.known(_TASKS.get(request.task), "task")
    return body


def _plugin(request: PoolRequest) -> dict[str, Any]:
    if request.inputs:
        raise invalid("plugin_data", "must not be set together with inputs")
    if request.task not in _PLUGIN_TASKS:
        raise invalid("task", "must be POOLING_TASK_PLUGIN or unset with plugin_data")
    if request.dtype:
        raise invalid("dtype", "must not be set with plugin_data")
    option_messages.refuse_all_but(request.options, "options")
    option_messages.refuse_all_but(request.template, "template")
    body = {
        "data": document.from_document(request.plugin_data, "plugin_data"),
        "task": _TASKS[pooling_pb2.POOLING_TASK_PLUGIN],
    }
    return body | pooling_input.engine(request)


def _set_id(target: PoolResponse, value: Any) -> None:
    target.id = extra.text(value)


def _fill_plugin(answer: PoolResponse, data: Mapping[str, Any]) -> None:
    extra.fill_with(answer, "request_id", data, partial(_set_id, answer))
    timestamp.fill(answer.create_time, answer, "created_at", data)
    answer.plugin_data.CopyFrom(document.to_document(data["data"]))
    extra.keep(answer, data, _PLUGIN_KEYS)
