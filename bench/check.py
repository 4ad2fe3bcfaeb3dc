"""Checks the contents of answers: once by meaning, then byte by byte.

Before a server is measured, one call is made to it and its answer is read message by message and
compared with the expected one. The load client then compares every answer with that one, and
for a stream every marker, their order and number, and the last message.
"""

import difflib
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from bench import payloads
from bench.scenarios import Scenario
from bench.servers import HOST, Row
from penstock.v1.chat_completion_pb2 import StreamChatCompletionResponse

_TIMEOUT_S = 30.0
_LARGEST = 64 * 1024 * 1024
_DONE = b"data: [DONE]\n\n"
_Message = TypeVar("_Message", bound=Message)


class WrongContent(Exception):
    """An answer differs from the expected one."""


@dataclass(frozen=True)
class Golden:
    """The answer with which the load client compares all others.

    Attributes:
        whole: every answer; empty for streams, and for servers that write their own.
        last: the last message of a stream, or the end of its body.
        contained: what every answer contains.
    """

    whole: bytes = b""
    last: bytes = b""
    contained: tuple[bytes, ...] = ()


def golden(scenario: Scenario, row: Row, port: int) -> Golden:
    """Makes one call and returns the answer that all others must match.

    Raises:
        WrongContent: the answer is wrong.
        grpc.RpcError: the call failed.
        OSError: the call over HTTP failed.
    """
    if row.grpc:
        return grpc_golden(scenario, grpc_call(scenario, port))
    body = http_call(scenario, port)
    if scenario.chunks:
        check_events(body, scenario.chunks)
        return Golden(last=_DONE)
    return http_golden(scenario, row, body)


def grpc_golden(scenario: Scenario, answers: Sequence[bytes]) -> Golden:
    """Checks the messages of one call by meaning.

    Raises:
        WrongContent: they are wrong.
    """
    if scenario.expected is None:
        check_stream(answers, scenario.chunks)
        return Golden(last=answers[-1])
    wanted = scenario.expected()
    if len(answers) != 1:
        raise WrongContent(f"{scenario.name}: {len(answers)} messages instead of one")
    _compare(scenario.name, _parsed(type(wanted), answers[0]), wanted)
    return Golden(whole=answers[0])


def check_stream(answers: Sequence[bytes], chunks: int) -> None:
    """Checks the messages of a chat stream; text deltas may have been merged.

    Raises:
        WrongContent: they are wrong.
    """
    found = payloads.MARKER.findall(b"".join(answers))
    if [int(number) for number, _ in found] != list(range(chunks)):
        raise WrongContent(f"{len(found)} chunks instead of {chunks}, or in another order")
    wanted = payloads.stream_messages([b"#%b@%b" % marker for marker in found])
    parsed = [_parsed(StreamChatCompletionResponse, answer) for answer in answers]
    if _summary(parsed) != _summary(wanted):
        raise WrongContent(f"the stream differs from the expected one: {_summary(parsed)}")
    _compare("the last message", parsed[-1], wanted[-1])


def check_events(body: bytes, chunks: int) -> None:
    """Checks the events of a chat stream over HTTP.

    Raises:
        WrongContent: they are wrong.
    """
    found = payloads.MARKER.findall(body)
    if [int(number) for number, _ in found] != list(range(chunks)):
        raise WrongContent(f"{len(found)} chunks instead of {chunks}, or in another order")
    if not body.endswith(_DONE):
        raise WrongContent("the stream does not end with [DONE]")
    events = [json.loads(event[6:]) for event in body[: -len(_DONE)].split(b"\n\n") if event]
    choices = [choice for event in events for choice in event["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    if text.encode() != b"".join(b" #%b@%b" % marker for marker in found):
        raise WrongContent("the text of the stream is not the upstream's")
    finishes = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    if finishes != ["stop"]:
        raise WrongContent(f"the stream finishes with {finishes}")


def http_golden(scenario: Scenario, row: Row, body: bytes) -> Golden:
    """Checks an answer over HTTP.

    Raises:
        WrongContent: it is wrong.
    """
    if row.rewrites:
        contained = scenario.contained()
        if not contained or any(part not in body for part in contained):
            raise WrongContent(f"{scenario.name}: the answer lacks expected content")
        return Golden(contained=contained)
    if body != scenario.http_expected():
        raise WrongContent(f"{scenario.name}: the answer is not the upstream's")
    return Golden(whole=body)


def grpc_call(scenario: Scenario, port: int) -> list[bytes]:
    """Makes one call and returns its messages as bytes."""
    options = [("grpc.max_receive_message_length", _LARGEST), ("grpc.enable_retries", 0)]
    requests = scenario.request()
    with grpc.insecure_channel(f"{HOST}:{port}", options=options) as channel:
        grpc.channel_ready_future(channel).result(_TIMEOUT_S)
        call: Any = (
            channel.stream_stream(scenario.method)
            if len(requests) > 1
            else channel.unary_stream(scenario.method)
        )
        argument: Any = iter(requests) if len(requests) > 1 else requests[0]
        return list(call(argument, timeout=_TIMEOUT_S))


def http_call(scenario: Scenario, port: int) -> bytes:
    """Makes one call over HTTP and returns its body.

    Raises:
        WrongContent: the status is not 200.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    headers = {"content-type": scenario.http_type, "authorization": "Bearer sk-bench"}
    connection.request("POST", scenario.path, scenario.http_request(), headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        raise WrongContent(f"{scenario.name}: HTTP {response.status} {body[:300]!r}")
    return body


def _parsed(kind: type[_Message], answer: bytes) -> _Message:
    try:
        return kind.FromString(answer)
    except DecodeError as error:
        raise WrongContent("the answer is not a valid message") from error


def _summary(messages: Sequence[StreamChatCompletionResponse]) -> tuple[object, ...]:
    """Returns the sum of a stream, independent of its division into messages."""
    choices = [choice for message in messages for choice in message.choices]
    return (
        {message.id for message in messages},
        (messages[0].model, messages[0].create_time.seconds),
        [choice.delta.role for choice in choices if choice.delta.role],
        "".join(choice.delta.content for choice in choices),
        [choice.finish_reason for choice in choices if choice.finish_reason],
    )


def _compare(what: str, got: Message, wanted: Message) -> None:
    if got != wanted:
        lines = difflib.unified_diff(str(wanted).splitlines(), str(got).splitlines(), n=0)
        raise WrongContent(f"{what} differs from the expected one: {list(lines)[2:12]}")
