"""Writes answers in OpenAI's JSON form, which is that of the upstream."""

from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from penstock._base.json_documents import value_of
from penstock._base.options import enum_name
from penstock._base.result import finish_reason, stop_reason
from penstock.messages import text_of
from penstock.v1.chat_completion_pb2 import ChatChoice, CreateChatCompletionResponse
from penstock.v1.common_pb2 import (
    JsonDocument,
    PromptTokenLogprobs,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from penstock.v1.completion_pb2 import CompletionChoice, CreateCompletionResponse
from penstock.v1.embedding_pb2 import CreateEmbeddingsResponse, Embedding
from penstock.v1.message_pb2 import ChatMessage, Role, ToolCall
from penstock.v1.rerank_pb2 import RerankResponse, RerankResult, ScoringInput
from penstock.vectors import Vector

Json = dict[str, Any]

_ENDS = ("finish_reason", "native_finish_reason", "stop_string", "stop_token_id")


def openai_answer(answer: Message) -> Json:
    """Returns an answer in OpenAI's JSON form; keys in `extra` return to their places."""
    return _ANSWERS[type(answer)](answer)


def _chat(answer: CreateChatCompletionResponse) -> Json:
    choices = [_chat_choice(choice) for choice in answer.choices]
    return _answer(answer, "chat.completion", {"choices": choices}, ("choices",))


def _completion(answer: CreateCompletionResponse) -> Json:
    choices = [_text_choice(choice) for choice in answer.choices]
    return _answer(answer, "text_completion", {"choices": choices}, ("choices",))


def _embeddings(answer: CreateEmbeddingsResponse) -> Json:
    data = [_embedding(one) for one in answer.embeddings]
    return _answer(answer, "list", {"data": data}, ("embeddings",))


def _ranking(answer: RerankResponse) -> Json:
    results = [_ranked(one) for one in answer.results]
    made = {"id": answer.id, "model": answer.model, "results": results}
    return _with_rest(made, answer, ("id", "model", "results"))


def _answer(answer: Any, kind: str, content: Json, converted: Collection[str]) -> Json:
    made = {
        "id": answer.id,
        "object": kind,
        "created": answer.create_time.seconds,
        "model": answer.model,
        **content,
        "usage": _usage(answer.usage),
    }
    return _with_rest(made, answer, ("id", "create_time", "model", "usage", *converted))


def _chat_choice(choice: ChatChoice) -> Json:
    logprobs = {"content": [_token(one) for one in choice.logprobs]} if choice.logprobs else None
    made = {"index": choice.index, "message": _message(choice.message), "logprobs": logprobs}
    return _with_rest(made | _end(choice), choice, ("index", "message", "logprobs", *_ENDS))


def _text_choice(choice: CompletionChoice) -> Json:
    made = {"index": choice.index, "text": choice.text, "logprobs": _text_logprobs(choice)}
    return _with_rest(made | _end(choice), choice, ("index", "text", "logprobs", *_ENDS))


def _end(choice: ChatChoice | CompletionChoice) -> Json:
    return {
        "finish_reason": finish_reason(choice) or None,
        "stop_reason": stop_reason(choice),
    }


def _message(message: ChatMessage) -> Json:
    made: Json = {
        "role": message.custom_role or enum_name(Role.DESCRIPTOR, message.role),
        "content": text_of(message) if message.content else None,
    }
    if message.tool_calls:
        made["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    return _with_rest(made, message, ("role", "custom_role", "content", "tool_calls"))


def _tool_call(call: ToolCall) -> Json:
    if call.HasField("other"):
        return {"id": call.id, **value_of(call.other)}
    function = {"name": call.function.name, "arguments": call.function.arguments}
    made = {"id": call.id, "type": "function", "function": function}
    return _with_rest(made, call, ("id", "function"))


def _token(one: TokenLogprob) -> Json:
    return _top(one) | {"top_logprobs": [_top(other) for other in one.top_logprobs]}


def _top(one: TokenLogprob | TopLogprob) -> Json:
    return {"token": one.token, "logprob": one.logprob, "bytes": list(one.bytes) or None}


def _text_logprobs(choice: CompletionChoice) -> Json | None:
    found = choice.logprobs
    if not found:
        return None
    return {
        "tokens": [one.token for one in found],
        "token_logprobs": [one.logprob if one.HasField("logprob") else None for one in found],
        "text_offset": [one.text_offset for one in found],
        "top_logprobs": [
            {other.token: other.logprob for other in one.top_logprobs} or None for one in found
        ],
    }


def _embedding(one: Embedding) -> Json:
    vector = Vector.of(one, "vector").tolist()
    made = {"object": "embedding", "index": one.index, "embedding": vector}
    return _with_rest(made, one, ("index", *(field.name for field in _VECTORS)))


def _ranked(one: RerankResult) -> Json:
    made: Json = {"index": one.index, "relevance_score": one.relevance_score}
    if one.HasField("document"):
        made["document"] = _document(one.document)
    return _with_rest(made, one, ("index", "relevance_score", "document"))


def _document(document: ScoringInput) -> Json:
    if document.HasField("text"):
        return {"text": document.text}
    return _fields(document)


def _usage(usage: Usage) -> Json:
    counts = {name: getattr(usage, name) for name in _COUNTS}
    return _with_rest(counts, usage, _COUNTS)


def _with_rest(made: Json, message: Any, converted: Collection[str]) -> Json:
    """Adds the other fields of a message, and the keys of its `extra`, to its JSON form."""
    for field, value in message.ListFields():
        if field.name not in converted and field.name != "extra":
            made[field.name] = _plain(field, value)
    extra = getattr(message, "extra", None)
    for key, value in ((extra and value_of(extra)) or {}).items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = {**made[key], **value} if both else value
    return made


def _fields(message: Any) -> Json:
    return _with_rest({}, message, ())


def _plain(field: Any, value: Any) -> Any:
    if not field.is_repeated:
        return _one(field, value)
    if isinstance(value, Mapping):
        content = field.message_type.fields_by_name["value"]
        return {str(key): _one(content, value[key]) for key in value}
    return [_one(field, one) for one in value]


def _one(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if not isinstance(value, Message):
        return value
    if isinstance(value, JsonDocument):
        return value_of(value)
    if isinstance(value, PromptTokenLogprobs):
        return _fields(value).get("candidates")
    if isinstance(value, Timestamp | Duration):
        return value.ToNanoseconds() / 1e9
    return _fields(value)


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_VECTORS = Embedding.DESCRIPTOR.oneofs_by_name["vector"].fields
_ANSWERS: Mapping[type[Message], Callable[[Any], Json]] = {
    CreateChatCompletionResponse: _chat,
    CreateCompletionResponse: _completion,
    CreateEmbeddingsResponse: _embeddings,
    RerankResponse: _ranking,
}
