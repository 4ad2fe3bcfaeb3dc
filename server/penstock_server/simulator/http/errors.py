"""Errors in the forms that vLLM and its proxies use."""

import json
from collections.abc import Callable
from http import HTTPStatus

from penstock_server.simulator.http.answers import Answer, Json, Raw, sse

_TYPES = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}


class ApiError(Exception):
    """An error in vLLM's usual form."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = nested(status, message, kind, param)

    def answer(self) -> Answer:
        """Returns the error as a unary answer."""
        return Answer.of_json(self.body, self.status)

    def event(self) -> Raw:
        """Returns the error as an event of a running stream; vLLM writes it with spaces."""
        return error_event(self.body)


class TooLong(ApiError):
    """The error for a prompt that is too long; vLLM counts only up to the limit."""

    def __init__(self, limit: int, count: int) -> None:
        message = (
            f"This model's maximum context length is {limit} tokens. However, your prompt "
            f"contains at least {limit + 1} input tokens, which exceeds this limit even "
            "without any output tokens. Please reduce the length of the input prompt. "
            f"(parameter=input_tokens, value={limit + 1})"
        )
        super().__init__(message, "input_tokens")
        self.limit = limit
        self.count = count


def error_event(body: Json) -> Raw:
    """Frames an error body as an event, as vLLM does."""
    return Raw(sse(json.dumps(body).encode()))


def parameter_error(message: str, name: str, value: object = None) -> ApiError:
    """Returns an error whose message ends with the name, and the value if any, of its parameter."""
    shown = f"parameter={name}" if value is None else f"parameter={name}, value={value}"
    return ApiError(f"{message} ({shown})", name)


def unknown_model(model: str, served: tuple[str, ...]) -> ApiError:
    """Returns the error for a model that is not served."""
    names = ", ".join(served)
    message = f"The model `{model}` does not exist. Valid aliases: {names}."
    return ApiError(message, "model", 404)


def nested(
    status: int, message: str, kind: str | None = None, param: str | None = None
) -> dict[str, Json]:
    """Returns the error in vLLM's form since 0.10.1: an object under `error`."""
    kind = kind or _TYPES.get(status, phrase(status))
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def flat(status: int, message: str) -> dict[str, Json]:
    """Returns the error in vLLM's form before 0.10.1: the body is the error."""
    kind = _TYPES.get(status, phrase(status))
    return {"object": "error", "message": message, "type": kind, "param": None, "code": status}


def phrase(status: int) -> str:
    """Returns the phrase of a status as in Python up to 3.12, with which the captures were made."""
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return "Unprocessable Entity"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def detail(status: int, message: str | None = None) -> Answer:
    """Returns an error in Starlette's form, for routes and bodies that do not reach vLLM."""
    return Answer.of_json({"detail": message or phrase(status)}, status)


def method_not_allowed(allowed: str) -> Answer:
    """Returns the error for a method that the path does not support."""
    answer = detail(405)
    answer.headers.append(("allow", allowed))
    return answer


def unauthorized() -> Answer:
    """Returns the error for a missing or wrong key; `error` is a string."""
    return Answer.of_json({"error": "Unauthorized"}, 401)


def _html(status: int, message: str) -> Answer:
    page = (
        f"<html><head><title>{status} {phrase(status)}</title></head><body>{message}</body></html>"
    )
    return Answer.of_bytes(page.encode(), "text/html", status)


def _of_body(body: Callable[[int, str], Json]) -> Callable[[int, str], Answer]:
    return lambda status, message: Answer.of_json(body(status, message), status)


BODIES: dict[str, Callable[[int, str], Json]] = {
    "nested": nested,
    "flat": flat,
    "string": lambda _, message: {"error": message},
    "detail": lambda _, message: {"detail": message},
    "detail-list": lambda _, message: {
        "detail": [{"loc": ["body"], "msg": message, "type": "value_error"}]
    },
    "unknown": lambda _, message: {"fault": message},
}
"""Every error body in JSON by the name of its shape."""

SHAPES: dict[str, Callable[[int, str], Answer]] = {
    **{name: _of_body(body) for name, body in BODIES.items()},
    "empty": lambda status, _: Answer.of_bytes(b"", None, status),
    "html": _html,
    "text": lambda status, message: Answer.of_bytes(message.encode(), "text/plain", status),
}
"""Every shape of an error body by its name."""
