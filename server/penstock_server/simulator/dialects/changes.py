"""The changes of vLLM's wire format, and the earlier form of requests and answers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from penstock_server import routes
from penstock_server.simulator.http import errors
from penstock_server.simulator.http.answers import Answer, Document, Json, Pieces, Raw
from penstock_server.vllm_fields import Version

RequestEdit: TypeAlias = Callable[[str, dict[str, Json]], object]
"""Changes the JSON body of a request to a path before it is read."""
AnswerEdit: TypeAlias = Callable[[Answer], object]
"""Changes an answer before it is written."""

_HOTTEST = 2.0
_ERROR_EVENT = b'data: {"error"'
_PARAMETER = re.compile(r" \(parameter=[^)]*\)(?=$| None$)")
_ISSUES = re.compile(r"\d+ validation errors?:\n  ")
_LOCATION = re.compile(r"'loc': '(body[^']*)'")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between versions.

    Attributes:
        before: the first version that behaves as the newest does.
        about: the earlier behavior.
        edit_request: gives a request its earlier meaning.
        edit_answer: gives an answer its earlier form.
    """

    before: Version
    about: str
    edit_request: RequestEdit | None = None
    edit_answer: AnswerEdit | None = None


# Earlier meaning of requests


def _usage_unless_refused(path: str, body: dict[str, Json]) -> None:
    options = body.get("stream_options")
    if isinstance(options, dict):
        options.setdefault("include_usage", True)


def _no_limit(path: str, body: dict[str, Json]) -> None:
    if path == routes.CHAT_COMPLETIONS and body.get("max_completion_tokens") == 0:
        del body["max_completion_tokens"]


def _hot(path: str, body: dict[str, Json]) -> None:
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature > _HOTTEST:
        body["temperature"] = _HOTTEST


def _trusting(path: str, body: dict[str, Json]) -> None:
    for name in ("mm_processor_kwargs", "media_io_kwargs"):
        body.pop(name, None)


def _no_tools(path: str, body: dict[str, Json]) -> None:
    if body.get("tools") == []:
        del body["tools"]


def _ignored_normalize(path: str, body: dict[str, Json]) -> None:
    body.pop("normalize", None)


def _no_completion_schema(path: str, body: dict[str, Json]) -> None:
    chosen = body.get("response_format")
    if (
        path == routes.COMPLETIONS
        and isinstance(chosen, dict)
        and chosen.get("type") == "json_schema"
    ):
        del body["response_format"]


# Earlier form of answers


def _documents(edit: Callable[[dict[str, Json]], object], streams_only: bool = False) -> AnswerEdit:
    """Returns an edit that changes the JSON objects of answers and events."""

    def change(data: Json) -> Json:
        if isinstance(data, dict):
            edit(data)
        return data

    def edit_answer(answer: Answer) -> None:
        if answer.streamed or not streams_only:
            answer.edit(change)

    return edit_answer


def _without(*keys: str, inside: str = "") -> Callable[[dict[str, Json]], object]:
    """Returns an edit that removes keys of the document, or of the object at a dotted path."""

    def edit(data: dict[str, Json]) -> None:
        holder: Json = data
        for name in filter(None, inside.split(".")):
            holder = holder.get(name) if isinstance(holder, dict) else None
        for key in keys if isinstance(holder, dict) else ():
            holder.pop(key, None)

    return edit


def _choices_without(*keys: str) -> Callable[[dict[str, Json]], object]:
    def edit(data: dict[str, Json]) -> None:
        for holder in (data, *(data.get("choices") or ())):
            for key in keys:
                holder.pop(key, None)

    return edit


def _messages(data: dict[str, Json]) -> Iterator[dict[str, Json]]:
    for choice in data.get("choices") or ():
        yield choice.get("message") or choice.get("delta") or {}


def _both_reasonings(data: dict[str, Json]) -> None:
    for message in _messages(data):
        if "reasoning" in message:
            message["reasoning_content"] = message["reasoning"]


def _old_reasoning(data: dict[str, Json]) -> None:
    for message in _messages(data):
        message.pop("reasoning", None)


def _no_calls(data: dict[str, Json]) -> None:
    for choice in data.get("choices") or ():
        if "message" in choice:
            choice["message"].setdefault("tool_calls", [])


def _without_transfer(data: dict[str, Json]) -> None:
    for holder in (data, data.get("response") or {}):
        holder.pop("ec_transfer_params", None)


def _plain_response(data: dict[str, Json]) -> None:
    response = data.get("response") or data
    if response.get("object") != "response":
        return
    for key in ("frequency_penalty", "presence_penalty", "kv_transfer_params"):
        response.pop(key, None)
    for item in response.get("output") or ():
        item.pop("phase", None)
    for tool in response.get("tools") or ():
        tool.pop("defer_loading", None)


def _plainer_response(data: dict[str, Json]) -> None:
    response = data.get("response") or data
    if response.get("object") != "response":
        return
    for tool in response.get("tools") or ():
        for key in ("allowed_callers", "async", "output_schema"):
            tool.pop(key, None)
    usage = response.get("usage") or {}
    (usage.get("input_tokens_details") or {}).pop("cache_write_tokens", None)


def _response_without_turns(data: dict[str, Json]) -> None:
    response = data.get("response") or data
    if response.get("object") != "response":
        return
    for details in (response.get("usage") or {}).values():
        if isinstance(details, dict):
            for key in [key for key in details if key.endswith("_per_turn")]:
                del details[key]


def _always_complete(data: dict[str, Json]) -> None:
    if data.get("object") != "response":
        return
    for key in ("incomplete_details", "input_messages", "output_messages"):
        data.pop(key, None)
    for part in (data, *data["output"]):
        if part.get("status") == "incomplete":
            part["status"] = "completed"


def _duration_as_text(data: dict[str, Json]) -> None:
    if "segments" in data and "duration" in data:
        data["duration"] = str(data["duration"])


def _rough_segments(data: dict[str, Json]) -> None:
    if "segments" in data and "duration" in data:
        for segment in data["segments"] or ():
            segment["avg_logprob"] = segment["compression_ratio"] = None


def _without_fingerprint(data: dict[str, Json]) -> None:
    if "system_fingerprint" in data:
        data["system_fingerprint"] = None


def _without_details(data: dict[str, Json]) -> None:
    usage = data.get("usage") or {}
    if "prompt_tokens_details" in usage:
        usage["prompt_tokens_details"] = None


def _without_zero(data: dict[str, Json]) -> None:
    usage = data.get("usage") or {}
    if not (usage.get("prompt_tokens_details") or {}).get("cached_tokens"):
        _without_details(data)


def _without_param(error: dict[str, Json]) -> None:
    if (error.get("param") or "").startswith("body"):
        error.update(param=None, message=_LOCATION.sub(_location_as_tuple, error["message"]))


def _location_as_tuple(location: re.Match[str]) -> str:
    parts = (int(part) if part.isdecimal() else part for part in location[1].split("."))
    return f"'loc': {tuple(parts)}"


def _unnamed(error: dict[str, Json]) -> None:
    error.update(param=None, message=_PARAMETER.sub("", error["message"]))


def _listed(error: dict[str, Json]) -> None:
    if match := _ISSUES.match(error["message"]):
        issues = error["message"][match.end() :].split("\n  ")
        # vLLM itself raises those that are not objects.
        shown = [issue if issue.startswith("{") else repr(issue) for issue in issues]
        listed = f"[{', '.join(shown)}]".replace("'<dict of 0 items>'", "{}")
        error["message"] = listed if shown == issues else f" {listed}"


def _total_only(data: dict[str, Json]) -> None:
    if "results" in data:
        data["usage"].pop("prompt_tokens", None)


def _own_id(data: dict[str, Json]) -> None:
    if "results" in data:
        data["id"] = data["id"].replace("score-", "rerank-", 1)


def _transcript_without_usage(data: dict[str, Json]) -> None:
    if (data.get("usage") or {}).get("type") == "duration":
        del data["usage"]


def _errors(edit: Callable[[dict[str, Json]], object], flat: bool = False) -> AnswerEdit:
    """Returns an edit of errors in bodies and events; flat removes `error` from bodies."""

    def change(data: Json) -> Json:
        edit(data["error"])
        return data["error"] if flat else data

    async def changed(pieces: Pieces) -> Pieces:
        async for piece in pieces:
            if isinstance(piece, Document) and _is_error(piece.data):
                yield Document(change(piece.data))
            elif isinstance(piece, Raw) and piece.data.startswith(_ERROR_EVENT):
                data = orjson.loads(piece.data.removeprefix(b"data: "))
                edit(data["error"])
                yield errors.error_event(data)
            else:
                yield piece

    return lambda answer: answer.filters.append(changed)


def _is_error(data: Json) -> bool:
    return isinstance(data, dict) and data.keys() == {"error"} and isinstance(data["error"], dict)


CHANGES = (
    Change(
        (0, 31),
        "Media parameters were accepted from every caller.",
        edit_request=_trusting,
    ),
    Change(
        (0, 28),
        "Usage did not contain the reasoning tokens.",
        edit_answer=_documents(_without("completion_tokens_details", inside="usage")),
    ),
    Change(
        (0, 28),
        "Answers had no metrics.",
        edit_answer=_documents(_without("metrics")),
    ),
    Change(
        (0, 28),
        "Usage did not contain the tokens written to the cache.",
        edit_answer=_documents(
            _without("created_cache_tokens", inside="usage.prompt_tokens_details")
        ),
    ),
    Change(
        (0, 26),
        "The earlier name of `use_activation` for embeddings had no effect.",
        edit_request=_ignored_normalize,
    ),
    Change(
        (0, 26),
        "Answers had no parameters of encoder transfers.",
        edit_answer=_documents(_without_transfer),
    ),
    Change(
        (0, 24),
        "Messages without calls had an empty list of them.",
        edit_answer=_documents(_no_calls),
    ),
    Change(
        (0, 24),
        "Every temperature was accepted.",
        edit_request=_hot,
    ),
    Change(
        (0, 24),
        "Usage did not contain the tokens of images and audio.",
        edit_answer=_documents(_without("multimodal_tokens", inside="usage.prompt_tokens_details")),
    ),
    Change(
        (0, 24),
        "Usage contained the cached tokens of the prompt only if there were any.",
        edit_answer=_documents(_without_zero),
    ),
    Change(
        (0, 22),
        "Streams had no fingerprint.",
        edit_answer=_documents(_without("system_fingerprint"), streams_only=True),
    ),
    Change(
        (0, 22),
        "The fingerprint of unary answers was null.",
        edit_answer=_documents(_without_fingerprint),
    ),
    Change(
        (0, 21),
        "The duration of audio with segments was a string.",
        edit_answer=_documents(_duration_as_text),
    ),
    Change(
        (0, 21),
        "Choices had no routed experts.",
        edit_answer=_documents(_choices_without("routed_experts")),
    ),
    Change(
        (0, 21),
        "Tools and usage of responses had fewer keys.",
        edit_answer=_documents(_plainer_response),
    ),
    Change(
        (0, 21),
        "Errors about the structure of a request named the parameter only in their message.",
        edit_answer=_errors(_without_param),
    ),
    Change(
        (0, 21),
        "Answers did not contain the prompt as text.",
        edit_answer=_documents(_without("prompt_text")),
    ),
    Change(
        (0, 20),
        "Ids of rerankings had their own prefix.",
        edit_answer=_documents(_own_id),
    ),
    Change(
        (0, 18),
        "Stream options without `include_usage` enabled it.",
        edit_request=_usage_unless_refused,
    ),
    Change(
        (0, 16),
        "Reasoning was in two fields, with the same text.",
        edit_answer=_documents(_both_reasonings),
    ),
    Change(
        (0, 15),
        "Responses had fewer keys.",
        edit_answer=_documents(_plain_response),
    ),
    Change(
        (0, 15),
        "Segments had no quality measures.",
        edit_answer=_documents(_rough_segments),
    ),
    Change(
        (0, 15),
        "A limit of 0 tokens in a chat meant no limit.",
        edit_request=_no_limit,
    ),
    Change(
        (0, 15),
        "An empty list of tools was ignored.",
        edit_request=_no_tools,
    ),
    Change(
        (0, 15),
        "Usage did not contain the cached tokens of the prompt.",
        edit_answer=_documents(_without_details),
    ),
    Change(
        (0, 14),
        "Errors did not name the parameter.",
        edit_answer=_errors(_unnamed),
    ),
    Change(
        (0, 13),
        "The usage of reranking had only a total.",
        edit_answer=_documents(_total_only),
    ),
    Change(
        (0, 12),
        "Errors about the structure of a request were a list, as FastAPI described them then.",
        edit_answer=_errors(_listed),
    ),
    Change(
        (0, 11, 1),
        "The usage of responses did not list turns.",
        edit_answer=_documents(_response_without_turns),
    ),
    Change(
        (0, 11, 1),
        "JSON schemas in `response_format` of text completions had no effect.",
        edit_request=_no_completion_schema,
    ),
    Change(
        (0, 11, 1),
        "Reasoning had only its old name.",
        edit_answer=_documents(_old_reasoning),
    ),
    Change(
        (0, 11),
        "Responses that were cut off by the limit were complete.",
        edit_answer=_documents(_always_complete),
    ),
    Change(
        (0, 10, 2),
        "Answers did not contain token ids.",
        edit_answer=_documents(_choices_without("token_ids", "prompt_token_ids")),
    ),
    Change(
        (0, 10, 2),
        "Transcripts had no usage.",
        edit_answer=_documents(_transcript_without_usage),
    ),
    Change(
        (0, 10, 1),
        "The body of an error was the error itself.",
        edit_answer=_errors(lambda error: error.update(object="error"), flat=True),
    ),
)
"""The changes, latest first; `Dialect` contains those of routes, keys and forms."""
