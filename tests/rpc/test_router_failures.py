"""Failures that routers in front of vLLM report in their own words, for every RPC."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode as Code

from .calls import BOUND_S, Serve, plain_channel
from .every_rpc import (
    EVERY_RPC,
    STREAM_HEAD,
    Called,
    Upstream,
    answer,
    event,
    failing,
    names,
    running,
)

QUIET = {"probe_interval": 3600}
LOST = "Response payload is not completed: <TransferEncodingError: 400>"
UNREACHED = "error sending request for url (http://127.0.0.1:9111/v1/x)"

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
STREAMS = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
every_stream = pytest.mark.parametrize("rpc", STREAMS, ids=names(STREAMS))

Expected = tuple[bytes, Code, str]


def detail(status: str, text: str) -> bytes:
    return answer(status, json.dumps({"detail": text}).encode())


def words(status: str, text: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    return answer(status, text.encode(), kind)


NO_ROUTE = (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
NO_MODEL = (Code.NOT_FOUND, "MODEL_NOT_FOUND")
ANSWERS: Mapping[str, Expected] = {
    "unknown url": (
        failing("404 x", type="invalid_request_error", code="unknown_url"),
        *NO_ROUTE,
    ),
    "invalid url": (failing("404 x", message="Invalid URL (POST /v1/x)"), *NO_ROUTE),
    "no route matched": (
        answer("404 x", b'{"message": "no Route matched with those values"}'),
        *NO_ROUTE,
    ),
    "a quoted answer": (
        failing("404 x", message='NotFoundError: Exception - {"detail":"Not Found"}', code="404"),
        *NO_ROUTE,
    ),
    "an answer quoted by Python": (
        failing("404 x", message="NotFoundError: Error code: 404 - {'detail': 'Not Found'} Done"),
        *NO_ROUTE,
    ),
    "page not found": (words("404 x", "404 page not found"), *NO_ROUTE),
    "no such task": (
        failing(
            "400 x",
            message="Message: This model does not support the 'score' task. The score endpoint is "
            "not available for this model. (Request ID: r), Internal exception: x.Error, original",
        ),
        *NO_ROUTE,
    ),
    "detail names the model": (
        detail("404 x", 'Got request for model "m". Could not find base model ID in []'),
        *NO_MODEL,
    ),
    "text names the model": (words("404 x", "The model m does not exist"), *NO_MODEL),
    "400 invalid model name": (
        failing("400 x", message="/x: Invalid model name passed in model=m. Call ...", code="400"),
        *NO_MODEL,
    ),
    "400 model_not_found": (failing("400 x", code="model_not_found"), *NO_MODEL),
    "400 about something else": (
        failing("400 x", message="the model m takes no images"),
        Code.INVALID_ARGUMENT,
        "UPSTREAM_REJECTED",
    ),
    "connection failed": (
        failing("500 x", code="call_upstream_connection_failed"),
        Code.UNAVAILABLE,
        "UPSTREAM_UNAVAILABLE",
    ),
    "request not sent": (
        failing("500 x", message=UNREACHED),
        Code.UNAVAILABLE,
        "UPSTREAM_UNAVAILABLE",
    ),
    "replica died": (
        failing(
            "500 x",
            message="Message: Internal Server Error (Request ID: r), Internal exception: x, "
            "original exception: The actor died unexpectedly before finishing this task.\n\tip: x",
        ),
        Code.UNAVAILABLE,
        "ENGINE_DEAD",
    ),
    "answer lost": (failing("500 x", message=LOST), Code.UNAVAILABLE, "UPSTREAM_CLOSED"),
}


async def failed(rpc: Called, serve: Serve, *sent: bytes) -> Any:
    async with running(Upstream(*sent)) as upstream:
        service = await serve(upstream=(upstream.url,), max_attempts=1, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            return await rpc.run(service, channel, timeout=BOUND_S)


@pytest.mark.parametrize(("sent", "code", "reason"), ANSWERS.values(), ids=ANSWERS)
@every_rpc
async def test_failure(rpc: Called, sent: bytes, code: Code, reason: str, serve: Serve) -> None:
    result = await failed(rpc, serve, sent)
    assert (result.code, result.reason) == (code, reason)
    assert "127.0.0.1" not in str(result.message)


NO_RESPONSE: Mapping[str, bytes] = {
    "router": failing("404 x", code="not_found", message="No response found with id x"),
    "web server": detail("404 x", "Response not found"),
    "text": words("404 x", "could not find the response"),
    "parameter of the request": failing("404 x", param="previous_response_id"),
    "code of OpenAI": failing("400 x", code="previous_response_not_found"),
}
RESPONSES = tuple(rpc for rpc in EVERY_RPC if rpc.settings.get("native_responses") == "always")
STORED = tuple(rpc for rpc in RESPONSES if "response_id" in rpc.requests[0])


@pytest.mark.parametrize("sent", NO_RESPONSE.values(), ids=NO_RESPONSE)
@pytest.mark.parametrize("rpc", RESPONSES, ids=names(RESPONSES))
async def test_a_missing_response(rpc: Called, sent: bytes, serve: Serve) -> None:
    result = await failed(rpc, serve, sent)
    assert (result.code, result.reason) == (Code.NOT_FOUND, "RESPONSE_NOT_FOUND")


@pytest.mark.parametrize("rpc", STORED, ids=names(STORED))
async def test_the_id_of_a_missing_response(rpc: Called, serve: Serve) -> None:
    result = await failed(rpc, serve, detail("404 x", "'resp_1' is gone"))
    assert (result.code, result.reason) == (Code.NOT_FOUND, "RESPONSE_NOT_FOUND")


@pytest.mark.parametrize("rpc", RESPONSES, ids=names(RESPONSES))
async def test_a_missing_responses_api(rpc: Called, serve: Serve) -> None:
    result = await failed(rpc, serve, detail("404 x", "The Response API is off"))
    assert (result.code, result.reason) == NO_ROUTE


async def test_urls_that_the_caller_sent_are_not_redacted(serve: Serve) -> None:
    said = "https://example.com/cat.png: 403, by http://10.0.0.7:8000/fetch"
    image = 'messages {role: ROLE_USER content {image {url: "https://example.com/cat.png"}}}'
    rpc = replace(EVERY_RPC[0], requests=(f'model: "m" {image}',))
    result = await failed(rpc, serve, failing("500 x", message=said))
    assert result.message == "https://example.com/cat.png: 403, by (url)"


UNREADABLE = detail("500 x", "Error opening <_io.BytesIO object at 0x7f>: Format not recognised.")
HEARERS = tuple(rpc for rpc in EVERY_RPC if rpc.name.startswith("Transcription"))


@pytest.mark.parametrize("rpc", HEARERS, ids=names(HEARERS))
async def test_invalid_audio_is_the_callers_error(rpc: Called, serve: Serve) -> None:
    """vLLM 0.14 answers HTTP 500."""
    result = await failed(rpc, serve, UNREADABLE)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED")


TEXTS: Mapping[str, tuple[bytes, Code, str]] = {
    "400": (
        words("400 x", "Invalid JSON body: at\nline 1"),
        Code.INVALID_ARGUMENT,
        "Invalid JSON body: at line 1",
    ),
    "422": (words("422 x", "missing field `x`"), Code.INVALID_ARGUMENT, "missing field `x`"),
    "500": (words("500 x", "boom", kind="text/plain"), Code.INTERNAL, "boom"),
    "503": (words("503 x", "No available workers"), Code.UNAVAILABLE, "No available workers"),
    "long": (words("503 x", "é" * 70_000), Code.UNAVAILABLE, "é" * 400),
    "address": (
        words("502 x", "no host at http://10.0.0.7:8000/x"),
        Code.UNAVAILABLE,
        "no host at (url)",
    ),
    "markup": (
        words("503 x", "<html>no</html>"),
        Code.UNAVAILABLE,
        "the upstream answered HTTP 503",
    ),
    "HTML": (
        words("503 x", "no", kind="text/html"),
        Code.UNAVAILABLE,
        "the upstream answered HTTP 503",
    ),
}


@pytest.mark.parametrize(("sent", "code", "message"), TEXTS.values(), ids=TEXTS)
@every_rpc
async def test_plain_text(rpc: Called, sent: bytes, code: Code, message: str, serve: Serve) -> None:
    result = await failed(rpc, serve, sent)
    assert result.code is code
    assert result.message.startswith(message)
    assert len(result.message.encode()) <= 1024


BROKEN: Mapping[str, dict[str, Any]] = {
    "type": {"message": "Stream error", "type": "stream_error"},
    "words": {"message": f"litellm.APIError: {LOST}", "type": None, "code": "500"},
    "reqwest": {"message": "error decoding response body", "type": "internal_error"},
}


@pytest.mark.parametrize("error", BROKEN.values(), ids=BROKEN)
@every_stream
async def test_an_event_that_reports_a_broken_stream(
    rpc: Called, error: dict[str, Any], serve: Serve
) -> None:
    result = await failed(rpc, serve, STREAM_HEAD, event(rpc.event), event({"error": error}))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")
    assert result.received
    result = await failed(rpc, serve, STREAM_HEAD, event({"error": error}))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CLOSED")
    assert result.received == []


@every_stream
async def test_an_error_event_about_the_request_is_not_a_broken_stream(
    rpc: Called, serve: Serve
) -> None:
    error = {"message": "Stream error", "type": "stream_error", "code": 400}
    result = await failed(rpc, serve, STREAM_HEAD, event({"error": error}))
    assert result.code is Code.INVALID_ARGUMENT
