"""Common parts of requests to pooling models and of their answers."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from penstock.v1.classification_pb2 import ClassifyRequest, ClassifyResponse
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest, CreateEmbeddingsResponse
from penstock.v1.message_pb2 import PoolingInput
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock_server import routes
from penstock_server.convert import extra, fields, generation, message, option_messages, prompt_ids
from penstock_server.convert.errors import invalid
from penstock_server.convert.usage import fill_usage

JsonObject = dict[str, Any]
Request: TypeAlias = CreateEmbeddingsRequest | ClassifyRequest | PoolRequest

Response: TypeAlias = CreateEmbeddingsResponse | ClassifyResponse | PoolResponse

_ENGINE = fields.names_under(routes.POOLING, "engine")
_ANSWER_KEYS = frozenset({"id", "object", "created", "model", "data", "usage"})


def shared_body(request: Request) -> JsonObject:
    """Returns the keys of the inputs and of all option messages.

    Raises:
        InvalidRequest: there is no input, the inputs are of several kinds, one is faulty, or an
            option does not apply to them.
    """
    kind = _kind(request.inputs)
    if kind == "chat":
        option_messages.refuse(request.template, "template", "echo", "documents")
    else:
        option_messages.refuse_all_but(request.template, "template")
    if kind != "text":
        option_messages.refuse(request.options, "options", "add_special_tokens")
    return (
        _inputs(request.inputs, kind)
        | engine(request)
        | option_messages.pooling(request.options)
        | option_messages.template(request.template)
    )


def engine(request: Request) -> JsonObject:
    """Returns the keys of the engine options.

    Raises:
        InvalidRequest: an option does not apply to pooling models.
    """
    option_messages.refuse_all_but(request.engine, "engine", *_ENGINE)
    return option_messages.engine(request.engine)


def with_extra(route: str, body: JsonObject, request: Request) -> JsonObject:
    """Returns a request body with the keys of `extra_body`.

    Raises:
        InvalidRequest: a typed field covers a key, or vLLM would ignore it.
    """
    if request.HasField("extra_body"):
        fields.merge_extra(route, body, request.extra_body)
    return body


def one_conversation(inputs: Sequence[PoolingInput]) -> None:
    """Checks that there is at most one conversation; only embeddings accept several.

    Raises:
        InvalidRequest: there are several conversations.
    """
    if len(inputs) > 1 and all(item.HasField("chat") for item in inputs):
        raise invalid("inputs[1]", "a conversation must be the only input of this operation")


def fill_answer(target: Response, data: Mapping[str, Any]) -> None:
    """Writes an answer except its results."""
    generation.fill_origin(target, data)
    if (usage := data.get("usage")) is not None:
        fill_usage(target.usage, usage)
    extra.keep(target, data, _ANSWER_KEYS)


def _kind(inputs: Sequence[PoolingInput]) -> str:
    kinds = [item.WhichOneof("input") for item in inputs]
    if not kinds:
        raise invalid("inputs", "must contain at least one input")
    for i, kind in enumerate(kinds):
        if kind is None:
            raise invalid(f"inputs[{i}]", "set text, token_ids or chat")
        if kind != kinds[0]:
            raise invalid(f"inputs[{i}]", f"is {kind}; all must be of one kind, {kinds[0]}")
    return str(kinds[0])


def _inputs(inputs: Sequence[PoolingInput], kind: str) -> JsonObject:
    if kind == "text":
        return {"input": [item.text for item in inputs]}
    if kind == "token_ids":
        ids = [_token_ids(item, f"inputs[{i}].token_ids") for i, item in enumerate(inputs)]
        return {"input": ids}
    talks = [
        message.messages(item.chat.messages, f"inputs[{i}].chat.messages")
        for i, item in enumerate(inputs)
    ]
    # A single conversation is sent as a plain list, which older vLLMs accept too.
    return {"messages": talks[0] if len(talks) == 1 else talks}


def _token_ids(item: PoolingInput, path: str) -> list[int]:
    ids = prompt_ids.read(item.token_ids, path)
    if not ids:
        raise invalid(f"{path}.ids", "must contain at least one token id")
    return ids
