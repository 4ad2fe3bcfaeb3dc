"""Reports in answers about their generation: the model, token counts, finish reasons.

The log, metrics and traces read them from the `Rpc` at the end of the call.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from google.protobuf import descriptor_pool

from penstock.v1 import (
    chat_completion_pb2,
    classification_pb2,
    common_pb2,
    completion_pb2,
    embedding_pb2,
    generation_pb2,
    pooling_pb2,
    rerank_pb2,
    response_pb2,
    transcription_pb2,
)
from penstock_server.rpc.calls.outputs import Outputs
from penstock_server.upstream import CallObserver

_FINISH_REASONS = {
    number: name.removeprefix("FINISH_REASON_").lower()
    for name, number in common_pb2.FinishReason.items()
    if number not in (common_pb2.FINISH_REASON_UNSPECIFIED, common_pb2.FINISH_REASON_OTHER)
}
_RESPONSE_STATUSES = {
    number: name.removeprefix("RESPONSE_STATUS_").lower()
    for name, number in response_pb2.ResponseStatus.items()
}
_TERMINAL = frozenset({"completed", "incomplete", "failed"})


class Usage(NamedTuple):
    """The token counts of a call.

    Attributes:
        input: the number of input tokens.
        output: the number of generated tokens.
        cached_input: the number of input tokens found in a prefix cache; None if not reported.
        reasoning: the number of generated tokens that are reasoning; None if not reported.
    """

    input: int
    output: int
    cached_input: int | None
    reasoning: int | None


class Target(Protocol):
    """The call that a report belongs to.

    Attributes:
        observer: observes the call; None if nothing does, so that details are not needed.
        outputs: accumulates the generated contents; None if they are not recorded.
        usage: the token counts reported last.
        finish_reasons: the reason why each choice ended, in the order in which they ended.
        response_model: the model that generates the answer.
    """

    observer: CallObserver | None
    outputs: Outputs | None
    usage: Usage | None
    finish_reasons: tuple[str, ...]
    response_model: str


_REPLAYS = frozenset({"penstock.v1.ResponseService.StreamStoredResponse"})
"""Methods that repeat events of another call, which counted their tokens."""

Reader: TypeAlias = Callable[[Target, Any], None]
"""Records what a message reports."""


def reader(method: str) -> Reader:
    """Returns the reader of the messages of a method, such as "/package.Service/Method"."""
    name = method.removeprefix("/").replace("/", ".")
    try:
        found = descriptor_pool.Default().FindMethodByName(name)
    except KeyError:
        return _nothing
    if name in _REPLAYS:
        return _nothing
    return _READERS.get(found.output_type.full_name, _nothing)


def _nothing(target: Target, message: Any) -> None:
    pass


def _counted(target: Target, message: Any) -> None:
    """Reads an answer of one piece that has `model` and `usage`."""
    target.response_model = message.model
    if message.HasField("usage"):
        target.usage = _usage(message.usage)


def _chosen(target: Target, message: Any) -> None:
    """Reads an answer of one piece that has choices."""
    _counted(target, message)
    if target.observer:
        target.finish_reasons = tuple(map(_finish, message.choices))
        if target.outputs:
            _keep_choices(target.outputs, message)


def _chosen_piece(target: Target, message: Any) -> None:
    """Reads a piece of a streamed answer that has choices; it is called for each piece."""
    if not target.response_model:
        target.response_model = message.model
    if target.observer:
        _note_finishes(target, message)
    if message.HasField("usage"):
        target.usage = _usage(message.usage)


def _note_finishes(target: Target, message: Any) -> None:
    for choice in message.choices:
        if choice.finish_reason:
            target.finish_reasons += (_finish(choice),)
    if target.outputs:
        _keep_choices(target.outputs, message)


def _keep_choices(outputs: Outputs, message: Any) -> None:
    for choice in message.choices:
        outputs.add_choice(choice, _finish(choice) if choice.finish_reason else "")


def _responded(target: Target, message: Any) -> None:
    """Reads a response that has just been created."""
    response = message.response
    target.response_model = response.model
    target.finish_reasons = (_RESPONSE_STATUSES.get(response.status, ""),)
    if target.outputs:
        target.outputs.replace(response, *target.finish_reasons)
    if response.HasField("usage"):
        target.usage = _response_usage(response.usage)


def _response_piece(target: Target, message: Any) -> None:
    """Reads an event of a streamed response; only the last one has counts."""
    event = message.WhichOneof("event")
    if event == "created":
        target.response_model = message.created.model
    elif event in _TERMINAL:
        response = getattr(message, event)
        target.finish_reasons = (event,)
        if target.outputs:
            target.outputs.replace(response, event)
        if response.HasField("usage"):
            target.usage = _response_usage(response.usage)
    elif target.outputs:
        target.outputs.add_event(message)


def _transcribed(target: Target, message: Any) -> None:
    """Reads the message with a whole transcription."""
    if message.transcription.HasField("usage"):
        target.usage = _usage(message.transcription.usage)


def _transcribed_piece(target: Target, message: Any) -> None:
    """Reads the message with a piece of a transcription."""
    piece = message.delta
    if not target.response_model:
        target.response_model = piece.model
    if piece.finish_reason:
        target.finish_reasons += (_finish(piece),)
    if piece.HasField("usage"):
        target.usage = _usage(piece.usage)


def _transcribed_live(target: Target, message: Any) -> None:
    """Reads a message of a live transcription; each utterance has counts of its own."""
    event = message.WhichOneof("event")
    if event == "started":
        target.response_model = message.started.model
    elif event == "done" and message.done.HasField("usage"):
        counted, earlier = _usage(message.done.usage), target.usage
        target.usage = _sum(earlier, counted) if earlier else counted


def _sum(one: Usage, other: Usage) -> Usage:
    return other._replace(input=one.input + other.input, output=one.output + other.output)


def _usage(usage: common_pb2.Usage) -> Usage:
    cached = reasoning = None
    if usage.HasField("prompt_tokens_details"):
        cached = _reported(usage.prompt_tokens_details, "cached_tokens")
    if usage.HasField("completion_tokens_details"):
        reasoning = _reported(usage.completion_tokens_details, "reasoning_tokens")
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached, reasoning)


def _response_usage(usage: response_pb2.ResponseUsage) -> Usage:
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        _reported(usage.input_tokens_details, "cached_tokens"),
        _reported(usage.output_tokens_details, "reasoning_tokens"),
    )


def _reported(details: Any, name: str) -> int | None:
    return getattr(details, name) if details.HasField(name) else None


def _finish(choice: Any) -> str:
    """Returns the word for why a choice ended, or the upstream's if we have none."""
    return _FINISH_REASONS.get(choice.finish_reason) or choice.native_finish_reason


_READERS: dict[str, Reader] = {
    kind.DESCRIPTOR.full_name: read
    for kind, read in (
        (chat_completion_pb2.CreateChatCompletionResponse, _chosen),
        (chat_completion_pb2.StreamChatCompletionResponse, _chosen_piece),
        (completion_pb2.CreateCompletionResponse, _chosen),
        (completion_pb2.StreamCompletionResponse, _chosen_piece),
        (generation_pb2.GenerateResponse, _chosen),
        (generation_pb2.StreamGenerateResponse, _chosen_piece),
        (response_pb2.CreateResponseResponse, _responded),
        (response_pb2.StreamResponseResponse, _response_piece),
        (embedding_pb2.CreateEmbeddingsResponse, _counted),
        (classification_pb2.ClassifyResponse, _counted),
        (pooling_pb2.PoolResponse, _counted),
        (rerank_pb2.RerankResponse, _counted),
        (rerank_pb2.ScoreResponse, _counted),
        (transcription_pb2.TranscribeResponse, _transcribed),
        (transcription_pb2.UploadTranscribeResponse, _transcribed),
        (transcription_pb2.StreamTranscribeResponse, _transcribed_piece),
        (transcription_pb2.UploadStreamTranscribeResponse, _transcribed_piece),
        (transcription_pb2.TranscribeLiveResponse, _transcribed_live),
    )
}
