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
from penstock._base.option_docs import documented
from penstock._base.settings import MetadataLike
from penstock._base.spelling import did_you_mean
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

_OPENAI = {
    "stream": "the method `stream` instead of `create`",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "top_logprobs": "logprobs with the number of alternatives",
    "extra_headers": "metadata",
}
"""Arguments of openai-python, and what replaces them."""


@documented
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


@documented
class ModelOptions(CallOptions, total=False):
    """Options of every call to a model; see `penstock/v1/common.proto`.

    Attributes:
        model: name of the model; optional if there is only one.
        engine: fields of `EngineOptions`, such as `{"priority": -1}`.
        extra_body: upstream parameters that have no option, by their names in vLLM's API.
    """

    model: str | None
    engine: EngineOptions | JsonObject | None
    extra_body: JsonObject | None


@documented
class UserOptions(ModelOptions, total=False):
    """Options of calls that are made on behalf of an end user.

    Attributes:
        user: name of the end user.
    """

    user: str | None


@documented
class SamplingOptions(TypedDict, total=False):
    """The fields of `SamplingParams`; if an option is omitted, the model's setting applies.

    Attributes:
        temperature: sampling temperature, 0 to 2; at 0, the most likely token is always chosen.
        top_p: cumulative probability of the most likely tokens to sample from, up to 1.
        top_k: number of most likely tokens to sample from; -1: all.
        min_p: minimum probability of a token relative to that of the most likely one, 0 to 1.
        frequency_penalty: penalty on tokens in proportion to how often they occur in the output,
            -2 to 2.
        presence_penalty: penalty on tokens that occur in the output, -2 to 2.
        repetition_penalty: factor that penalizes tokens of prompt and output; above 1 discourages
            repetition.
        length_penalty: exponent of the length in the score of a beam; only for beam search.
        seed: seed for reproducible sampling; default: random.
        max_tokens: maximum number of tokens to generate, including reasoning; default: the model's
            setting, or the space left in its context; 16 for text completions.
        min_tokens: minimum number of tokens to generate before the output may end.
        n: number of choices to generate for each prompt, or of beams; default: 1.
        use_beam_search: whether to use beam search instead of sampling.
        stop: one string, or several, that end the generation and are excluded from the text.
        stop_token_ids: token ids that end the generation, in addition to those of the model.
        include_stop_str_in_output: whether to include the stop string in the text.
        ignore_eos: whether to continue after the model's end-of-text token.
        logit_bias: bias from -100 to 100 added to the logits of tokens, by token id.
        allowed_token_ids: the only token ids that may be generated.
        bad_words: words that must not be generated.
        skip_special_tokens: whether to omit special tokens from the text; default: true.
        spaces_between_special_tokens: whether to put spaces between special tokens; default: true.
        truncate_prompt_tokens: maximum number of prompt tokens, longer prompts are truncated; -1:
            the maximum of the model.
        truncation_side: side at which a prompt is truncated, "left" or "right".
        thinking_token_budget: maximum number of reasoning tokens; -1: no limit.
        repetition_detection: fields of `RepetitionDetection`, which end repetitive output.
        watermarking: whether to watermark the output, if the upstream is configured for it.
    """

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


@documented
class StreamedOptions(TypedDict, total=False):
    """Options of calls that have a streaming form.

    Attributes:
        stream_options: fields of `StreamOptions`, such as `{"merge_deltas_within": "0.1s"}`.
    """

    stream_options: StreamOptions | JsonObject | None


@documented
class StructuredOptions(TypedDict, total=False):
    """Options of calls that generate text.

    Attributes:
        structured_outputs: fields of `StructuredOutputs`, such as `{"regex": "[0-9]+"}`.
    """

    structured_outputs: StructuredOutputs | JsonObject | None


@documented
class PoolingOptions(TypedDict, total=False):
    """The fields of `PoolingOptions`.

    Attributes:
        truncate_prompt_tokens: maximum number of tokens of each input, longer inputs are
            truncated; -1: the maximum of the model.
        truncation_side: side at which an input is truncated, "left" or "right".
        padding: padding of the inputs, "max_length" or "do_not_pad".
        add_special_tokens: whether the tokenizer adds its special tokens to texts; default: true.
        use_activation: whether to apply the model's final activation, such as normalization or
            softmax; if false, raw values are returned.
    """

    truncate_prompt_tokens: int | None
    truncation_side: str | None
    padding: str | None
    add_special_tokens: bool | None
    use_activation: bool | None


@documented
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
        meant = did_you_mean(unknown[0], own)
        raise TypeError(f"{kind.DESCRIPTOR.name} has no field {unknown[0]!r}{meant}")
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
    known = {*kind.DESCRIPTOR.fields_by_name, *CallOptions.__annotations__} - {*flat}
    for holder in flat:
        held: Any = kind.DESCRIPTOR.fields_by_name[holder].message_type
        if name in held.fields_by_name:
            return holder
        known |= {*held.fields_by_name}
    instead = _OPENAI.get(name)
    advice = f"; use {instead}" if instead else did_you_mean(name, sorted(known))
    raise TypeError(f"unknown option {name!r} for {kind.DESCRIPTOR.name}{advice}")


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
