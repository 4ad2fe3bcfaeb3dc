"""Errors that upstreams report in JSON, in all forms in use, and their HTTP statuses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The error that an upstream reports, in any form.

    Attributes:
        message: the text, possibly empty.
        faults: the JSON path and the problem of each faulty request field, if the upstream lists
            several.
        type: vLLM's class of error, such as "NotFoundError"; not uniform between versions.
        param: the JSON path of the offending request field.
        code: a number (the HTTP status) or a word such as "context_length_exceeded".
        bare: whether the body was not an error object of the API, but `{"detail": …}`, HTML, text
            or empty.
    """

    message: str = ""
    type: str = ""
    param: str = ""
    code: int | str | None = None
    bare: bool = False
    faults: tuple[tuple[str, str], ...] = ()


ABORTED = ErrorBody(message="the upstream aborted the generation")
"""The meaning of the finish reason "abort", with which a vLLM that stops ends its answers."""
ACTOR_DIED = "The actor died unexpectedly before finishing this task."
"""The text of Ray Serve LLM for requests whose replica died."""


# Words in `code` in place of a number, as some proxies and newer vLLMs send them.
_STATUS_OF_WORD: Mapping[str, int] = {
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "invalid_api_key": 401,
    "permission_denied": 403,
    "insufficient_quota": 429,
    "model_not_found": 404,
    "not_found": 404,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "service_unavailable": 503,
    "timeout": 504,
    # Types or texts instead of codes; used only without a code.
    "BadRequestError": 400,
    "NotFoundError": 404,
    "PermissionDeniedError": 403,
    "UnprocessableEntityError": 422,
    "NotImplementedError": 501,
    "ServiceUnavailableError": 503,
    "Bad Request": 400,
    "Not Found": 404,
    "Service Unavailable": 503,
    "Unauthorized": 401,
}


_SIGNS = frozenset({"error", "type", "detail"})
"""Keys without which only an object of the kind "error" is one."""

_IS_STATUS = re.compile(r"[0-9]{3}")

_WRAPPED = "Message: "
_LOCATED = "Invalid request format: "
_KEY = re.compile(r"'([^']*)'|(\d+)")


def status_of(error: ErrorBody) -> int:
    """Returns the HTTP status that an error inside a 200 means; 500 if it contains none."""
    if isinstance(error.code, int):
        return error.code if 400 <= error.code <= 599 else 500
    word = error.code or ""
    if _IS_STATUS.fullmatch(word):
        return status_of(ErrorBody(code=int(word)))
    words = (word, error.type, "" if error.bare else error.message)
    return next((_STATUS_OF_WORD[word] for word in words if word in _STATUS_OF_WORD), 500)


def find_error(document: Any) -> ErrorBody | None:
    """Returns the error in a JSON document, or None for an ordinary answer.

    Reads the shapes in use: nested `{"error": {…}}`, string `{"error": "…"}`, flat
    `{"object": "error", …}` and `{"detail": …}`.
    """
    if not isinstance(document, dict):
        return None
    kind = document.get("object")
    if kind == "response":
        return failed_response(document)
    # Nearly every event ends here.
    if _SIGNS.isdisjoint(document) and kind != "error":
        return None
    error = document.get("error")
    # Ignore an empty error next to an answer, but not on its own.
    if error or (error is not None and len(document) == 1):
        return _error_object(error) if isinstance(error, dict) else ErrorBody(message=_text(error))
    if kind == "error" or _is_error_event(document):
        return _error_object(document)
    if "detail" in document and not ({"choices", "data", "results"} & document.keys()):
        return _detail(document["detail"])
    return None


def find_refusal(document: Any) -> ErrorBody:
    """Returns the error in a JSON document with another status than 200."""
    if error := find_error(document):
        return error
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        return _error_object(document)
    return ErrorBody(bare=True)


def failed_response(response: Mapping[str, Any]) -> ErrorBody | None:
    """Returns the error of a failed response of the Responses API; None if it did not fail.

    vLLM reports an aborted generation as cancelled.
    """
    if response.get("status") == "cancelled":
        return ABORTED
    if response.get("status") != "failed":
        return None
    error = response.get("error")
    return _error_object(error) if isinstance(error, Mapping) else ErrorBody(code="server_error")


def _is_error_event(document: Mapping[str, Any]) -> bool:
    return document.get("type") == "error" and "message" in document


def _error_object(error: Mapping[str, Any]) -> ErrorBody:
    code, message, param = error.get("code"), _text(error.get("message")), error.get("param")
    if message.startswith(_LOCATED):
        param = _located(message)
    return ErrorBody(
        message=_unwrapped(message),
        type=_text(error.get("type")),
        # Other types are values of a field, not its path.
        param=_text(param) if isinstance(param, str) else "",
        code=code if isinstance(code, int | str) and not isinstance(code, bool) else None,
    )


def _unwrapped(message: str) -> str:
    """Returns a text without the exceptions in which Ray Serve LLM wraps it."""
    wrapped, found, exceptions = message.partition(", Internal exception: ")
    if not (found and wrapped.startswith(_WRAPPED)):
        return message
    # The text of such an error is "Internal Server Error".
    if exceptions.partition(", original exception: ")[2].startswith(ACTOR_DIED):
        return ACTOR_DIED
    text, found, _ = wrapped.removeprefix(_WRAPPED).rpartition(" (Request ID: ")
    return text if found else wrapped.removeprefix(_WRAPPED)


def _located(message: str) -> str:
    """Returns the path of the field that a text of Ray Serve LLM locates.

    Its `param` contains the value of the field.
    """
    keys = [name or place for name, place in _KEY.findall(message.rpartition(" at ")[2])]
    return ".".join(keys[keys[:1] == ["body"] :])


def _text(value: Any) -> str:
    try:
        text = "" if value is None else str(value)
    except RecursionError:
        return "(nested too deep)"
    return text.encode("utf-8", "replace").decode()


def _detail(detail: Any) -> ErrorBody:
    """Returns the error of a web server: a text, or a list of faulty parts of the request."""
    if not isinstance(detail, list):
        return ErrorBody(message=_text(detail), bare=True)
    faults = [
        (_location(item.get("loc")), _text(item.get("msg")))
        if isinstance(item, dict)
        # Of any type.
        else ("", _text(item))
        for item in detail
    ]
    message = "; ".join(f"{where}: {what}" if where else what for where, what in faults)
    located = tuple(fault for fault in faults if fault[0])
    return ErrorBody(message=message, bare=True, faults=located)


def _location(keys: Any) -> str:
    return ".".join(map(_text, keys)) if isinstance(keys, list) else _text(keys)
