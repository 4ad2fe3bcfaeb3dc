"""Conversion of the option messages that several operations share to vLLM's JSON keys."""

from collections.abc import Collection, Container
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from penstock.v1 import common_pb2, message_pb2
from penstock.v1.common_pb2 import JsonDocument
from penstock_server.convert import document
from penstock_server.convert.errors import InvalidRequest, Violation, invalid

JsonObject = dict[str, Any]

TRUNCATION_SIDES = {
    common_pb2.TRUNCATION_SIDE_LEFT: "left",
    common_pb2.TRUNCATION_SIDE_RIGHT: "right",
}
# Sent as headers, not in the body.
_ENGINE_HEADERS = frozenset({"request_id", "data_parallel_rank"})
_AS_THEY_ARE = (str, int)
_PADDINGS = {
    common_pb2.PADDING_MAX_LENGTH: "max_length",
    common_pb2.PADDING_DO_NOT_PAD: "do_not_pad",
}


def sampling(options: common_pb2.SamplingParams, max_tokens: str) -> JsonObject:
    """Returns the keys of SamplingParams.

    Args:
        options: the message.
        max_tokens: the operation's key for the limit on tokens.

    Raises:
        InvalidRequest: a number is not finite, an enum is unknown, or a bad word is empty.
    """
    body = scalars(options, "sampling", skip=("logit_bias", "repetition_detection"))
    if "" in options.bad_words:
        # Older versions of vLLM answer it with HTTP 500.
        position = list(options.bad_words).index("")
        raise invalid(f"sampling.bad_words[{position}]", "must not be empty")
    if "max_tokens" in body:
        body[max_tokens] = body.pop("max_tokens")
    if options.logit_bias:
        body["logit_bias"] = {
            str(token): document.finite(bias, f"sampling.logit_bias[{token}]")
            for token, bias in options.logit_bias.items()
        }
    if options.truncation_side:
        body["truncation_side"] = _truncation_side(options.truncation_side, "sampling")
    if options.HasField("repetition_detection"):
        detection = options.repetition_detection
        body["repetition_detection"] = {
            "max_pattern_size": detection.max_pattern_size,
            "min_pattern_size": detection.min_pattern_size,
            "min_count": detection.min_count,
        }
    return body


def require_tokens(sampling: common_pb2.SamplingParams) -> None:
    """Checks that the limit on tokens is not 0, which some vLLMs treat as no limit.

    Raises:
        InvalidRequest: the limit is 0.
    """
    if sampling.HasField("max_tokens") and sampling.max_tokens == 0:
        raise invalid("sampling.max_tokens", "must be at least 1")


def logprob_tokens(wanted: common_pb2.LogprobOptions) -> JsonObject:
    """Returns the keys of LogprobOptions that select the reported tokens and their form."""
    body: JsonObject = {}
    if wanted.token_ids:
        body["logprob_token_ids"] = list(wanted.token_ids)
    if wanted.HasField("tokens_as_token_ids"):
        body["return_tokens_as_token_ids"] = wanted.tokens_as_token_ids
    return body


def structured_outputs(options: common_pb2.StructuredOutputs) -> JsonObject:
    """Returns vLLM's `structured_outputs`.

    Raises:
        InvalidRequest: the constraint is missing or empty.
    """
    path = "structured_outputs"
    constraint = options.WhichOneof("constraint")
    body = scalars(options, path, skip=("json_schema", "structural_tag"))
    match constraint:
        case None:
            raise invalid(path, "must contain a constraint")
        case "json_schema":
            body["json"] = document.from_document(options.json_schema, f"{path}.json_schema")
        case "json_object":
            body["json_object"] = True
        case "structural_tag":
            tag = document.from_object(options.structural_tag, f"{path}.structural_tag")
            # vLLM expects it as a string.
            body["structural_tag"] = orjson.dumps(tag).decode()
        case "choice":
            if not options.choice.choices:
                raise invalid(f"{path}.choice.choices", "must contain at least one choice")
            body["choice"] = list(options.choice.choices)
    return body


def engine(options: common_pb2.EngineOptions) -> JsonObject:
    """Returns the keys of EngineOptions that belong in the body.

    Raises:
        InvalidRequest: a document or a number is faulty.
    """
    return scalars(options, "engine", skip=_ENGINE_HEADERS)


def template(options: message_pb2.TemplateOptions, path: str = "template") -> JsonObject:
    """Returns the keys of TemplateOptions.

    Raises:
        InvalidRequest: a number is not finite, or a document is not a JSON object.
    """
    body = scalars(options, path)
    if options.documents:
        body["documents"] = [dict(item.fields) for item in options.documents]
    return body


def streaming(options: common_pb2.StreamOptions) -> JsonObject:
    """Returns the keys that request a stream; its end always has the usage."""
    stream_options = {"include_usage": True}
    if options.HasField("continuous_usage_stats"):
        stream_options["continuous_usage_stats"] = options.continuous_usage_stats
    body: JsonObject = {"stream": True, "stream_options": stream_options}
    if options.HasField("stream_interval"):
        body["stream_interval"] = options.stream_interval
    return body


def pooling(options: common_pb2.PoolingOptions) -> JsonObject:
    """Returns the keys of PoolingOptions.

    Raises:
        InvalidRequest: an enum is unknown.
    """
    body = scalars(options, "options", skip=("truncation_side", "padding"))
    if options.truncation_side:
        body["truncation_side"] = _truncation_side(options.truncation_side, "options")
    if options.padding:
        body["padding"] = known(_PADDINGS.get(options.padding), "options.padding")
    return body


def refuse(options: Message, path: str, *names: str) -> None:
    """Checks that fields that do not apply to the operation are not set.

    Raises:
        InvalidRequest: one of them is set.
    """
    _refuse({field.name for field, _ in options.ListFields()} & set(names), path)


def refuse_all_but(options: Message, path: str, *names: str) -> None:
    """Checks that only fields that apply to the operation are set.

    Raises:
        InvalidRequest: another field is set.
    """
    _refuse({field.name for field, _ in options.ListFields()} - set(names), path)


def plain_names(message: Descriptor) -> frozenset[str]:
    """Returns the names of a message's fields that are single texts, numbers or booleans."""
    return frozenset(
        field.name
        for field in message.fields
        if not (field.is_repeated or field.message_type or field.enum_type)
    )


def scalars(message: Message, path: str, skip: Container[str] = ()) -> JsonObject:
    """Returns the fields of a message that are scalars, lists of them, or JSON objects, by name.

    Raises:
        InvalidRequest: a number is not finite, or a document is not a JSON object.
    """
    body: JsonObject = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name in skip:
            continue
        if isinstance(value, float):
            body[name] = document.finite(value, f"{path}.{name}".lstrip("."))
        elif isinstance(value, _AS_THEY_ARE):
            body[name] = value
        elif isinstance(value, JsonDocument):
            body[name] = document.from_object(value, f"{path}.{name}".lstrip("."))
        elif not isinstance(value, Message) and descriptor.message_type is None:
            body[name] = list(value)
    return body


def _refuse(names: Collection[str], path: str) -> None:
    if names:
        raise InvalidRequest(
            *(Violation(f"{path}.{name}", "does not apply to this RPC") for name in sorted(names))
        )


def _truncation_side(side: common_pb2.TruncationSide.ValueType, path: str) -> str:
    return known(TRUNCATION_SIDES.get(side), f"{path}.truncation_side")


def known(value: str | None, path: str) -> str:
    """Returns the value unchanged.

    Raises:
        InvalidRequest: it is None because the number of an enum is unknown.
    """
    if value is None:
        raise invalid(path, "is not a known value")
    return value
