"""Faults that replace the answer."""

from penstock_server.simulator.faults.table import FaultError, fault
from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import SHAPES, flat, nested, phrase


@fault
def status(
    answer: Answer,
    code: int = 500,
    body: str = "nested",
    message: str = "",
    retry_after: str = "",
    location: str = "",
) -> None:
    """Returns an HTTP status and an error body of the given shape."""
    if body not in SHAPES:
        raise FaultError(f"unknown body {body!r}; valid bodies: {', '.join(SHAPES)}")
    # The wording of the web server itself, which identifies missing routes.
    simulated = phrase(code) if body == "detail" else f"Simulated: {phrase(code)}"
    answer.replace(SHAPES[body](code, message or simulated))
    extra = {"retry-after": retry_after, "location": location}
    answer.headers += [(name, value) for name, value in extra.items() if value]


@fault
def error_in_200(answer: Answer, code: str = "400", body: str = "nested") -> None:
    """Returns 200 with an error as the body; `code` may be a number or a word."""
    number = int(code) if code.isdigit() else 400
    refusal = SHAPES[body](number, "Simulated error in a 200") if body in SHAPES else None
    if refusal is None:
        raise FaultError(f"unknown body {body!r}; valid bodies: {', '.join(SHAPES)}")
    if body in ("nested", "flat"):
        refusal = Answer.of_json(_with_code(body, number, code))
    refusal.status = 200
    answer.replace(refusal)


@fault
def html(answer: Answer) -> None:
    """Returns 200 with an HTML page, like the login or error page of a proxy."""
    page = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
    answer.replace(Answer.of_bytes(page, "text/html; charset=utf-8"))


@fault
def empty_body(answer: Answer) -> None:
    """Returns 200 with an empty body."""
    answer.replace(Answer.of_bytes(b"", answer.content_type))


@fault
def wrong_content_type(answer: Answer, value: str = "text/plain") -> None:
    """Returns the correct body with another content type."""
    answer.content_type = value


def _with_code(body: str, number: int, code: str) -> Json:
    message = "Simulated error in a 200"
    value: int | str = number if code.isdigit() else code
    if body == "flat":
        return {**flat(number, message), "code": value}
    error = nested(number, message)["error"]
    return {"error": {**error, "code": value}}
