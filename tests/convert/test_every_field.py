"""No request field of ours is dropped: each one changes the request to vLLM, or is refused.

The descriptors of our messages are the oracle, not the tables of the conversions.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from google.protobuf.message import Message

from penstock.v1 import (
    chat_completion_pb2,
    classification_pb2,
    completion_pb2,
    embedding_pb2,
    generation_pb2,
    pooling_pb2,
    rerank_pb2,
    response_pb2,
    tokenization_pb2,
    transcription_pb2,
)
from penstock.v1.common_pb2 import JsonDocument
from penstock_server import routes
from penstock_server.convert import (
    chat,
    classification,
    completion,
    embedding,
    pooling,
    rerank,
    score,
    token_generation,
    tokenization,
    transcription,
)
from penstock_server.convert.errors import InvalidRequest, UnsupportedRequest
from penstock_server.convert.fields import CONVERTED, HOMES, REQUESTS
from penstock_server.convert.response.chat_request import chat_body
from penstock_server.convert.response.native_request import body as native_body

from .giving import give

_TEXT: Any = [{"text": "Hi"}]
_TALK: Any = [{"role": 3, "content": _TEXT}]
_CONVERSATION: Any = {"messages": _TALK}
_CHAT: Any = [{"chat": _CONVERSATION}]
_ITEMS: Any = [{"message": _TALK[0]}]


def _speech(request: transcription_pb2.TranscribeRequest) -> Any:
    whole = transcription.form_fields(request.config, stream=False)
    streamed = transcription.form_fields(request.config, stream=True)
    return dict(whole), dict(streamed)


def _both(convert: Callable[..., Any]) -> Callable[[Any], Any]:
    """Converts a request for a unary answer and for a stream."""
    return lambda request: (convert(request, stream=False), convert(request, stream=True))


BODIES: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    routes.CHAT_COMPLETIONS: (
        lambda: chat_completion_pb2.CreateChatCompletionRequest(messages=_TALK),
        _both(chat.request_body),
    ),
    CONVERTED: (
        lambda: response_pb2.CreateResponseRequest(input=_ITEMS),
        _both(chat_body),
    ),
    routes.RESPONSES: (
        lambda: response_pb2.CreateResponseRequest(input=_ITEMS),
        _both(native_body),
    ),
    routes.COMPLETIONS: (
        lambda: completion_pb2.CreateCompletionRequest(prompts=_TEXT),
        _both(completion.request_body),
    ),
    routes.GENERATE: (
        lambda: generation_pb2.GenerateRequest(token_ids=[1]),
        _both(token_generation.request_body),
    ),
    routes.EMBEDDINGS: (
        lambda: embedding_pb2.CreateEmbeddingsRequest(inputs=_CHAT),
        embedding.request_body,
    ),
    routes.CLASSIFY: (
        lambda: classification_pb2.ClassifyRequest(inputs=_CHAT),
        classification.request_body,
    ),
    routes.POOLING: (
        lambda: pooling_pb2.PoolRequest(inputs=_CHAT),
        pooling.request_body,
    ),
    routes.TOKENIZE: (
        lambda: tokenization_pb2.TokenizeRequest(chat=_CONVERSATION),
        tokenization.tokenize_body,
    ),
    routes.DETOKENIZE: (tokenization_pb2.DetokenizeRequest, tokenization.detokenize_body),
    routes.RERANK: (
        lambda: rerank_pb2.RerankRequest(query=_TEXT[0], documents=_TEXT),
        rerank.request_body,
    ),
    routes.SCORE: (
        lambda: rerank_pb2.ScoreRequest(queries=_TEXT, documents=_TEXT),
        score.request_body,
    ),
    routes.TRANSCRIPTIONS: (
        lambda: transcription_pb2.TranscribeRequest(audio=b"audio"),
        _speech,
    ),
}
"""A small request and the function that converts it, by route."""

SENT_OTHERWISE: Mapping[str, str] = {
    "engine.request_id": "a header",
    "engine.data_parallel_rank": "a header",
    "engine.session_id": "a header, where vLLM reads no key",
    "config.engine.request_id": "a header",
    "config.engine.session_id": "a header",
    "config.engine.data_parallel_rank": "a header",
    "config.task": "the choice of the route",
    "config.filename": "a property of the file in the form",
    "config.mime_type": "a property of the file in the form",
    "audio": "the file in the form",
    **{
        f"{parent}stream_options.merge_deltas_within.{name}": "deltas are merged here"
        for parent in ("", "config.")
        for name in ("seconds", "nanos")
    },
    "return_documents": "the documents of the request are added here",
}
"""Fields that are not in the body, with the place where they are."""
KEYLESS: Mapping[str, str] = {
    "extra_body": "its members are the keys",
    "extra_sampling_params": "its members are the keys of sampling_params",
    "config.extra_body": "its members are the keys",
    "input_text": "short for input",
    "text_verbosity": "a part of the text settings",
    "instructions": "a message of the conversation where a response is asked for as a chat",
    "template.add_special_tokens": "options.add_special_tokens counts",
    "chat.template.add_special_tokens": "add_special_tokens counts",
}
"""Fields that are not the home of the key that they set, with the reason."""


def _leaves(request: Message, parent: str = "") -> Iterator[str]:
    """Yields the paths of all fields, except in lists, free JSON and other members of a oneof."""
    for field in request.DESCRIPTOR.fields:
        path = f"{parent}{field.name}"
        inner = field.message_type and field.message_type.fields and not field.is_repeated
        other_arm = field.containing_oneof and not request.HasField(field.name)
        if inner and not other_arm and field.message_type != JsonDocument.DESCRIPTOR:
            yield from _leaves(getattr(request, field.name), f"{path}.")
        else:
            yield path


CASES = [(route, path) for route, (make, _) in BODIES.items() for path in _leaves(make())]


def changed(route: str, path: str) -> set[str]:
    """Returns the keys of the body that a field changes.

    Raises:
        InvalidRequest: the field is refused.
        UnsupportedRequest: the field is refused, too.
    """
    make, convert = BODIES[route]
    request = make()
    give(request, path.split("."))
    sent, before = _bodies(convert(request)), _bodies(convert(make()))
    return {
        key
        for one, other in zip(sent, before, strict=True)
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
    }


def _bodies(made: Any) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = orjson.loads(orjson.dumps(made))
    listed = bodies if isinstance(bodies, list) else [bodies]
    # Sampling parameters are keys of an object of their own on one route.
    return [{**body, **body.pop("sampling_params", {})} for body in listed]


@pytest.mark.parametrize(("route", "path"), CASES)
def test_a_field_is_sent_or_refused(route: str, path: str) -> None:
    try:
        sent = bool(changed(route, path))
    except (InvalidRequest, UnsupportedRequest) as refusal:
        sent = any(_head(one.field) == _head(path) for one in refusal.violations)
    assert sent or path in SENT_OTHERWISE, f"{route} drops {path}"


@pytest.mark.parametrize(("route", "path"), CASES)
def test_the_home_of_a_key_is_the_field_that_sets_it(route: str, path: str) -> None:
    try:
        keys = changed(route, path)
    except (InvalidRequest, UnsupportedRequest):
        return
    homes = [HOMES[route].get(key, "") for key in keys]
    assert not keys or path in KEYLESS or any(_within(path, home) for home in homes if home)


def _within(path: str, home: str) -> bool:
    return f"{path}.".startswith(f"{home}.") or f"{home}.".startswith(f"{path}.")


def _head(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


@pytest.mark.parametrize("path", SENT_OTHERWISE)
def test_an_exception_is_needed(path: str) -> None:
    assert not all(changed(route, known) for route, known in CASES if known == path)


def test_every_route_has_a_case() -> None:
    """One of several routes with the same message and conversion is enough."""
    same = {routes.RERANK_UNVERSIONED, routes.TRANSLATIONS}
    assert BODIES.keys() == REQUESTS.keys() - same
