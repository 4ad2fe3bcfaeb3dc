"""What changed in vLLM's speech, and how requests and answers were before."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from penstock_server import routes
from penstock_server.simulator.http import errors
from penstock_server.simulator.http.answers import Answer, Document, Json, Pieces, Raw
from penstock_server.vllm_fields import Version

AskedEdit: TypeAlias = Callable[[str, dict[str, Json]], object]
"""Changes a path's JSON body before it is read."""
ToldEdit: TypeAlias = Callable[[Answer], object]
"""Changes an answer before it is written."""

_HOTTEST = 2.0
_ERROR_EVENT = b'data: {"error"'
_PARAMETER = re.compile(r" \(parameter=[^)]*\)$")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was different before a version.

    Attributes:
        before: the first version that speaks as the newest does.
        about: what was different.
        asked: what that makes of requests.
        told: what that makes of answers.
    """

    before: Version
    about: str
    asked: AskedEdit | None = None
    told: ToldEdit | None = None


# What requests meant


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


# How answers looked


def _documents(edit: Callable[[dict[str, Json]], object], streams_only: bool = False) -> ToldEdit:
    """Changes the JSON objects of answers and events."""

    def change(data: Json) -> Json:
        if isinstance(data, dict):
            edit(data)
        return data

    def told(answer: Answer) -> None:
        if answer.streamed or not streams_only:
            answer.edit(change)

    return told


def _without(*keys: str, inside: str = "") -> Callable[[dict[str, Json]], object]:
    """Leaves out keys of the document, or of an object inside it, whose names dots separate."""

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


def _said(data: dict[str, Json]) -> Iterator[dict[str, Json]]:
    for choice in data.get("choices") or ():
        yield choice.get("message") or choice.get("delta") or {}


def _both_reasonings(data: dict[str, Json]) -> None:
    for said in _said(data):
        if "reasoning" in said:
            said["reasoning_content"] = said["reasoning"]


def _old_reasoning(data: dict[str, Json]) -> None:
    for said in _said(data):
        said.pop("reasoning", None)


def _fewer_keys(data: dict[str, Json]) -> None:
    data.pop("ec_transfer_params", None)
    for choice in data.get("choices") or ():
        choice.pop("routed_experts", None)
        if "message" in choice:
            choice["message"].setdefault("tool_calls", [])


def _plain_response(data: dict[str, Json]) -> None:
    response = data.get("response") or data
    if response.get("object") != "response":
        return
    for key in ("frequency_penalty", "presence_penalty", "kv_transfer_params"):
        response.pop(key, None)
    for item in response.get("output") or ():
        item.pop("phase", None)
    for tool in response.get("tools") or ():
        for key in ("allowed_callers", "async", "defer_loading", "output_schema"):
            tool.pop(key, None)
    usage = response.get("usage") or {}
    (usage.get("input_tokens_details") or {}).pop("cache_write_tokens", None)


def _rough_segments(data: dict[str, Json]) -> None:
    if "segments" in data and "duration" in data:
        data["duration"] = str(data["duration"])
        for segment in data["segments"] or ():
            segment["avg_logprob"] = segment["compression_ratio"] = None


def _without_fingerprint(data: dict[str, Json]) -> None:
    if "system_fingerprint" in data:
        data["system_fingerprint"] = None


def _without_details(data: dict[str, Json]) -> None:
    usage = data.get("usage") or {}
    if "prompt_tokens_details" in usage:
        usage["prompt_tokens_details"] = None


def _without_param(error: dict[str, Json]) -> None:
    if (error.get("param") or "").startswith("body"):
        error["param"] = None


def _unnamed(error: dict[str, Json]) -> None:
    error.update(param=None, message=_PARAMETER.sub("", error["message"]))


def _total_only(data: dict[str, Json]) -> None:
    if "results" in data:
        data["usage"].pop("prompt_tokens", None)


def _transcript_without_usage(data: dict[str, Json]) -> None:
    if (data.get("usage") or {}).get("type") == "duration":
        del data["usage"]


def _errors(edit: Callable[[dict[str, Json]], object], flat: bool = False) -> ToldEdit:
    """Changes errors, in bodies and in events; takes them out of `error` in bodies if flat."""

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
        "Parameters of media were taken from anyone.",
        asked=_trusting,
    ),
    Change(
        (0, 28),
        "Usage did not tell the tokens of thought and those that were put into the cache.",
        told=_documents(_without("completion_tokens_details", inside="usage")),
    ),
    Change(
        (0, 28),
        "Answers had no metrics.",
        told=_documents(_without("metrics")),
    ),
    Change(
        (0, 28),
        "Usage did not tell the tokens that were put into the cache.",
        told=_documents(_without("created_cache_tokens", inside="usage.prompt_tokens_details")),
    ),
    Change(
        (0, 24),
        "Any temperature was taken.",
        asked=_hot,
    ),
    Change(
        (0, 24),
        "Usage did not tell the tokens of images and audio.",
        told=_documents(_without("multimodal_tokens", inside="usage.prompt_tokens_details")),
    ),
    Change(
        (0, 22),
        "Streams had no fingerprint.",
        told=_documents(_without("system_fingerprint"), streams_only=True),
    ),
    Change(
        (0, 22),
        "Whole answers had a fingerprint without a value.",
        told=_documents(_without_fingerprint),
    ),
    Change(
        (0, 21),
        "What was wrong with the shape of a request was told without the parameter.",
        told=_errors(_without_param),
    ),
    Change(
        (0, 21),
        "The prompt as text could not be had.",
        told=_documents(_without("prompt_text")),
    ),
    Change(
        (0, 18),
        "Stream options that did not mention usage asked for it.",
        asked=_usage_unless_refused,
    ),
    Change(
        (0, 16),
        "Thought had two names, with the same text.",
        told=_documents(_both_reasonings),
    ),
    Change(
        (0, 15),
        "Answers had fewer keys.",
        told=_documents(_fewer_keys),
    ),
    Change(
        (0, 15),
        "Responses had fewer keys.",
        told=_documents(_plain_response),
    ),
    Change(
        (0, 15),
        "Segments had no measures, and a duration was a text.",
        told=_documents(_rough_segments),
    ),
    Change(
        (0, 15),
        "A chat's limit of 0 tokens was none.",
        asked=_no_limit,
    ),
    Change(
        (0, 15),
        "An empty list of tools was none.",
        asked=_no_tools,
    ),
    Change(
        (0, 15),
        "Usage did not say how much of the prompt had been kept.",
        told=_documents(_without_details),
    ),
    Change(
        (0, 14),
        "Errors did not name the parameter.",
        told=_errors(_unnamed),
    ),
    Change(
        (0, 13),
        "The usage of rerank had a total only.",
        told=_documents(_total_only),
    ),
    Change(
        (0, 11, 1),
        "Thought had its old name only.",
        told=_documents(_old_reasoning),
    ),
    Change(
        (0, 10, 2),
        "The ids of tokens could not be had.",
        told=_documents(_choices_without("token_ids", "prompt_token_ids")),
    ),
    Change(
        (0, 10, 2),
        "Transcripts had no usage.",
        told=_documents(_transcript_without_usage),
    ),
    Change(
        (0, 10, 1),
        "The body of an error was the error itself.",
        told=_errors(lambda error: error.update(object="error"), flat=True),
    ),
)
"""What changed, the latest first; those of routes, keys and forms are the dialect's own."""
