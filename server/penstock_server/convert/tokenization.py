"""Tokenization."""

from collections.abc import Mapping
from typing import Any

from penstock.v1.tokenization_pb2 import (
    ChatTokenizeInput,
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeRequest,
    TokenizeResponse,
)
from penstock_server import routes
from penstock_server.convert import extra, fields, generation, message, option_messages
from penstock_server.convert.errors import MalformedAnswer, invalid, reads_answer
from penstock_server.json_numbers import integer

_TOKENIZE_KEYS = frozenset({"count", "max_model_len", "tokens", "token_strs"})
_DETOKENIZE_KEYS = frozenset({"prompt"})


def tokenize_body(request: TokenizeRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    body = _input(request)
    if request.model:
        body["model"] = request.model
    if request.HasField("return_token_strings"):
        body["return_token_strs"] = request.return_token_strings
    if request.HasField("extra_body"):
        fields.merge_extra(routes.TOKENIZE, body, request.extra_body)
    return body


@reads_answer
def tokenize_response(data: Mapping[str, Any]) -> TokenizeResponse:
    """Returns the message for an answer.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = TokenizeResponse(token_strings=data.get("token_strs") or ())
    extra.fill(answer, "max_model_len", data, integer)
    generation.extend(answer.token_ids, data["tokens"])
    answer.count = integer(data["count"])
    if answer.count != len(answer.token_ids):
        raise MalformedAnswer("its count of tokens does not match its list of tokens")
    if answer.token_strings and len(answer.token_strings) != answer.count:
        raise MalformedAnswer("it lists a different number of token strings than of token ids")
    extra.keep(answer, data, _TOKENIZE_KEYS)
    return answer


def detokenize_body(request: DetokenizeRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a key of `extra_body` has a field.
    """
    body: dict[str, Any] = {"tokens": list(request.token_ids)}
    if request.model:
        body["model"] = request.model
    if request.HasField("extra_body"):
        fields.merge_extra(routes.DETOKENIZE, body, request.extra_body)
    return body


@reads_answer
def detokenize_response(data: Mapping[str, Any]) -> DetokenizeResponse:
    """Returns the message for an answer.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = DetokenizeResponse()
    answer.text = data["prompt"]
    extra.keep(answer, data, _DETOKENIZE_KEYS)
    return answer


def _input(request: TokenizeRequest) -> dict[str, Any]:
    match request.WhichOneof("input"):
        case "text":
            body: dict[str, Any] = {"prompt": request.text}
            if request.HasField("add_special_tokens"):
                body["add_special_tokens"] = request.add_special_tokens
            return body
        case "chat" if request.HasField("add_special_tokens"):
            raise invalid("add_special_tokens", "for a chat, use chat.template.add_special_tokens")
        case "chat":
            return _chat(request.chat)
    raise invalid("input", "set text or chat")


def _chat(chat: ChatTokenizeInput) -> dict[str, Any]:
    option_messages.refuse(chat.template, "chat.template", "echo", "documents")
    body = {"messages": message.messages(chat.messages, "chat.messages")}
    if chat.tools:
        body["tools"] = message.tools(chat.tools, "chat.tools")
    return body | option_messages.template(chat.template, "chat.template")
