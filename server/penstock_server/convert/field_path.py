"""From the name of a field in an upstream's error to the path of ours."""

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock.v1 import (
    chat_completion_pb2,
    classification_pb2,
    completion_pb2,
    embedding_pb2,
    pooling_pb2,
    rerank_pb2,
    response_pb2,
    tokenization_pb2,
    transcription_pb2,
)
from penstock_server import routes
from penstock_server.convert.fields import CONVERTED, HOMES

REQUESTS: Mapping[str, Descriptor] = {
    routes.CHAT_COMPLETIONS: chat_completion_pb2.CreateChatCompletionRequest.DESCRIPTOR,
    CONVERTED: response_pb2.CreateResponseRequest.DESCRIPTOR,
    routes.RESPONSES: response_pb2.CreateResponseRequest.DESCRIPTOR,
    routes.COMPLETIONS: completion_pb2.CreateCompletionRequest.DESCRIPTOR,
    routes.EMBEDDINGS: embedding_pb2.CreateEmbeddingsRequest.DESCRIPTOR,
    routes.CLASSIFY: classification_pb2.ClassifyRequest.DESCRIPTOR,
    routes.POOLING: pooling_pb2.PoolRequest.DESCRIPTOR,
    routes.TOKENIZE: tokenization_pb2.TokenizeRequest.DESCRIPTOR,
    routes.DETOKENIZE: tokenization_pb2.DetokenizeRequest.DESCRIPTOR,
    routes.RERANK: rerank_pb2.RerankRequest.DESCRIPTOR,
    routes.RERANK_UNVERSIONED: rerank_pb2.RerankRequest.DESCRIPTOR,
    routes.SCORE: rerank_pb2.ScoreRequest.DESCRIPTOR,
    routes.TRANSCRIPTIONS: transcription_pb2.TranscribeRequest.DESCRIPTOR,
    routes.TRANSLATIONS: transcription_pb2.TranscribeRequest.DESCRIPTOR,
}
"""The message that asks for what a route does."""

# What vLLM names when the input is too long.
_LENGTH = ("input_tokens", "input_text")
_INPUTS = {
    routes.CHAT_COMPLETIONS: "messages",
    CONVERTED: "input",
    routes.RESPONSES: "input",
    routes.COMPLETIONS: "prompts",
    routes.EMBEDDINGS: "inputs",
    routes.CLASSIFY: "inputs",
    routes.POOLING: "inputs",
    routes.RERANK: "documents",
    routes.RERANK_UNVERSIONED: "documents",
    routes.SCORE: "documents",
    routes.TRANSCRIPTIONS: "config.prompt",
    routes.TRANSLATIONS: "config.prompt",
}
"""Where each request has its input."""

# One item of the input is not one message: a position in these says nothing of ours.
_AS_A_WHOLE = ((CONVERTED, "messages"),)


def field_path(route: str, param: str) -> str:
    """Returns our path of the field that an upstream error names, or the name as it stands.

    What lies below the field is followed as far as our message has it too.

    Args:
        route: a key of `HOMES`.
        param: JSON keys and positions joined by dots, such as "messages.0.content".
    """
    head, *keys = param.removeprefix("body.").split(".")
    if head in _LENGTH:
        return _INPUTS.get(route, param)
    home = HOMES.get(route, {}).get(head)
    if not home and route == routes.RESPONSES:
        # vLLM checks the sampling under the names that it has in a chat.
        home = HOMES[CONVERTED].get(head)
    if not home:
        return param
    if (route, head) in _AS_A_WHOLE:
        return home
    return home + _below(_field(REQUESTS[route], home), keys)


def _field(message: Descriptor, path: str) -> FieldDescriptor:
    """Returns the field at a path of ours."""
    *parents, name = (part.partition("[")[0] for part in path.split("."))
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner
        message = inner
    return message.fields_by_name[name]


def _below(field: FieldDescriptor, keys: Iterable[str]) -> str:
    """Returns what follows on the path of a field for keys inside its value."""
    found = ""
    for key in keys:
        if key.isdecimal():
            if not field.is_repeated:
                break
            found += f"[{key}]"
        elif field.message_type and key in field.message_type.fields_by_name:
            field = field.message_type.fields_by_name[key]
            found += f".{key}"
        elif not key[:1].isupper():
            break
        # Else it is a class of vLLM's that the value was tried as.
    return found
