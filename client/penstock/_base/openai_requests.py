"""Reads requests in OpenAI's JSON form, with vLLM's additional keys."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock._base.options import CallOptions
from penstock.batch import BatchRequest
from penstock.chat import ChatOptions, chat_request
from penstock.completions import CompletionOptions, completion_request
from penstock.embeddings import EmbeddingOptions, embeddings_request
from penstock.rerank import RerankOptions, rerank_request
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.message_pb2 import TemplateOptions

Json = Mapping[str, Any]

_HOLDERS: Mapping[str, Any] = {
    "engine": EngineOptions.DESCRIPTOR.fields_by_name,
    "template": TemplateOptions.DESCRIPTOR.fields_by_name,
}
_NOT_KEYS = {*CallOptions.__annotations__, *_HOLDERS, "extra_body"}


def openai_request(url: str, body: Json) -> BatchRequest:
    """Returns the request message for a request in OpenAI's JSON form.

    Keys that the API has a field for become that field; the others are passed on as `extra_body`.

    Args:
        url: path of the request, such as "/v1/chat/completions".
        body: the request.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: the path is not supported, the request is for a stream, or a key is missing,
            misspelt, or has an invalid value.
    """
    if (read := _REQUESTS.get(url)) is None:
        raise ValueError(f"{url!r} is not a valid url; valid are {', '.join(_REQUESTS)}")
    given = {key: value for key, value in body.items() if value is not None}
    if given.pop("stream", False):
        raise ValueError("stream must be false")
    return read(given)


def _chat(body: dict[str, Any]) -> BatchRequest:
    messages = _required(body, "messages")
    if "max_completion_tokens" in body:
        _rename(body, "max_completion_tokens", "max_tokens")
    alternatives = body.pop("top_logprobs", None)
    if body.get("logprobs") is True and alternatives is not None:
        body["logprobs"] = alternatives
    elif alternatives:
        raise ValueError("top_logprobs requires logprobs: true")
    return chat_request(messages, **_options(body, ChatOptions))


def _completion(body: dict[str, Any]) -> BatchRequest:
    prompt = _required(body, "prompt")
    return completion_request(prompt, **_options(body, CompletionOptions))


def _embeddings(body: dict[str, Any]) -> BatchRequest:
    if (form := body.pop("encoding_format", "float")) != "float":
        raise ValueError(f"{form!r} is not a valid encoding_format; valid is float")
    inputs = _required(body, "input")
    return embeddings_request(inputs, **_options(body, EmbeddingOptions))


def _rerank(body: dict[str, Any]) -> BatchRequest:
    # As vLLM does.
    body.setdefault("return_documents", True)
    query, documents = _required(body, "query"), _required(body, "documents")
    return rerank_request(query, documents, **_options(body, RerankOptions))


def _options(body: Json, known: Any) -> Any:
    """Returns the options for the keys of a request."""
    names = known.__annotations__.keys() - _NOT_KEYS
    holders = {name: keys for name, keys in _HOLDERS.items() if name in known.__annotations__}
    options: dict[str, Any] = {}
    for key, value in body.items():
        if key in names:
            options[key] = value
            continue
        holder = next((name for name, keys in holders.items() if key in keys), "extra_body")
        options.setdefault(holder, {})[key] = value
    if bias := options.get("logit_bias"):
        options["logit_bias"] = {int(token): value for token, value in bias.items()}
    return options


def _required(body: dict[str, Any], key: str) -> Any:
    if key not in body:
        raise ValueError(f"{key} is required")
    return body.pop(key)


def _rename(body: dict[str, Any], key: str, name: str) -> None:
    if name in body:
        raise ValueError(f"{key} and {name} must not both be set")
    body[name] = body.pop(key)


_REQUESTS: Mapping[str, Callable[[dict[str, Any]], BatchRequest]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completion,
    "/v1/embeddings": _embeddings,
    "/v1/rerank": _rerank,
    "/v2/rerank": _rerank,
    "/rerank": _rerank,
}
