"""Nothing in the answers of a real vLLM is lost in our messages."""

from collections.abc import Iterator
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any

import orjson
import pytest

from penstock.v1.chat_completion_pb2 import StreamChatCompletionResponse
from penstock_server import routes
from penstock_server.convert import chat, model
from penstock_server.convert.fields import REMOVED
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.error_body import find_error, status_of

from .captures import load, names
from .losses import losses
from .requests import from_json

WHOLE = names(lambda capture: "choices" in (capture.get("body") or {}))
STREAMS = names(lambda capture: any("choices" in event for event in capture.get("events", ())))
ERRORS = names(
    lambda capture: "error" in (capture.get("body") or (capture.get("events") or [{}])[0] or {})
)


def test_there_are_captures() -> None:
    assert len(WHOLE) > 30
    assert len(STREAMS) > 15
    assert len(ERRORS) > 30


@pytest.mark.parametrize("name", WHOLE)
def test_unary_answer(name: str) -> None:
    body = load(name)["body"]
    assert list(losses(body, chat.response(body))) == []


@pytest.mark.parametrize("name", ["chat_logprobs", "chat_tools_auto", "chat_prompt_logprobs"])
def test_losses_are_detected(name: str) -> None:
    body = load(name)["body"]
    message = chat.response(body)
    for keys in _leaves(body):
        changed = deepcopy(body)
        inner = reduce(getitem, keys[:-1], changed)
        inner[keys[-1]] = "something else"
        found = list(losses(changed, message))
        assert bool(found) is (keys[-1] not in ("object", "type")), keys


def _leaves(data: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from _leaves(value, (*keys, key))
        elif value is not None:
            yield (*keys, key)


@pytest.mark.parametrize("name", STREAMS)
def test_stream(name: str) -> None:
    capture = load(name)
    contract = ChoiceStream((capture["request"]["body"].get("n")) or 1)
    stream, messages = chat.ChatStream(), list[StreamChatCompletionResponse]()
    for event in capture["events"]:
        contract.observe(event)
        message = stream.message(event)
        assert message
        messages.append(message)
        assert list(losses(_news(event, messages), messages[-1])) == []
    asked = capture["request"]["body"].get("stream_options") or {}
    assert contract.complete is bool(asked.get("include_usage")), contract.missing


def _news(event: Any, messages: list[StreamChatCompletionResponse]) -> Any:
    """Returns an event without the facts that the first message contains."""
    if len(messages) == 1:
        return event
    assert event["model"] == messages[0].model
    assert event["created"] == messages[0].create_time.seconds
    return {key: value for key, value in event.items() if key not in ("model", "created")}


@pytest.mark.parametrize("name", STREAMS)
def test_role_is_sent_once_per_choice(name: str) -> None:
    stream = chat.ChatStream()
    messages = [stream.message(event) for event in load(name)["events"]]
    roles: dict[int, list[int]] = {}
    for choice in (choice for message in messages if message for choice in message.choices):
        roles.setdefault(choice.index, []).append(choice.delta.role)
    for said in roles.values():
        assert said[0]
        assert not any(said[1:])


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    capture = load(name)
    document = capture.get("body") or capture["events"][0]
    error = find_error(document)
    assert error is not None
    if isinstance(document["error"], str):
        assert error.message == document["error"]
        return
    said = {key: value or "" for key, value in document["error"].items()}
    read = {key: getattr(error, key) for key in ("message", "type", "param", "code")}
    assert read == said
    assert status_of(error) == (400 if "events" in capture else capture["status"])


def test_models() -> None:
    for entry in load("get_v1_models")["body"]["data"]:
        assert list(losses(entry, model.model(entry, None))) == []


REQUESTS = names(
    lambda capture: (
        capture["status"] == 200
        and isinstance(capture["request"].get("body"), dict)
        and capture["request"]["path"] == routes.CHAT_COMPLETIONS
        and not REMOVED.keys() & capture["request"]["body"].keys()
    )
)


@pytest.mark.parametrize("name", REQUESTS)
def test_request(name: str) -> None:
    """A request that vLLM accepted can be represented in our message and is sent unchanged."""
    body = load(name)["request"]["body"]
    stream = bool(body.get("stream"))
    made = orjson.loads(orjson.dumps(chat.request_body(from_json(body), stream=stream)))
    assert _normal(made) == _normal(body)


def _normal(body: Any) -> Any:
    """Returns a body without insignificant differences."""
    normal = {key: value for key, value in body.items() if value is not None}
    normal.pop("stream_options", None)
    # It is sent as a header.
    normal.pop("request_id", None)
    if not normal.get("stream"):
        normal.pop("stream", None)
    limits = [normal.pop(key, None) for key in ("max_tokens", "max_completion_tokens")]
    normal["limit"] = limits[1] if limits[1] is not None else limits[0]
    if isinstance(normal.get("stop"), str):
        normal["stop"] = [normal["stop"]]
    normal["messages"] = [_normal_message(message) for message in normal["messages"]]
    return normal


def _normal_message(message: Any) -> Any:
    content = message.get("content")
    if isinstance(content, list) and len(content) == 1:
        content = content[0]["text"]
    return {**message, "content": content or None}
