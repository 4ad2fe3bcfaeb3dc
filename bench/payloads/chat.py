"""Chats: a request of about 1.8 kB, its answer, its stream."""

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from bench.payloads.common import CREATED, dump, expect_usage, text, usage
from penstock.v1 import chat_completion_pb2
from penstock.v1.common_pb2 import FINISH_REASON_STOP
from penstock.v1.message_pb2 import ROLE_ASSISTANT, ROLE_SYSTEM, ROLE_USER

CHAT_MODEL = "bench-chat"
MARKER = re.compile(rb"#(\d{5})@([0-9a-f]{16})")
_FINGERPRINT = "vllm-0.32.0-1637d7d4"
_STREAM_ID = "chatcmpl-a5d46ffc7b807243"

_ANSWER = text(70, 1)
_CONVERSATION = (
    ("system", text(60, 2)),
    ("user", text(110, 3)),
    ("assistant", text(60, 4)),
    ("user", text(60, 5)),
)
_ROLES = {"system": ROLE_SYSTEM, "user": ROLE_USER, "assistant": ROLE_ASSISTANT}


def chat_http(model: str, *, stream: bool) -> bytes:
    """Returns the body of a chat over HTTP, about 1.8 kB."""
    messages = [{"role": role, "content": said} for role, said in _CONVERSATION]
    body: dict[str, Any] = {"model": model, "messages": messages}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return dump(body)


def chat_grpc(model: str) -> bytes:
    """Returns the same chat as a message."""
    request = chat_completion_pb2.CreateChatCompletionRequest(model=model)
    for role, said in _CONVERSATION:
        request.messages.add(role=_ROLES[role]).content.add(text=said)
    return request.SerializeToString()


def chat_answer() -> bytes:
    """Returns the upstream's answer to a chat."""
    message = {
        "role": "assistant",
        "content": _ANSWER,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning": None,
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "stop",
        "stop_reason": None,
        "token_ids": None,
        "routed_experts": None,
    }
    nulls = ("prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "metrics")
    return dump(
        {
            "id": "chatcmpl-89347a330bafb33a",
            "object": "chat.completion",
            "created": CREATED,
            "model": CHAT_MODEL,
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": _FINGERPRINT,
            "usage": usage(300, 90),
            **dict.fromkeys(nulls),
        }
    )


def chat_expected() -> Message:
    """Returns the expected message."""
    expected = chat_completion_pb2.CreateChatCompletionResponse(
        id="chatcmpl-89347a330bafb33a", model=CHAT_MODEL, system_fingerprint=_FINGERPRINT
    )
    expected.create_time.seconds = CREATED
    choice = expected.choices.add(finish_reason=FINISH_REASON_STOP)
    choice.message.role = ROLE_ASSISTANT
    choice.message.content.add(text=_ANSWER)
    expect_usage(expected.usage, 300, 90)
    return expected


def chat_text() -> bytes:
    """Returns the text of the answer."""
    return _ANSWER.encode()


def stream_model(chunks: int, delay_us: int) -> str:
    """Returns the name of the model that streams a number of chunks at an interval."""
    return f"stream-{chunks}-{delay_us}"


# Streams: an event with the role, events with one marker each, a finish, usage.


def _event(choices: Sequence[dict[str, Any]], **more: Any) -> bytes:
    event = {
        "id": _STREAM_ID,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": CHAT_MODEL,
        "choices": choices,
    }
    return b"data: " + dump(event | more) + b"\n\n"


def _choice(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **more}


def stream_files() -> dict[str, bytes]:
    """Returns the pieces from which the upstream builds streams."""
    first = _choice({"role": "assistant", "content": ""})
    head, tail = _event([_choice({"content": " @"}, token_ids=None)]).split(b"@")
    finish = _event([_choice({}, "stop", stop_reason=None, token_ids=None)])
    counted = _event([], usage=usage(300, 100), system_fingerprint=_FINGERPRINT)
    return {
        "stream.first": _event([first], prompt_token_ids=None, prompt_text=None),
        "stream.chunk.head": head,
        "stream.chunk.tail": tail,
        "stream.last": finish + counted + b"data: [DONE]\n\n",
    }


def stream_messages(
    markers: Sequence[bytes],
) -> list[chat_completion_pb2.StreamChatCompletionResponse]:
    """Returns the expected messages of a stream with these markers."""
    response = chat_completion_pb2.StreamChatCompletionResponse
    first = response(id=_STREAM_ID, model=CHAT_MODEL)
    first.create_time.seconds = CREATED
    first.choices.add().delta.role = ROLE_ASSISTANT
    middle = []
    for marker in markers:
        message = response(id=_STREAM_ID)
        message.choices.add().delta.content = f" {marker.decode()}"
        middle.append(message)
    finish = response(id=_STREAM_ID)
    finish.choices.add(finish_reason=FINISH_REASON_STOP)
    last = response(id=_STREAM_ID, system_fingerprint=_FINGERPRINT)
    expect_usage(last.usage, 300, 100)
    return [first, *middle, finish, last]
