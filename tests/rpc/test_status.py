"""The status table, row by row."""

from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc import StatusCode as Code

from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, Violation
from penstock_server.rpc import status
from penstock_server.rpc.status import trailers
from penstock_server.upstream.call import Attempts
from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

from .calls import Ended, read_details

PATH = "/v1/chat/completions"


def sent(ending: status.Status) -> Ended:
    """Returns a status as the caller sees it."""
    message, metadata = trailers(ending, "id-1")
    texts = dict(metadata)
    rich = texts.pop("grpc-status-details-bin")
    assert isinstance(rich, bytes)
    assert len(message.encode()) <= 1024
    assert len(rich) <= 4096
    result = Ended(ending.row.code, message, trailers={k: str(v) for k, v in texts.items()})
    result = read_details(result, rich)
    assert (result.domain, result.request_id) == ("penstock", "id-1")
    return result


def http_error(number: int, retry_after_s: float | None = None, **error: Any) -> UpstreamFailure:
    said = ErrorBody(**({"message": "said"} | error))
    message = said.message or f"HTTP {number}"
    return UpstreamFailure(
        Kind.HTTP_ERROR,
        message,
        Stage.BODY,
        upstream="host:1",
        path=PATH,
        status=number,
        error=said,
        retry_after_s=retry_after_s,
    )


def of(failure: UpstreamFailure, messages_sent: int = 0) -> Ended:
    return sent(status.of_failure(failure, "m").in_call(model="m", messages_sent=messages_sent))


YES, ELSEWHERE, CALLER, NO, NEVER = "yes", "elsewhere", "caller", "no", "never"

# HTTP status: code, reason, whether to retry
HTTP = {
    302: (Code.INTERNAL, "GATEWAY_ERROR", NO),
    400: (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED", NO),
    401: (Code.INTERNAL, "UPSTREAM_AUTH_FAILED", NO),
    402: (Code.UNKNOWN, "UPSTREAM_UNEXPECTED_STATUS", NO),
    403: (Code.INTERNAL, "UPSTREAM_AUTH_FAILED", NO),
    404: (Code.NOT_FOUND, "MODEL_NOT_FOUND", NO),
    405: (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED", NO),
    408: (Code.UNAVAILABLE, "UPSTREAM_REQUEST_TIMEOUT", YES),
    409: (Code.ABORTED, "UPSTREAM_CONFLICT", CALLER),
    410: (Code.NOT_FOUND, "UPSTREAM_REJECTED", NO),
    411: (Code.INTERNAL, "GATEWAY_ERROR", NO),
    412: (Code.FAILED_PRECONDITION, "UPSTREAM_REJECTED", NO),
    413: (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", NEVER),
    415: (Code.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA", NO),
    416: (Code.OUT_OF_RANGE, "UPSTREAM_REJECTED", NO),
    418: (Code.UNKNOWN, "UPSTREAM_UNEXPECTED_STATUS", NO),
    422: (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED", NO),
    424: (Code.FAILED_PRECONDITION, "UPSTREAM_REJECTED", NO),
    429: (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", ELSEWHERE),
    431: (Code.INTERNAL, "GATEWAY_ERROR", NO),
    451: (Code.PERMISSION_DENIED, "UPSTREAM_REJECTED", NO),
    499: (Code.UNAVAILABLE, "UPSTREAM_CLOSED", CALLER),
    500: (Code.INTERNAL, "UPSTREAM_INTERNAL", CALLER),
    501: (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED", NO),
    502: (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", YES),
    503: (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", YES),
    504: (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", CALLER),
    505: (Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS", CALLER),
    507: (Code.RESOURCE_EXHAUSTED, "UPSTREAM_REJECTED", NO),
    529: (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", YES),
}


def check_resend(result: Ended, resend: str, given: float | None) -> None:
    """Checks the ways in which a status reports whether and when to retry."""
    advises = resend == YES or (resend in (CALLER, ELSEWHERE) and given is not None)
    delay = (1.0 if given is None else given) if advises else None
    assert result.retry_s == delay
    assert result.trailers.get("retry-after") == (f"{max(1, delay):.0f}" if delay else None)
    pushback = {YES: f"{1000 * (delay or 0):.0f}", CALLER: "-1", NEVER: "-1"}.get(resend)
    assert result.pushback == pushback
    assert result.trailers.get("x-envoy-ratelimited") == ("true" if pushback == "-1" else None)


@pytest.mark.parametrize("retry_after_s", [None, 7.0])
@pytest.mark.parametrize(("code", "row"), HTTP.items(), ids=map(str, HTTP))
def test_http_statuses(
    code: int, row: tuple[grpc.StatusCode, str, str], retry_after_s: float | None
) -> None:
    result = of(http_error(code, retry_after_s, param="a.b"))
    assert (result.code, result.reason) == row[:2]
    check_resend(result, row[2], retry_after_s)
    assert result.metadata["upstreamStatus"] == str(code)
    assert result.metadata["model"] == "m"
    assert result.fields == (["a.b"] if row[0] is Code.INVALID_ARGUMENT else [])
    assert result.resource == ("m" if row[1] == "MODEL_NOT_FOUND" else "")


@pytest.mark.parametrize(("code", "row"), HTTP.items(), ids=map(str, HTTP))
def test_nothing_is_retried_after_the_first_message(
    code: int, row: tuple[grpc.StatusCode, str, str]
) -> None:
    result = of(http_error(code, 7.0), messages_sent=3)
    assert (result.code, result.reason) == row[:2]
    check_resend(result, NEVER, None)
    assert result.metadata["messagesSent"] == "3"


KINDS = {
    Kind.CONNECT: (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED", YES),
    Kind.CLOSED: (Code.UNAVAILABLE, "UPSTREAM_CLOSED", CALLER),
    Kind.INTERRUPTED: (Code.UNAVAILABLE, "STREAM_INTERRUPTED", NEVER),
    Kind.ABORTED: (Code.UNAVAILABLE, "GENERATION_ABORTED", YES),
    Kind.TIMEOUT: (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", CALLER),
    Kind.MALFORMED: (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", CALLER),
    Kind.OVERLOADED: (Code.UNAVAILABLE, "OVERLOADED", YES),
    Kind.TOO_LARGE: (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", NEVER),
    Kind.MISCONFIGURED: (Code.INTERNAL, "GATEWAY_ERROR", NO),
    Kind.MODEL_UNKNOWN: (Code.NOT_FOUND, "MODEL_NOT_FOUND", NO),
    Kind.MODEL_AMBIGUOUS: (Code.INVALID_ARGUMENT, "INVALID_REQUEST", NO),
    Kind.MODEL_FORBIDDEN: (Code.PERMISSION_DENIED, "MODEL_FORBIDDEN", NO),
    Kind.ROUTE_MISSING: (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED", NO),
    Kind.FIELD_UNKNOWN: (Code.INVALID_ARGUMENT, "INVALID_REQUEST", NO),
    Kind.ASLEEP: (Code.UNAVAILABLE, "UPSTREAM_SLEEPING", ELSEWHERE),
    Kind.NOT_STREAMED: (Code.NOT_FOUND, "RESPONSE_NOT_FOUND", ELSEWHERE),
}


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if kind is not Kind.HTTP_ERROR], ids=lambda kind: kind.value
)
def test_kinds_of_failure(kind: Kind) -> None:
    code, reason, resend = KINDS[kind]
    result = of(UpstreamFailure(kind, "what happened", Stage.HEADERS, path=PATH))
    assert (result.code, result.reason, result.message) == (code, reason, "what happened")
    check_resend(result, resend, None)
    assert result.metadata == {"model": "m", "stage": "headers", "path": PATH}
    assert result.fields == (["model"] if kind is Kind.MODEL_AMBIGUOUS else [])


# failure: code, reason, metadata that it must have
SPECIAL: dict[str, tuple[UpstreamFailure, grpc.StatusCode, str, dict[str, str]]] = {
    "context by param": (
        http_error(400, param="input_tokens"),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {},
    ),
    "context by word": (
        http_error(400, code="context_length_exceeded"),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"upstreamCode": "context_length_exceeded"},
    ),
    "context by message": (
        http_error(
            400,
            message="This model's maximum context length is 512 tokens. However, you requested 10 "
            "output tokens and your prompt contains at least 503 input tokens.",
        ),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"maxModelLen": "512", "promptTokensAtLeast": "503"},
    ),
    "context by characters": (
        http_error(
            400,
            message="This model's maximum context length is 512 tokens. However, you requested 10 "
            "output tokens and your prompt contains 100000 characters (more than 8192 characters, "
            "which is the upper bound for 502 input tokens). Please reduce the length.",
            param="input_text",
        ),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"maxModelLen": "512"},
    ),
    "context of older vLLMs": (
        http_error(
            400,
            message="This model's maximum context length is 512 tokens. However, you requested 600 "
            "tokens in the input for embedding generation. Please reduce the length of the input.",
        ),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"maxModelLen": "512", "promptTokens": "600"},
    ),
    "context by the engine": (
        http_error(
            400,
            message="The decoder prompt (length 803) is longer than the maximum model length of "
            "448. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        ),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"maxModelLen": "448", "promptTokens": "803"},
    ),
    "context by the engine, with its answer": (
        http_error(
            400,
            message="The decoder prompt (length 448) plus the number of requested output tokens "
            "(at least 1) is longer than the maximum model length of 448. Make sure that …",
        ),
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
        {"maxModelLen": "448", "promptTokens": "448"},
    ),
    "media": (
        http_error(422, param="image_url"),
        Code.INVALID_ARGUMENT,
        "MEDIA_FETCH_FAILED",
        {"upstreamParam": "image_url"},
    ),
    "no route": (
        http_error(404, bare=True),
        Code.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
        {"path": PATH},
    ),
    "no response": (
        http_error(404, param="response_id"),
        Code.NOT_FOUND,
        "RESPONSE_NOT_FOUND",
        {},
    ),
    "engine dead": (
        http_error(500, message="EngineCore encountered an issue. See stack trace for cause."),
        Code.UNAVAILABLE,
        "ENGINE_DEAD",
        {},
    ),
    "types and codes": (
        http_error(500, type="InternalServerError", code=500, param="p"),
        Code.INTERNAL,
        "UPSTREAM_INTERNAL",
        {
            "upstreamType": "InternalServerError",
            "upstreamCode": "500",
            "upstreamParam": "p",
            "stage": "body",
        },
    ),
}


@pytest.mark.parametrize(("failure", "code", "reason", "metadata"), SPECIAL.values(), ids=SPECIAL)
def test_special_rows(
    failure: UpstreamFailure, code: grpc.StatusCode, reason: str, metadata: dict[str, str]
) -> None:
    result = of(failure)
    assert (result.code, result.reason) == (code, reason)
    assert metadata.items() <= result.metadata.items()
    counts = {key for key in result.metadata if key.startswith("promptTokens")}
    assert counts <= metadata.keys()


def test_every_fault_that_the_upstream_lists() -> None:
    faults = (("body.top_p", "too high"), ("body.stop.1", "empty"))
    result = of(http_error(422, faults=faults, bare=True))
    assert result.fields == ["sampling.top_p", "sampling.stop[1]"]


def test_parameters_are_mapped_to_our_paths() -> None:
    assert of(http_error(400, param="max_completion_tokens")).fields == ["sampling.max_tokens"]
    assert of(http_error(400, param="messages.2.content")).fields == ["messages[2].content"]
    assert of(http_error(400, param="body.top_p")).fields == ["sampling.top_p"]


@pytest.mark.parametrize(
    "words",
    [
        "1 validation error for TranscriptionResponseVerbose\ntop_p\n  Input should be a string",
        "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'top_p'), 'msg': 'x'}",
        "4 validation errors:\n  {'type': 'string_type', 'loc': ('body', "
        "'function-wrap[__log_extra_fields__()]', 'top_p', 'str'), 'msg': 'x'}",
        "1 validation error:\n  top_p is bad. (parameter=top_p, value=2)",
        "1 validation error:\n  top_p is bad. (parameter=top_p)",
    ],
)
def test_fields_named_in_the_upstreams_message(words: str) -> None:
    assert of(http_error(400, message=words)).fields == ["sampling.top_p"]
    assert of(http_error(400, message=words, param="stop")).fields == ["sampling.stop"]
    assert of(http_error(400, message=words.replace("top_p", "nothing"))).fields == []


def test_faults_of_the_request() -> None:
    faults = (Violation("a.b", "is bad"), Violation("c", "too"))
    result = sent(status.of_invalid(InvalidRequest(*faults)))
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert (result.fields, result.message) == (["a.b", "c"], "a.b: is bad; c: too")
    result = sent(status.of_invalid(InvalidRequest(*faults, conflicting=True)))
    assert result.reason == "CONFLICTING_FIELDS"


def test_faults_of_the_answer() -> None:
    attempts = Attempts(1, "host:1", PATH, Stage.STREAM, 200, 17)
    ended = status.of_malformed(MalformedAnswer("no choices"), attempts)
    result = sent(ended)
    assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")
    assert result.pushback == "-1"
    expected = {"stage": "stream", "path": PATH, "upstreamStatus": "200", "offset": "17"}
    assert result.metadata == expected
    result = sent(ended.in_call(messages_sent=2))
    assert (result.pushback, result.metadata["messagesSent"]) == ("-1", "2")


def test_bugs_reveal_nothing() -> None:
    result = sent(status.of_bug())
    assert (result.code, result.reason) == (Code.INTERNAL, "GATEWAY_ERROR")
    assert result.metadata == {}
    late = sent(status.of_bug().in_call(model="m", attempts=1, messages_sent=2))
    assert late.metadata == {"model": "m", "attempts": "1", "messagesSent": "2"}
    assert late.pushback == "-1"


@pytest.mark.parametrize("letter", ["x", "é", "好", "👋"])
def test_everything_is_capped(letter: str) -> None:
    long = letter * 65536
    failure = http_error(400, message=long, type=long, param=long, code=long)
    result = of(failure)
    assert result.reason == "UPSTREAM_REJECTED"
    assert result.message.startswith(letter * 200)
    assert result.message.endswith("…")
    faults = [Violation(f"{long}[{i}]", long) for i in range(100)]
    assert sent(status.of_invalid(InvalidRequest(*faults))).reason == "INVALID_REQUEST"
    unknown = UpstreamFailure(Kind.MODEL_UNKNOWN, long, Stage.CONNECT)
    ending = status.of_failure(unknown, long).in_call(model=long)
    assert sent(ending).reason == "MODEL_NOT_FOUND"


def test_the_upstreams_message_about_our_credentials_is_hidden() -> None:
    words = "Incorrect API key provided: sk-ab***yz"
    for number in (401, 403):
        for callers in (False, True):
            failure = http_error(number, message=words, type=words, param=words, code=words)
            result = of(replace(failure, callers_credentials=callers))
            assert "credentials" in result.message
            assert "sk-ab" not in str(result)


@pytest.mark.parametrize("end", ["", "/cancel"])
def test_missing_response(end: str) -> None:
    failure = http_error(404, param="response_id")
    result = of(replace(failure, path=f"/v1/responses/resp_1{end}"))
    assert (result.code, result.reason) == (Code.NOT_FOUND, "RESPONSE_NOT_FOUND")
    assert result.resource == "resp_1"


def test_violations_are_limited_by_size() -> None:
    faults = [Violation(f"extra_body.{'k' * 90}{i}", "has a field") for i in range(200)]
    result = sent(status.of_invalid(InvalidRequest(*faults)))
    assert 10 < len(result.fields) < 200
    assert result.fields[0] == faults[0].field


def test_a_missing_route_is_named() -> None:
    failure = http_error(404, message="Not Found", bare=True)
    ended = of(replace(failure, operation="chat completion"))
    assert ended.code is Code.UNIMPLEMENTED
    assert ended.message == f"the upstream does not serve chat completion: it has no {PATH}"


def test_a_long_text_of_digits_is_searched_once() -> None:
    # Searching the rest again from each digit would take too long.
    message = "maximum context length is 8 tokens " + "1" * 1024 * 1024
    error = ErrorBody(message=message)
    failure = UpstreamFailure(Kind.HTTP_ERROR, message, Stage.BODY, status=400, error=error)
    assert status.of_failure(failure).metadata["maxModelLen"] == "8"
