"""Text completions."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

from penstock.v1.common_pb2 import LogprobOptions
from penstock.v1.completion_pb2 import (
    CompletionChoice,
    CompletionChoiceDelta,
    CompletionLogprob,
    CreateCompletionRequest,
    CreateCompletionResponse,
    Prompt,
    StreamCompletionResponse,
)
from penstock_server import routes
from penstock_server.base64_text import LongBase64, base64_text
from penstock_server.convert import extra, fields, generation, message, option_messages, prompt_ids
from penstock_server.convert.errors import MalformedAnswer, invalid, reads_answer
from penstock_server.json_numbers import integer, number

_CHOICE_KEYS = generation.CHOICE_KEYS | {"text", "logprobs", "prompt_token_ids"}
_LOGPROB_KEYS = frozenset({"tokens", "token_logprobs", "text_offset", "top_logprobs"})
# Events have no log probabilities of the prompt; if an upstream sends some, `extra` holds them.
_UNARY_CHOICE_KEYS = _CHOICE_KEYS | {"prompt_logprobs"}


def request_body(request: CreateCompletionRequest, *, stream: bool) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    option_messages.refuse(request.engine, "engine", "return_prompt_text")
    body = _prompts(request.prompts)
    body |= option_messages.sampling(request.sampling, max_tokens="max_tokens")
    body |= option_messages.engine(request.engine)
    body |= option_messages.scalars(request, "", skip=("extra_body",))
    if request.HasField("logprobs"):
        body |= _logprobs(request.logprobs)
    if request.HasField("response_format"):
        body["response_format"] = message.response_format(request.response_format)
    if request.HasField("structured_outputs"):
        body["structured_outputs"] = option_messages.structured_outputs(request.structured_outputs)
    if stream:
        body |= option_messages.streaming(request.stream_options)
    if request.HasField("extra_body"):
        fields.merge_extra(routes.COMPLETIONS, body, request.extra_body)
    return body


def choices_wanted(request: CreateCompletionRequest) -> int:
    """Returns the number of requested choices."""
    return len(request.prompts) * max(1, request.sampling.n)


@reads_answer
def response(data: Mapping[str, Any], *, echo: bool = False) -> CreateCompletionResponse:
    """Returns the message for a unary answer.

    Args:
        data: the upstream's answer.
        echo: whether the text begins with the prompt.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = CreateCompletionResponse()
    generation.fill_origin(answer, data)
    choices = answer.choices
    for item in data["choices"]:
        target = choices.add()
        _fill_choice(target, item, choices, echo)
        target.text = item["text"] or ""
        if positions := item.get("prompt_logprobs"):
            target.prompt_logprobs.extend(generation.prompt_logprobs(positions))
        extra.keep(target, item, _UNARY_CHOICE_KEYS)
    if not answer.choices:
        raise MalformedAnswer("it has no choices")
    generation.fill_answer(answer, data)
    extra.keep(answer, data, generation.ANSWER_KEYS)
    return answer


class CompletionStream:
    """Turns the events of one stream into messages."""

    def __init__(self, *, echo: bool = False) -> None:
        """Creates a stream before its first event.

        Args:
            echo: whether the texts begin with the prompt.
        """
        self._echo = echo
        self._beginning = generation.Beginning()

    @reads_answer
    def message(self, event: Mapping[str, Any]) -> StreamCompletionResponse | None:
        """Returns the message for the next event; None if it comes before the answer.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        beginning = self._beginning
        if not beginning.begun and beginning.is_awaited(event):
            return None
        answer = StreamCompletionResponse(id=beginning.id)
        if not beginning.id:
            beginning.fill(answer, event, generation.ANSWER_KEYS)
        choices = answer.choices
        for item in event.get("choices") or ():
            target = choices.add()
            _fill_choice(target, item, choices, self._echo)
            # Some upstreams omit it if a choice only ends.
            target.text = item.get("text") or ""
            extra.keep(target, item, _CHOICE_KEYS)
        if not generation.PLAIN_EVENT_KEYS.issuperset(event):
            generation.fill_answer(answer, event)
            extra.keep(answer, event, generation.ANSWER_KEYS)
        return answer


def _prompts(prompts: Sequence[Prompt]) -> dict[str, Any]:
    if not prompts:
        raise invalid("prompts", "must contain at least one prompt")
    kinds = [prompt.WhichOneof("prompt") for prompt in prompts]
    values = [_prompt(prompt, f"prompts[{i}]") for i, prompt in enumerate(prompts)]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise invalid(f"prompts[{i}]", f"is {kind}; all must be of one kind, {kinds[0]}")
    key = "prompt_embeds" if kinds[0] == "embeds" else "prompt"
    return {key: values[0] if len(values) == 1 else values}


def _prompt(prompt: Prompt, path: str) -> str | LongBase64 | list[int]:
    match prompt.WhichOneof("prompt"):
        case "text":
            return prompt.text
        case "token_ids":
            return prompt_ids.read(prompt.token_ids, f"{path}.token_ids")
        case "embeds":
            return base64_text(prompt.embeds)
    raise invalid(path, "the prompt is empty")


def _logprobs(wanted: LogprobOptions) -> dict[str, Any]:
    return {"logprobs": wanted.top_logprobs} | option_messages.logprob_tokens(wanted)


def _fill_choice(
    target: CompletionChoice | CompletionChoiceDelta,
    data: Mapping[str, Any],
    siblings: Sized,
    echo: bool,
) -> None:
    generation.fill_choice(target, data, siblings)
    if logprobs := data.get("logprobs"):
        target.logprobs.extend(_completion_logprobs(logprobs, echo))
        extra.keep_under("logprobs", target, logprobs, _LOGPROB_KEYS)
    if token_ids := data.get("prompt_token_ids"):
        generation.extend(target.prompt_token_ids, token_ids)


def _completion_logprobs(data: Mapping[str, Any], echo: bool) -> Iterable[CompletionLogprob]:
    tokens = data.get("tokens") or ()
    if not tokens:
        return
    nothing = [None] * len(tokens)
    offsets = nothing if data.get("text_offset") is None else data["text_offset"]
    columns = tokens, data["token_logprobs"], offsets, data.get("top_logprobs") or nothing
    for token, logprob, offset, top in zip(*columns, strict=True):
        record = CompletionLogprob(token=token, text_offset=integer(offset or 0))
        # The first token of a prompt has no value. Any other null stands for a non-finite number.
        if logprob is not None or top or offset or not echo:
            record.logprob = number(logprob)
        for text, value in (top or {}).items():
            record.top_logprobs.add(token=text, logprob=number(value))
        yield record
