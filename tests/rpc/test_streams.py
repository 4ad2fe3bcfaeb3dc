"""Statuses of streams: OK means complete, and anything else is another status."""

import grpc
import pytest
from acceptance.conftest import serving
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.common_pb2 import FINISH_REASON_STOP
from penstock_server.simulator import Simulator

from .calls import Ended, Serve, chat, plain_channel, stream

ANSWER = "Hello! How can I help you today?"


def text_of(result: Ended) -> str:
    return "".join(c.delta.content for message in result.received for c in message.choices)


# Faults that leave the answer complete.
HARMLESS = [
    "no-done",
    "comments",
    "crlf",
    "multi-line-data",
    "split-bytes",
    "gzip",
    "events-after-done",
    "cut after=99",  # closes instead of [DONE]
    "no-role",
    "duplicate-finish",
]


@pytest.mark.parametrize("fault", ["", *HARMLESS])
async def test_complete(channel: aio.Channel, fault: str) -> None:
    result = await stream(channel, chat(fault=fault))
    assert result.code is Code.OK, result
    assert text_of(result) == ANSWER
    reasons = [c.finish_reason for message in result.received for c in message.choices]
    assert [reason for reason in reasons if reason] == [FINISH_REASON_STOP]
    assert result.received[-1].usage.completion_tokens > 0


# fault: code, reason, whether messages come before it
BROKEN = {
    "done-only": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", False),
    "stall after=0": (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", False),
    # It lists the model that it reports as missing.
    "error-event code=404 after=0": (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", False),
    "wrong-content-type": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", False),
    "no-usage": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", True),
    "no-finish": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", True),
    "no-usage, no-done": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "no-finish, no-done": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "malformed-event after=2": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", True),
    "wrong-type": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", True),
    "stall after=2": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "stall after=2 heartbeats": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "cut after=2": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "cut after=2 mid-chunk": (Code.UNAVAILABLE, "STREAM_INTERRUPTED", True),
    "error-event code=429 body=flat": (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", False),
    "error-event body=string message=Unauthorized": (Code.INTERNAL, "UPSTREAM_AUTH_FAILED", False),
    "error-event body=string": (Code.INTERNAL, "UPSTREAM_INTERNAL", False),
    "error-event body=detail": (Code.INTERNAL, "UPSTREAM_INTERNAL", False),
    "error-event body=detail-list after=1": (Code.INTERNAL, "UPSTREAM_INTERNAL", True),
    "error-event body=unknown": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", False),
    "error-event after=2": (Code.INTERNAL, "UPSTREAM_INTERNAL", True),
    "error-event after=2 code=503": (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", True),
    "error-event after=2 code=400": (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED", True),
    "error-event after=2 done=0": (Code.INTERNAL, "UPSTREAM_INTERNAL", True),
}

# The caller, not a library, decides whether these are retried.
CALLER_DECIDES = ("UPSTREAM_INTERNAL", "UPSTREAM_MALFORMED_RESPONSE", "UPSTREAM_TIMEOUT")


@pytest.mark.parametrize(("fault", "row"), BROKEN.items(), ids=BROKEN)
async def test_broken(
    simulator: Simulator, serve: Serve, fault: str, row: tuple[grpc.StatusCode, str, bool]
) -> None:
    stalls, before = fault.startswith("stall"), fault == "stall after=0"
    service = await serve(
        upstream=(simulator.url,),
        idle_timeout=0.3 if stalls else 60,
        first_byte_timeout=0.3 if before else 60,
    )
    async with plain_channel(service) as channel:
        await serving(channel)
        result = await stream(channel, chat(fault=fault))
    code, reason, after_messages = row
    assert (result.code, result.reason) == (code, reason)
    assert ANSWER.startswith(text_of(result))
    if after_messages:
        assert int(result.metadata["messagesSent"]) == len(result.received) > 0
        assert (result.pushback, result.retry_s) == ("-1", None)
    else:
        assert result.received == []
        assert "messagesSent" not in result.metadata
        assert (result.pushback == "-1") == (reason in CALLER_DECIDES)


async def test_a_reset_is_an_interruption(channel: aio.Channel) -> None:
    # Bytes that the kernel had not delivered before the reset are lost, even the first event.
    result = await stream(channel, chat(fault="reset after=2"))
    reason = "STREAM_INTERRUPTED" if result.received else "UPSTREAM_CLOSED"
    assert (result.code, result.reason) == (Code.UNAVAILABLE, reason)


async def test_several_choices_must_all_finish(channel: aio.Channel) -> None:
    request = chat()
    request.sampling.n = 2
    result = await stream(channel, request)
    assert result.code is Code.OK
    finished = [c.index for message in result.received for c in message.choices if c.finish_reason]
    assert sorted(finished) == [0, 1]


async def test_ok_does_not_depend_on_the_first_choice_alone(channel: aio.Channel) -> None:
    # The simulator cuts after the events that finish the first choice, at the latest.
    request = chat(fault="no-usage")
    request.sampling.n = 2
    assert (await stream(channel, request)).code is not Code.OK
