"""What an upstream's answer means: a document, or the failure it states."""

from typing import Any

import orjson

from penstock_server.upstream.failure import (
    ErrorBody,
    Kind,
    Stage,
    UpstreamFailure,
    find_error,
    status_of,
)
from penstock_server.upstream.transport import Response

JsonObject = dict[str, Any]

EVENT_STREAM = "text/event-stream"


def document(body: bytes, stage: Stage) -> JsonObject:
    """Returns the JSON object that a body or an event holds.

    Raises:
        UpstreamFailure: it is no JSON object (MALFORMED), or it states an error (HTTP_ERROR,
            with the status that the error's code stands for).
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        what = f"no JSON at offset {error.pos}" if body else "it is empty"
        raise malformed(what, stage) from None
    if stated := find_error(parsed):
        raise _stated(stated, status_of(stated), stage)
    if not isinstance(parsed, dict):
        raise malformed("it is no JSON object", stage)
    return parsed


def malformed(what: str, stage: Stage) -> UpstreamFailure:
    """Returns the failure for an answer that breaks the API, `what` saying how."""
    noun = "stream" if stage is Stage.STREAM else "answer"
    return UpstreamFailure(Kind.MALFORMED, f"malformed upstream {noun}: {what}", stage)


async def refusal(response: Response) -> UpstreamFailure:
    """Returns the failure that an answer with another status than 200 stands for."""
    failure = _stated(_read_error(await response.read_error()), response.status, Stage.BODY)
    failure.retry_after_s = response.retry_after_s
    return failure


async def require_stream(response: Response) -> None:
    """Checks that an answer is an event stream.

    Raises:
        UpstreamFailure: another status than 200, an error in a 200, or another content type.
    """
    if response.status != 200:
        raise await refusal(response)
    if response.content_type != EVENT_STREAM:
        document(await response.read_error(), Stage.BODY)
        kind = response.content_type or "no content type"
        raise malformed(f"{kind} where an event stream was asked for", Stage.BODY)


def _read_error(body: bytes) -> ErrorBody:
    try:
        return find_error(orjson.loads(body)) or ErrorBody(bare=True)
    except orjson.JSONDecodeError:
        return ErrorBody(bare=True)


def _stated(error: ErrorBody, status: int, stage: Stage) -> UpstreamFailure:
    message = error.message or f"the upstream answered HTTP {status}"
    return UpstreamFailure(Kind.HTTP_ERROR, message, stage, status=status, error=error)
