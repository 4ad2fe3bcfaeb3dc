"""Builds request messages from keyword arguments.

An option has the name of its field in the request message. The fields of shared messages such
as `SamplingParams` are options too: callers write `temperature=0`. Values take their natural
Python form: enums are lower-case names, messages are mappings, JSON documents are any values
that `json` can encode. None is the same as leaving the option out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from penstock._base.json_documents import document
from penstock._base.settings import MetadataLike
from penstock.v1.common_pb2 import (
    EngineOptions,
    JsonDocument,
    RepetitionDetection,
    StreamOptions,
    StructuredOutputs,
)
from penstock.v1.message_pb2 import TemplateOptions

M = TypeVar("M", bound=Message)
JsonObject = Mapping[str, Any]


class CallOptions(TypedDict, total=False):
    """Options of every call.

    Attributes:
        timeout: seconds until the call ends with `DeadlineExceededError`; None: never. Overrides
            the client's timeout.
        metadata: additional metadata for this call.
        request_id: identifies the call in logs and traces; generated if not given.
    """

    timeout: float | None
    metadata: MetadataLike
    request_id: str


class ModelOptions(CallOptions, total=False):
    """Options of every call to a model; see `penstock/v1/common.proto`.

    Attributes:
        model: name of the model; optional if there is only one.
        engine: fields of `EngineOptions`.
        extra_body: upstream parameters that have no field.
    """

    model: str | None
    engine: EngineOptions | JsonObject | None
    extra_body: JsonObject | None


class UserOptions(ModelOptions, total=False):
    """Options of calls that are made on behalf of an end user.

    Attributes:
        user: name of the end user.
    """

    user: str | None


class SamplingOptions(TypedDict, total=False):
    """The fields of `SamplingParams`, which `penstock/v1/common.proto` describes."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    repetition_penalty: float | None
    length_penalty: float | None
    seed: int | None
    max_tokens: int | None
    min_tokens: int | None
    n: int | None
    use_beam_search: bool | None
    stop: str | Sequence[str] | None
    stop_token_ids: Sequence[int] | None
    include_stop_str_in_output: bool | None
    ignore_eos: bool | None
    logit_bias: Mapping[int, float] | None
    allowed_token_ids: Sequence[int] | None
    bad_words: Sequence[str] | None
    skip_special_tokens: bool | None
    spaces_between_special_tokens: bool | None
    truncate_prompt_tokens: int | None
    truncation_side: str | None
    thinking_token_budget: int | None
    repetition_detection: RepetitionDetection | JsonObject | None
    watermarking: bool | None


class StreamedOptions(TypedDict, total=False):
    """Options of calls that have a streaming form.

    Attributes:
        stream_options: fields of `StreamOptions`.
    """

    stream_options: StreamOptions | JsonObject | None


class StructuredOptions(TypedDict, total=False):
    """Options of calls that generate text.

    Attributes:
        structured_outputs: fields of `StructuredOutputs`, such as `{"regex": "[0-9]+"}`.
    """

    structured_outputs: StructuredOutputs | JsonObject | None


class PoolingOptions(TypedDict, total=False):
    """The fields of `PoolingOptions`, which `penstock/v1/common.proto` describes."""

    truncate_prompt_tokens: int | None
    truncation_side: str | None
    padding: str | None
    add_special_tokens: bool | None
    use_activation: bool | None


class TemplateOption(TypedDict, total=False):
    """Options of calls that turn conversations into prompts.

    Attributes:
        template: fields of `TemplateOptions`, such as
            `{"chat_template_kwargs": {"enable_thinking": False}}`.
    """

    template: TemplateOptions | JsonObject | None


def build(kind: type[M], options: Mapping[str, Any], *flat: str, **fields: Any) -> M:
    """Builds a request message.

    Args:
        kind: class of the message.
        options: fields by name, including fields of the messages that `flat` names.
        *flat: names of message fields whose own fields are options.
        **fields: additional fields, which override the options.

    Raises:
        TypeError: an option does not exist, or its value has the wrong type.
        ValueError: an enum name is unknown, or a number is out of range.
    """
    given = {name: options[name] for name in options if name not in CallOptions.__annotations__}
    values: dict[str, Any] = {}
    for name, value in (given | fields).items():
        if name in kind.DESCRIPTOR.fields_by_name and name not in flat:
            values[name] = value
        elif value is not None:
            values.setdefault(_holder(kind, name, flat), {})[name] = value
    return message(kind, values)


def message(kind: type[M], values: Mapping[str, Any]) -> M:
    """Builds a message from Python values; raises the errors of `build`."""
    own = kind.DESCRIPTOR.fields_by_name
    if unknown := [name for name in values if name not in own]:
        raise TypeError(f"{kind.DESCRIPTOR.name} has no field {unknown[0]!r}")
    given = {name: coerce(own[name], value) for name, value in values.items() if value is not None}
    try:
        return kind(**given)
    except TypeError as error:
        raise TypeError(f"{_at_fault(kind, given)}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{_at_fault(kind, given)}: {error}") from error


def coerce(field: Any, value: Any) -> Any:
    """Converts a Python value to the form that a message field accepts."""
    if field.is_repeated:
        several = [value] if isinstance(value, str) else value
        kind = field.enum_type
        return several if kind is None else [enum_value(kind, one) for one in several]
    if field.enum_type is not None:
        return enum_value(field.enum_type, value)
    kind = field.message_type
    if kind is None or isinstance(value, Message):
        return value
    if kind.full_name == JsonDocument.DESCRIPTOR.full_name:
        return document(value)
    return message(GetMessageClass(kind), value)


def enum_value(kind: EnumDescriptor, value: str | int) -> int:
    """Returns the number of an enum value, given by its name without the enum's prefix.

    Raises:
        ValueError: the enum has no such name.
    """
    if not isinstance(value, str):
        return value
    prefix = _prefix(kind)
    if found := kind.values_by_name.get(prefix + value.upper()):
        return int(found.number)
    known = ", ".join(enum_name(kind, one.number) for one in kind.values if one.number)
    raise ValueError(f"{value!r} is not a valid {kind.name}; valid values: {known}")


def enum_name(kind: EnumDescriptor, number: int) -> str:
    """Returns the lower-case name of an enum value; empty if it is unset or unknown."""
    found = kind.values_by_number.get(number) if number else None
    return found.name.removeprefix(_prefix(kind)).lower() if found else ""


def _holder(kind: type[Message], name: str, flat: Sequence[str]) -> str:
    for holder in flat:
        held: Any = kind.DESCRIPTOR.fields_by_name[holder].message_type
        if name in held.fields_by_name:
            return holder
    raise TypeError(f"unknown option {name!r} for {kind.DESCRIPTOR.name}")


def _at_fault(kind: type[Message], values: Mapping[str, Any]) -> str:
    """Names the field whose value a message rejects, and the value."""
    for name, value in values.items():
        try:
            kind(**{name: value})
        except (TypeError, ValueError):
            return f"{name} cannot be {value!r}"
    return kind.DESCRIPTOR.name


def _prefix(kind: EnumDescriptor) -> str:
    return str(kind.values[0].name).removesuffix("UNSPECIFIED")
