"""Chat completions."""

from collections.abc import Mapping, Sized
from typing import Any, Literal

from penstock.v1 import common_pb2
from penstock.v1.chat_completion_pb2 import (
    ChatChoice,
    ChatChoiceDelta,
    ChatDelta,
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock.v1.message_pb2 import ROLE_ASSISTANT, ToolCallDelta
from penstock_server import routes
from penstock_server.convert import (
    document,
    extra,
    fields,
    generation,
    message,
    option_messages,
    tool_calls,
)
from penstock_server.convert.errors import MalformedAnswer, reads_answer

_PLAIN_FIELDS = option_messages.plain_names(CreateChatCompletionRequest.DESCRIPTOR)
_FORM_FIELDS = frozenset({"tools", "tool_choice", "response_format", "structured_outputs"})
ANSWER_KEYS = generation.ANSWER_KEYS | {"prompt_token_ids", "prompt_text", "prompt_logprobs"}
"""Keys of an answer that are read, or have the same value in every answer."""
# Upstreams do not stream them, so the streamed message has no field for them.
_EVENT_KEYS = ANSWER_KEYS - {"prompt_logprobs"}
_SENT_ONCE: tuple[Literal["prompt_token_ids", "prompt_text"], ...] = (
    "prompt_token_ids",
    "prompt_text",
)
_CHOICE_KEYS = generation.CHOICE_KEYS | {"message", "delta", "logprobs"}
_LOGPROB_KEYS = frozenset({"content"})
_DELTA_KEYS = message.GENERATED_KEYS
_INDEX_AND_DELTA = _ROLE_AND_CONTENT = 2
_INDEX_MESSAGE_END = 3
_USUAL_ENDS = ("stop", "length")


def request_body(request: CreateChatCompletionRequest, *, stream: bool) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    given = {field.name for field, _ in request.ListFields()}
    body: dict[str, Any] = {"messages": message.messages(request.messages)}
    if "sampling" in given:
        option_messages.require_tokens(request.sampling)
        body |= option_messages.sampling(request.sampling, max_tokens="max_completion_tokens")
    if "engine" in given:
        body |= option_messages.engine(request.engine)
    if "template" in given:
        body |= option_messages.template(request.template)
    body |= {name: getattr(request, name) for name in given & _PLAIN_FIELDS}
    if "logprobs" in given:
        body |= logprobs(request.logprobs)
    if given & _FORM_FIELDS:
        body |= _form(request)
    if stream:
        body |= option_messages.streaming(request.stream_options)
    if "extra_body" in given:
        fields.merge_extra(routes.CHAT_COMPLETIONS, body, request.extra_body)
    return body


def logprobs(wanted: common_pb2.LogprobOptions) -> dict[str, Any]:
    """Returns the keys that request log probabilities."""
    body: dict[str, Any] = {"logprobs": True}
    if wanted.HasField("top_logprobs"):
        body["top_logprobs"] = wanted.top_logprobs
    return body | option_messages.logprob_tokens(wanted)


def choices_wanted(request: CreateChatCompletionRequest) -> int:
    """Returns the number of requested choices."""
    return max(1, request.sampling.n)


@reads_answer
def response(data: Mapping[str, Any]) -> CreateChatCompletionResponse:
    """Returns the message for a unary answer.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = CreateChatCompletionResponse()
    generation.fill_origin(answer, data)
    choices = answer.choices
    for item in data["choices"]:
        target = choices.add()
        if not _fill_text(target, item):
            _fill_choice(target, item, choices)
            message.fill_message(target.message, item["message"])
    if not choices:
        raise MalformedAnswer("it has no choices")
    if positions := data.get("prompt_logprobs"):
        answer.prompt_logprobs.extend(generation.prompt_logprobs(positions))
    _fill_rest(answer, data, ANSWER_KEYS)
    return answer


class ChatStream:
    """Turns the events of one stream into messages."""

    def __init__(self) -> None:
        """Creates a stream before its first event."""
        self._beginning = generation.Beginning()
        self._speaking: set[int] = set()
        self._calls: dict[int, tool_calls.Calls] = {}
        self._sent: set[str] = set()

    @reads_answer
    def message(self, event: Mapping[str, Any]) -> StreamChatCompletionResponse | None:
        """Returns the message for the next event; None if it comes before the answer.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        beginning = self._beginning
        if not beginning.begun and beginning.is_awaited(event):
            return None
        answer = StreamChatCompletionResponse(id=beginning.id)
        if not beginning.id:
            beginning.fill(answer, event, _EVENT_KEYS)
        choices = answer.choices
        for item in event.get("choices") or ():
            target = choices.add()
            if text := self._continued(item):
                target.index, target.delta.content = item["index"], text
                continue
            _fill_choice(target, item, choices)
            self._fill_delta(target.index, target.delta, item.get("delta") or {})
        if not generation.PLAIN_EVENT_KEYS.issuperset(event):
            _fill_rest(answer, event, _EVENT_KEYS)
            self._send_once(answer)
        return answer

    def _send_once(self, answer: StreamChatCompletionResponse) -> None:
        """Clears fields of the prompt that were already sent; vLLM repeats them in each event."""
        for name in _SENT_ONCE:
            if name in self._sent:
                answer.ClearField(name)
            elif getattr(answer, name):
                self._sent.add(name)

    def _continued(self, choice: Mapping[str, Any]) -> str | None:
        """Returns the text of a choice that only continues a text, as nearly all do; else None."""
        index, delta = choice.get("index"), choice.get("delta")
        if type(index) is not int or index not in self._speaking or not delta or len(delta) != 1:
            return None
        text = delta.get("content")
        return text if type(text) is str and generation.given(choice) == _INDEX_AND_DELTA else None

    def _fill_delta(self, index: int, target: ChatDelta, delta: Mapping[str, Any]) -> None:
        # Always set, so that `choice.delta.content` is safe in languages with null messages.
        target.SetInParent()
        if index not in self._speaking:
            # The first message of a choice names the role, whether or not the upstream does.
            self._speaking.add(index)
            target.role = ROLE_ASSISTANT
            if role := delta.get("role"):
                target.role, target.custom_role = message.role_of(role)
        if content := delta.get("content"):
            target.content = content if type(content) is str else message.text_of(content)
        if reasoning := message.reasoning_of(delta):
            target.reasoning = reasoning
            if other := message.other_reasoning(delta, reasoning):
                document.add(target.extra, other)
        if refusal := delta.get("refusal"):
            target.refusal = refusal
        if calls := delta.get("tool_calls"):
            pieces = self._calls.setdefault(index, tool_calls.Calls()).pieces(calls)
            for piece, data in pieces:
                _fill_tool_delta(target.tool_calls.add(), piece, data)
        extra.keep(target, delta, _DELTA_KEYS)


def _form(request: CreateChatCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools:
        body["tools"] = message.tools(request.tools)
    if request.HasField("tool_choice"):
        body["tool_choice"] = message.tool_choice(request.tool_choice)
    if request.HasField("response_format"):
        body["response_format"] = message.response_format(request.response_format)
    if request.HasField("structured_outputs"):
        body["structured_outputs"] = option_messages.structured_outputs(request.structured_outputs)
    return body


def _fill_text(target: ChatChoice, data: Mapping[str, Any]) -> bool:
    """Writes a choice that is one text and its end, as nearly all are; returns whether it is."""
    index, said, reason = data.get("index"), data.get("message"), data.get("finish_reason")
    if type(index) is not int or type(said) is not dict or reason not in _USUAL_ENDS:
        return False
    text = said.get("content")
    if type(text) is not str or not text or said.get("role") != "assistant":
        return False
    if generation.given(data) != _INDEX_MESSAGE_END or generation.given(said) != _ROLE_AND_CONTENT:
        return False
    target.index, target.finish_reason = index, generation.FINISH_REASONS[reason]
    written = target.message
    written.role = ROLE_ASSISTANT
    written.content.add().text = text
    return True


def _fill_choice(
    target: ChatChoice | ChatChoiceDelta, data: Mapping[str, Any], siblings: Sized
) -> None:
    generation.fill_choice(target, data, siblings)
    if logprobs := data.get("logprobs"):
        generation.fill_logprobs(target.logprobs, logprobs.get("content") or ())
        extra.keep_under("logprobs", target, logprobs, _LOGPROB_KEYS)
    extra.keep(target, data, _CHOICE_KEYS)


def _fill_rest(
    target: CreateChatCompletionResponse | StreamChatCompletionResponse,
    data: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    generation.fill_answer(target, data)
    if token_ids := data.get("prompt_token_ids"):
        generation.extend(target.prompt_token_ids, token_ids)
    if data.get("prompt_text"):
        extra.fill(target, "prompt_text", data, extra.text)
    extra.keep(target, data, known)


def _fill_tool_delta(
    target: ToolCallDelta, piece: tool_calls.Piece, data: Mapping[str, Any]
) -> None:
    target.index = piece.number
    target.id, target.name, target.arguments = piece.id, piece.name, piece.arguments
    tool_calls.keep_unknown(target, data)
