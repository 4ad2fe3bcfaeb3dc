"""POST /pooling."""

from collections.abc import Sequence

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import detail, parameter_error
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import one_of
from penstock_server.simulator.pooling.answer import vectors
from penstock_server.simulator.pooling.classification import labels_of
from penstock_server.simulator.pooling.request import ENCODING, Pooling, prepare
from penstock_server.simulator.pooling.vectors import (
    LENGTH,
    class_scores,
    embedding,
    token_embeddings,
)
from penstock_server.simulator.state import State

_TASKS = ("embed", "classify", "token_embed", "token_classify", "plugin", "embed&token_classify")
_KINDS = ENCODING | {"task": one_of(*_TASKS)}
_NO_PLUGIN = (
    "No IOProcessor plugin installed. Please refer to the documentation and to the "
    "'prithvi_geospatial_mae_io_processor' offline inference example for more details."
)


async def create(request: Request, state: State) -> Answer:
    """Returns the output of the model for each input."""
    try:
        pooling = prepare(request, state, "pooling", _KINDS)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    served = state.dialect.pooling_tasks(loaded_task(state))
    task = _checked_task(pooling, served)
    outputs = [_output(tokens, task, pooling, state) for tokens in pooling.inputs]
    return vectors(pooling, outputs, "data", "pooling")


def loaded_task(state: State) -> str:
    """Returns the task that the model is loaded for."""
    by_kind = "embed" if state.settings.kind in ("embed", "all") else "classify"
    return state.settings.pooling_task or by_kind


def _checked_task(pooling: Pooling, served: Sequence[str]) -> str:
    """Returns the requested task if it is served; by default, the first served task."""
    if "dimensions" in pooling.values:
        raise parameter_error("dimensions is currently not supported", "dimensions")
    task: str = "plugin" if "data" in pooling.values else pooling.values.get("task", served[0])
    if task == "plugin":
        raise parameter_error(_NO_PLUGIN, "task")
    base = served[0].removeprefix("token_")
    supported = [f"token_{base}", base]
    if task not in supported:
        message = f"Unsupported task: {task!r} Supported tasks: {supported}"
        raise parameter_error(message, "task")
    if task not in served:
        message = f"Try switching the model's pooling_task via --pooler-config.task {task}."
        raise parameter_error(message, "task")
    return task


def _output(tokens: list[int], task: str, pooling: Pooling, state: State) -> Json:
    classes, normal = len(labels_of(state)), pooling.normal
    match task:
        case "embed":
            return embedding(tokens, LENGTH, normal=normal)
        case "classify":
            return class_scores(tokens, classes, normal=normal)
        case "token_embed":
            return token_embeddings(tokens, normal=normal)
    return [class_scores([token], classes, normal=normal) for token in tokens]
