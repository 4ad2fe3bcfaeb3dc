"""Failures of exchanges with an upstream."""

import enum
import re
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import partial
from typing import Any

from penstock_server import routes
from penstock_server.upstream.error_body import ACTOR_DIED, ErrorBody


class Kind(enum.Enum):
    """The kind of a failure; the server's status table maps each to a gRPC status."""

    HTTP_ERROR = "http_error"
    """The upstream answered with an error: a status, or an error inside a 200."""
    CONNECT = "connect"
    """No connection, or the request could not be written completely."""
    CLOSED = "closed"
    """The connection was lost before the answer was complete and before a stream began."""
    INTERRUPTED = "interrupted"
    """A stream ended before it was complete."""
    ABORTED = "aborted"
    """The upstream aborted the generation, as it does when it is stopped."""
    TIMEOUT = "timeout"
    """One of our own time limits expired: first byte, also of a stream's first event; or total."""
    MALFORMED = "malformed"
    """The answer violates the API: invalid JSON, wrong types, missing parts."""
    OVERLOADED = "overloaded"
    """No free connection to the upstream."""
    MISCONFIGURED = "misconfigured"
    """The request could not be sent as configured: bad URL, redirects, protocol misuse."""
    MODEL_UNKNOWN = "model_unknown"
    """No upstream serves the model."""
    MODEL_AMBIGUOUS = "model_ambiguous"
    """The request names no model and several would fit."""
    MODEL_FORBIDDEN = "model_forbidden"
    """The request names no model, and the caller may not use the only one that would fit."""
    FIELD_UNKNOWN = "field_unknown"
    """The upstream is too old for a field of the request, which it would ignore."""
    TOO_LARGE = "too_large"
    """An upload is over our limit; the upstream did not see all of it."""
    ROUTE_MISSING = "route_missing"
    """No upstream that serves the model serves this operation."""
    ASLEEP = "asleep"
    """The engines of all upstreams that could serve the call are asleep."""
    NOT_STREAMED = "not_streamed"
    """The upstream has a stored response, but not all events of it."""


class Stage(enum.Enum):
    """The progress of an exchange."""

    CONNECT = "connect"
    REQUEST = "request"
    HEADERS = "headers"
    BODY = "body"
    STREAM = "stream"


@dataclass(frozen=True, eq=False)
class FailureFacts:
    """The facts about a failed exchange with an upstream.

    Attributes:
        kind: the kind of failure.
        message: the text for a person; never the upstream's body verbatim.
        stage: how far the exchange had come.
        upstream: the name of the upstream.
        operation: the name of the operation.
        path: the request's path.
        status: the HTTP status, or the status that an error inside a 200 stands for.
        error: the upstream's error.
        retry_after_s: the upstream's Retry-After, in seconds.
        limit_bytes: the limit that an upload is over.
        limit: the option of the expired time limit, such as "idle_timeout".
        offset: the byte offset at which the answer could not be read: in a body, or of the
            faulty event in a stream.
        callers_credentials: whether the request had the caller's credentials, not the server's.
        route_listed: whether the upstream lists the route.
        model_listed: whether the upstream's last list contains the requested model.
        engine_died: whether the upstream's engine was last seen dead.
    """

    kind: Kind
    message: str
    stage: Stage
    _: KW_ONLY
    upstream: str = ""
    path: str = ""
    status: int | None = None
    error: ErrorBody = field(default_factory=ErrorBody)
    retry_after_s: float | None = None
    operation: str = ""
    limit_bytes: int | None = None
    limit: str = ""
    offset: int | None = None
    callers_credentials: bool = False
    route_listed: bool = False
    model_listed: bool = False
    engine_died: bool = False


class UpstreamFailure(FailureFacts, Exception):
    """One failed exchange with an upstream.

    The facts are set once; to add facts, raise a copy from `dataclasses.replace`.
    """

    def __str__(self) -> str:
        kind, stage = self.kind.value, self.stage.value
        place = kind if kind == stage else f"{kind} at {stage}"
        return f"{place}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {fact.name: getattr(self, fact.name) for fact in fields(self)}
        return partial(type(self), **facts), ()

    @property
    def route_missing(self) -> bool:
        """Whether the upstream does not have the route, for any model."""
        if self.kind is not Kind.HTTP_ERROR or self.response_missing:
            return False
        if self.status == 403 and self.path == routes.REALTIME:
            # vLLM's web server refuses websockets so, with an empty body, where it has no route.
            return self.error.bare and not self.error.message
        return self.status in (405, 501) or (self.status == 404 and not self._is_about_its_object)

    @property
    def operation_missing(self) -> bool:
        """Whether the loaded model does not serve the operation.

        vLLM has only the routes of the model's operations. Up to 0.15, it had all routes and
        answered with HTTP 200 and an error of code 400. Ray Serve LLM has all routes.
        """
        refused = self.status == 400 and _NO_SUCH_API.match(self.error.message) is not None
        return refused or self._disabled or self.route_missing

    @property
    def _disabled(self) -> bool:
        """Whether vLLM was started without the option that enables the route."""
        return self.status == 403 and _DISABLED.match(self.error.message) is not None

    @property
    def model_missing(self) -> bool:
        """Whether the upstream does not have the requested model or adapter."""
        if self.kind is not Kind.HTTP_ERROR or self.response_missing:
            return False
        if self.status == 404:
            return self._is_about_its_object
        return self.status == 400 and _rejects_model(self.error)

    @property
    def response_missing(self) -> bool:
        """Whether the upstream does not have the requested stored response."""
        if self.kind is not Kind.HTTP_ERROR:
            return False
        error = self.error
        if self.status == 400:
            return error.code == _NO_PREVIOUS_RESPONSE
        if self.status != 404 or error.code in _ROUTE_CODES:
            return False
        if error.param in _RESPONSE_PARAMS:
            return True
        return self.path.startswith(routes.RESPONSES) and self._names_response

    @property
    def _names_response(self) -> bool:
        """Whether the text of a 404 is about a stored response, or contains the id in the path."""
        said = self.error.message[:_LONGEST_READ]
        wanted = self.path.removeprefix(routes.RESPONSES).lstrip("/").partition("/")[0]
        return _OF_RESPONSE.match(said) is not None or (wanted != "" and wanted in said)

    @property
    def _is_about_its_object(self) -> bool:
        """Whether a 404 is about the object of the request, not about its route."""
        error = self.error
        if error.code in _ROUTE_CODES or _NO_ROUTE.match(error.message):
            return False
        if _QUOTES_NO_ROUTE.search(error.message[:_LONGEST_READ]):
            return False
        return not error.bare or _misses_model(error.message, named=not self.route_listed)

    @property
    def draining(self) -> bool:
        """Whether the upstream is shutting down, according to vLLM's message."""
        return self.status == 500 and _DRAINING in self.error.message

    @property
    def engine_dead(self) -> bool:
        """Whether the engine is dead, according to vLLM's message, or shutting down."""
        return self.status == 500 and any(text in self.error.message for text in _ENGINE_DEAD)

    @property
    def unreached(self) -> bool:
        """Whether a router reports with HTTP 500 that it could not reach a server."""
        if self.kind is not Kind.HTTP_ERROR or self.status != 500:
            return False
        return self.error.code in _UNREACHED_CODES or _contains(_UNREACHED, self.error.message)

    @property
    def bad_media(self) -> bool:
        """Whether vLLM before 0.15 reports with HTTP 500 that it cannot read the audio."""
        return self.status == 500 and _contains(_BAD_MEDIA, self.error.message)


_DRAINING = "cannot schedule new futures after shutdown"
_ENGINE_DEAD = (
    "EngineCore encountered an issue.",
    "The server had an error while processing your request.",
    ACTOR_DIED,
    _DRAINING,
)
_NO_SUCH_API = re.compile(
    r"The model does not support .+ API\b|This model does not support the '[\w-]{1,64}' task\b"
)

_DISABLED = re.compile(r"[\w -]{1,64} endpoints are disabled\b")

_LONGEST_READ = 2048
"""Number of characters of a message that are searched."""

# What OpenAI, Kong, Express and other web servers and gateways report of a route.
_ROUTE_CODES = frozenset(("unknown_url", "route_not_found", "endpoint_not_found"))
_NO_ROUTE = re.compile(
    r"(?i)\W*(?:not found\W*$|404 page not found|(?:invalid|unknown) (?:request )?url\b"
    r"|no route\b|cannot (?:post|get) /|(?:the )?(?:route|endpoint|path|requested url)\b)"
)
# A router quotes the answer of vLLM's web server.
_QUOTES_NO_ROUTE = re.compile(r"""["']detail["'] ?: ?["']Not Found["']""")
# OpenAI's code, which is sent with HTTP 400.
_NO_PREVIOUS_RESPONSE = "previous_response_not_found"
_RESPONSE_PARAMS = frozenset(("response_id", "previous_response_id"))
_OF_RESPONSE = re.compile(
    r"(?i)\W*(?:(?:no|such|the|stored|previous|unknown|(?:could not|cannot) find)\W+){0,3}"
    r"response\b(?! api)"
)
_MISSES = re.compile(
    r"(?i)\b(?:could not find|cannot find|can't find|not found|not exist|doesn't exist|no such"
    r"|unknown|unavailable|not available|not loaded|not served|not registered|invalid)\b"
)
_OF_MODEL = re.compile(r"(?i)\b(?:model|adapter|lora|deployment)s?\b")
_REJECTS_MODEL = re.compile(
    r"(?i)(?:.{0,100}\binvalid model name\b"
    r"|\W*(?:the )?model\W+\S{1,256}\W+(?:does not exist|doesn't exist|(?:is |was )?not found)\b)"
)

# Codes of smg, and messages of reqwest and aiohttp, which the routers use.
_UNREACHED_CODES = frozenset(
    (
        "call_upstream_connection_failed",
        "call_upstream_request_error",
        "call_upstream_request_failed",
    )
)
_UNREACHED = ("error sending request", "cannot connect to host", "connect call failed")
_CUT_CODES = frozenset(("call_upstream_body_error", "call_upstream_decode_error"))
_CUT = (
    "response payload is not completed",
    "error decoding response body",
    "error reading a body from connection",
    "without sending complete message body",
    "connection closed before message completed",
    "connection reset by peer",
    "incomplete chunked read",
    "incompleteread",
    "server disconnected",
    "unexpected eof",
)
_BAD_MEDIA = (
    "format not recognised",
    "file contains data in an unknown format",
    "file contains data in an unimplemented format",
)


def is_cut(error: ErrorBody, *, in_stream: bool) -> bool:
    """Returns whether an error of status 500 reports that the answer broke off further upstream.

    Routers that have begun a stream can report that only as an event of it.
    """
    if in_stream and error.type == "stream_error":
        return True
    return error.code in _CUT_CODES or _contains(_CUT, error.message)


def _contains(words: tuple[str, ...], message: str) -> bool:
    lower = message[:_LONGEST_READ].lower()
    return any(text in lower for text in words)


def _misses_model(message: str, *, named: bool) -> bool:
    """Returns whether a web server's text reports a missing model, possibly without naming it."""
    said = message[:_LONGEST_READ]
    if "support" in said or not _MISSES.search(said):
        return False
    return not named or _OF_MODEL.search(said) is not None


def _rejects_model(error: ErrorBody) -> bool:
    if error.code == "model_not_found":
        return True
    return _REJECTS_MODEL.match(error.message[:_LONGEST_READ]) is not None
