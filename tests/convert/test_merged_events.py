"""Streams of a real vLLM with merged events: the accumulated answer is the same."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.chat_answer import ChatAccumulator
from penstock.completions import CompletionAccumulator
from penstock.generation import GenerationAccumulator
from penstock.response_answer import ResponseAccumulator
from penstock.v1.generation_pb2 import GENERATE_OUTPUT_MODE_TOKENS
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock_server.convert import chat, completion, token_generation, transcript
from penstock_server.convert.response import chat_answer, native_answer
from penstock_server.upstream import (
    ChoiceStream,
    ResponseEvents,
    StreamContract,
    TranscriptStream,
)

FOLDER = Path(__file__).parents[1] / "captures"

Events = list[dict[str, Any]]


def streams(folder: str) -> list[Any]:
    found = []
    for path in sorted((FOLDER / folder).glob("*_stream*.json")):
        capture = json.loads(path.read_text("utf-8"))
        if capture.get("events") and "error" not in capture["events"][-1]:
            found.append(pytest.param(capture["events"], id=path.stem))
    return found


def merged(events: Events, contract: StreamContract) -> Events:
    """Returns events of which each is merged with the next where that is possible."""
    found: Events = []
    for event in copy.deepcopy(events):
        contract.observe(event)
        both = contract.merged(found[-1], event) if found else None
        found[-1:] = [*found[-1:], event] if both is None else [both]
    return found


def a_chat(events: Events) -> Any:
    stream, answer = chat.ChatStream(), ChatAccumulator()
    for event in events:
        if (message := stream.message(event)) is not None:
            answer.add(message)
    return answer.result().proto


def a_converted_response(events: Events) -> Any:
    stream, answer = chat_answer.ResponseStream(CreateResponseRequest()), ResponseAccumulator()
    for message in [message for event in events for message in stream.messages(event)]:
        answer.add(message)
    partly = answer.result().proto
    last = stream.end()[-1]
    return partly, last.completed, last.incomplete


def a_completion(events: Events) -> Any:
    stream, answer = completion.CompletionStream(echo=False), CompletionAccumulator()
    for event in events:
        if (message := stream.message(event)) is not None:
            answer.add(message)
    return answer.result().proto


def a_generation(events: Events) -> Any:
    stream = token_generation.GenerateStream(GENERATE_OUTPUT_MODE_TOKENS)
    answer = GenerationAccumulator()
    for event in events:
        if (message := stream.message(event)) is not None:
            answer.add(message)
    return answer.result().proto


def a_native_response(events: Events) -> Any:
    stream, answer = native_answer.NativeStream(), ResponseAccumulator()
    partly = []
    for event in events:
        if event["type"] == "response.completed":
            partly.append(answer.result().proto)
        answer.add(stream.message(event))
    return partly, answer.result().proto


def a_transcription(events: Events) -> Any:
    stream = transcript.TranscriptDeltas()
    found = [delta for delta in map(stream.delta, events) if delta]
    text = "".join(delta.text for delta in found)
    last = found[-1]
    return text, last.finish_reason, last.usage, stream.end()


@pytest.mark.parametrize("events", streams("chat"))
@pytest.mark.parametrize("read", [a_chat, a_converted_response])
def test_chats(events: Events, read: Callable[[Events], Any]) -> None:
    _compare(events, read, ChoiceStream(1))


@pytest.mark.parametrize("events", streams("completion"))
def test_completions(events: Events) -> None:
    _compare(events, a_completion, ChoiceStream(1))


@pytest.mark.parametrize("events", streams("generation"))
def test_generations(events: Events) -> None:
    _compare(events, a_generation, ChoiceStream(1))


@pytest.mark.parametrize("events", streams("response"))
def test_native_responses(events: Events) -> None:
    _compare(events, a_native_response, ResponseEvents())


@pytest.mark.parametrize("events", streams("transcription"))
def test_transcriptions(events: Events) -> None:
    _compare(events, a_transcription, TranscriptStream())


def _compare(events: Events, read: Callable[[Events], Any], contract: StreamContract) -> None:
    fewer = merged(events, contract)
    assert read(fewer) == read(events)


@pytest.mark.parametrize(
    ("capture", "most"),
    [
        ("chat/chat_stream", 3),
        ("chat/chat_n2_stream", 5),
        ("chat/chat_tools_auto_stream", 5),
        ("chat/chat_logprobs_stream", 3),
        ("generation/gen_stream_interval", 3),
        ("generation/gen_text_logprobs_stream", 3),
        ("generation/gen_logprobs_stream", 3),
    ],
)
def test_most_events_are_merged(capture: str, most: int) -> None:
    events = json.loads((FOLDER / f"{capture}.json").read_text("utf-8"))["events"]
    assert len(merged(events, ChoiceStream(1))) <= most < len(events)
