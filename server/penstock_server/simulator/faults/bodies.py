"""Faults that put another answer in place of the right one."""

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
    """Answers with an HTTP status and an error body of the given shape."""
    if body not in SHAPES:
        raise FaultError(f"no body {body!r}; there are {', '.join(SHAPES)}")
    # The web server's own words, by which its missing routes are known.
    simulated = phrase(code) if body == "detail" else f"Simulated: {phrase(code)}"
    answer.replace(SHAPES[body](code, message or simulated))
    extra = {"retry-after": retry_after, "location": location}
    answer.headers += [(name, value) for name, value in extra.items() if value]


@fault
def error_in_200(answer: Answer, code: str = "400", body: str = "nested") -> None:
    """Answers 200 with an error as the body; `code` may be a number or a word."""
    number = int(code) if code.isdigit() else 400
    refusal = SHAPES[body](number, "Simulated error in a 200") if body in SHAPES else None
    if refusal is None:
        raise FaultError(f"no body {body!r}; there are {', '.join(SHAPES)}")
    if body in ("nested", "flat"):
        refusal = Answer.of_json(_with_code(body, number, code))
    refusal.status = 200
    answer.replace(refusal)


@fault
def html(answer: Answer) -> None:
    """Answers 200 with a page of HTML, as a proxy's login or error page."""
    page = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
    answer.replace(Answer.of_bytes(page, "text/html; charset=utf-8"))


@fault
def empty_body(answer: Answer) -> None:
    """Answers 200 with no body."""
    answer.replace(Answer.of_bytes(b"", answer.content_type))


@fault
def wrong_content_type(answer: Answer, value: str = "text/plain") -> None:
    """Names another content type for the right body."""
    answer.content_type = value


def _with_code(body: str, number: int, code: str) -> Json:
    message = "Simulated error in a 200"
    value: int | str = number if code.isdigit() else code
    if body == "flat":
        return {**flat(number, message), "code": value}
    error = nested(number, message)["error"]
    return {"error": {**error, "code": value}}
