"""The sum of the messages of a stream, as the Python client adds them up."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from penstock.chat_answer import ChatAccumulator
from penstock.completions import CompletionAccumulator
from penstock.generation import GenerationAccumulator
from penstock.response_answer import ResponseAccumulator
from penstock.transcribe import TranscriptionAccumulator

from .conversation import message_type
from .whole_streams import Whole

Json = Any

_ACCUMULATORS: Mapping[str, Callable[[int], Any]] = {
    "ChatCompletionService": ChatAccumulator,
    "CompletionService": CompletionAccumulator,
    "GenerationService": GenerationAccumulator,
    "ResponseService": lambda _: ResponseAccumulator(),
    "TranscriptionService": lambda _: TranscriptionAccumulator(),
}
ADDED = frozenset({"penstock_unknown", "x-cost"})
"""Keys that harmless faults add."""
_SECONDS = len("2026-11-22T21:07:38")


def accumulated(whole: Whole, received: list[bytes]) -> Json:
    """Returns the sum of messages, what it lacks, and the texts that arrived in pieces."""
    messages = parsed(whole, received)
    accumulator = _ACCUMULATORS[whole.rpc.name.partition("/")[0]](whole.choices)
    for message in messages:
        accumulator.add(message)
    answer = _plain(MessageToDict(accumulator.result().proto))
    return {"answer": answer, "missing": accumulator.missing(), "pieces": _pieces(messages)}


def parsed(whole: Whole, received: list[bytes]) -> list[Any]:
    """Parses the messages of a stream."""
    kind = message_type(whole.rpc, "output")
    return [kind.FromString(one) for one in received]


def arrived(message: Message, at: str = "") -> Iterator[str]:
    """Returns the places of messages that have one of the added keys in `extra`."""
    for field, value in message.ListFields():
        if field.name == "extra":
            if ADDED & set(json.loads(value.json)):
                yield at
        elif field.message_type and field.message_type.file.package == "penstock.v1":
            # Entries of maps have no `extra`.
            inner = [] if field.message_type.GetOptions().map_entry else value
            for one in inner if field.is_repeated else [value]:
                yield from arrived(one, f"{at}.{field.name}".strip("."))


def _plain(value: Json) -> Json:
    """Returns a message without the added keys, with parsed arguments."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(one) for key, one in value.items() if key not in ADDED}
    if "extra" in plain:
        plain["extra"] = _plain(json.loads(plain["extra"]["json"]))
    if "createTime" in plain:
        # Some servers send fractions of seconds.
        plain["createTime"] = plain["createTime"][:_SECONDS]
    if "arguments" in plain:
        plain["arguments"] = _meaning(plain["arguments"])
    if "choices" in plain.get("extra", ()):
        # A response has no field for them; they are identified by their index.
        rest = [one for one in plain["extra"].pop("choices") if one.keys() != {"index"}]
        plain["extra"] |= {"choices": rest} if rest else {}
    return {key: one for key, one in plain.items() if (key, one) != ("extra", {})}


def _meaning(arguments: str) -> Json:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


_PIECES = ("output_text_delta", "reasoning_text_delta", "refusal_delta")
_CALL = "function_call_arguments_delta"


def _pieces(messages: list[Any]) -> Json:
    """Returns the texts of response events, by their place; other messages consist of pieces."""
    texts: dict[str, str] = {}
    for message in messages:
        kind = message.WhichOneof("event") if hasattr(message, "sequence_number") else ""
        if kind in (*_PIECES, _CALL):
            event = getattr(message, kind)
            place = f"{event.output_index} {getattr(event, 'content_index', 0)} {kind}"
            texts[place] = texts.get(place, "") + (event.arguments if kind == _CALL else event.text)
    return {place: _meaning(text) if _CALL in place else text for place, text in texts.items()}
