"""Reading of the answer of an upstream: a document, or the failure that it reports."""

import gc
import json
import re
from codecs import BOM_UTF8
from contextlib import suppress
from typing import Any

import orjson

from penstock_server.upstream import vector_texts
from penstock_server.upstream.completeness import (
    ChoiceStream,
    Contract,
    ContractBroken,
    is_plainly_whole,
)
from penstock_server.upstream.error_body import (
    ABORTED,
    ErrorBody,
    find_error,
    find_refusal,
    status_of,
)
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure, is_cut
from penstock_server.upstream.merging import JsonObject
from penstock_server.upstream.request_id import is_of_another
from penstock_server.upstream.response import EVENT_STREAM, Response
from penstock_server.upstream.written_arguments import keep_written

OCTET_STREAM = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_EVENTS = (b"data", b"event", b"id", b"retry", b":")

# Content types whose text is meant for readers; some servers send none.
_TEXT = ("text/plain", "")
_LONGEST_TEXT = 1024
_LARGE_BYTES = 64 * 1024
_ARGUMENTS = b'"arguments"'


def document(body: bytes, stage: Stage, content_type: str | None = None) -> JsonObject:
    """Returns the JSON object in a body or an event.

    Args:
        body: the body, or the data of the event.
        stage: how far the exchange has come.
        content_type: the content type of the answer, for the message of a failure.

    Raises:
        UpstreamFailure: it is not a JSON object (MALFORMED), or it reports an error (HTTP_ERROR,
            with the status that the error's code means).
    """
    answer: JsonObject = _parsed(body, stage, content_type)
    if (error := find_error(answer)) or type(answer) is not dict:
        raise _no_answer(error, stage)
    # Lists of vectors contain none, and are long. `in` is slower than `find`: it raises and drops a
    # TypeError for an operand of type bytes.
    if ("data" not in answer or answer.get("object") != "list") and body.find(_ARGUMENTS) >= 0:
        keep_written(answer, body)
    return answer


async def whole(response: Response) -> JsonObject:
    """Returns the JSON object of a unary answer.

    Raises:
        UpstreamFailure: see `document` and `_vectors_as_bytes`.
    """
    body = await response.read()
    if response.content_type == OCTET_STREAM:
        return _vectors_as_bytes(response, body)
    return document(body, Stage.BODY, response.content_type)


async def embeddings(response: Response) -> JsonObject:
    """Returns the JSON object of a unary answer with vectors; see `with_texts`.

    Raises:
        UpstreamFailure: see `whole`.
    """
    body = await response.read()
    if response.content_type == OCTET_STREAM:
        return _vectors_as_bytes(response, body)
    return with_texts(body, response.content_type)


def with_texts(body: bytes, content_type: str) -> JsonObject:
    """Returns the JSON object in a body, its vectors in base64 as views of their characters.

    Raises:
        UpstreamFailure: see `document`.
    """
    if texts := vector_texts.find(body):
        # The failure of the whole document is the one that describes it.
        with suppress(UpstreamFailure):
            answer = document(vector_texts.without(body, texts), Stage.BODY)
            if vector_texts.restore(answer, body, texts):
                return answer
    return document(body, Stage.BODY, content_type)


def _vectors_as_bytes(response: Response, body: bytes) -> JsonObject:
    """Returns the JSON object of an answer for which bytes were requested.

    vLLM then sends vectors in a body without structure; a header contains the object, whose results
    contain the positions of their bytes. They are added here, as `bytes`.

    Raises:
        UpstreamFailure: see `document`; or the header lacks positions.
    """
    answer = document(response.metadata.encode(), Stage.HEADERS)
    try:
        for result in answer["data"]:
            result["bytes"] = body[result["start"] : result["end"]]
    except (LookupError, TypeError):
        raise malformed("its header lacks the positions of results", Stage.HEADERS) from None
    return answer


async def stored(response: Response) -> JsonObject:
    """Returns a stored response, which may be one that failed.

    Raises:
        UpstreamFailure: see `document`.
    """
    body = await response.read()
    answer: JsonObject = _parsed(body, Stage.BODY, response.content_type)
    is_response = isinstance(answer, dict) and answer.get("object") == "response"
    error = None if is_response else find_error(answer)
    if error or not isinstance(answer, dict):
        raise _no_answer(error, Stage.BODY)
    keep_written(answer, body)
    return answer


def reported(error: ErrorBody, stage: Stage) -> UpstreamFailure:
    """Returns the failure that an upstream reports in an answer with status 200."""
    if error is ABORTED:
        return UpstreamFailure(Kind.ABORTED, error.message, stage)
    return _reported(error, status_of(error), stage)


def require_own(response: Response, named: Any) -> None:
    """Checks that an answer does not name another request than the one it answers.

    Args:
        response: the answer.
        named: the request id in a header, or the id of the answer or of its first event.

    Raises:
        UpstreamFailure: it is the answer to another request (MALFORMED).
    """
    if named and isinstance(named, str) and is_of_another(response.request_id, named):
        raise malformed("it is the answer to another request", Stage.BODY)


def observe(contract: Contract, event: JsonObject, stage: Stage, offset: int | None = None) -> None:
    """Records an event in a contract.

    The contract removes parts without content from the event; unreadable values after a complete
    answer are removed, too.

    Raises:
        UpstreamFailure: MALFORMED, the event breaks the contract.
    """
    try:
        contract.observe(event)
    except ContractBroken as error:
        raise malformed(str(error), stage, offset) from error
    except (AttributeError, LookupError, TypeError) as error:
        if contract.complete:
            event.clear()
            return
        what = "a value in it has the wrong type"
        raise malformed(what, stage, offset) from error


def require_whole(answer: JsonObject, choices: int) -> None:
    """Checks that a unary answer has a number of choices, each finished.

    Raises:
        UpstreamFailure: it does not (MALFORMED), or a choice failed (HTTP_ERROR, ABORTED).
    """
    if is_plainly_whole(answer, choices):
        return
    contract = ChoiceStream(choices)
    found = answer.get("choices")
    if isinstance(found, list) and len(found) > 1:
        _number(found)
    observe(contract, answer, Stage.BODY)
    if contract.failure:
        raise reported(contract.failure, Stage.BODY)
    if not contract.whole:
        raise malformed(contract.missing, Stage.BODY)


def _number(choices: list[Any]) -> None:
    """Numbers choices without an index by their position."""
    for position, choice in enumerate(choices):
        if isinstance(choice, dict) and choice.get("index") is None:
            choice["index"] = position


def malformed(what: str, stage: Stage, offset: int | None = None) -> UpstreamFailure:
    """Returns the failure for an answer that violates the API; `what` describes how and where."""
    noun = "stream" if stage is Stage.STREAM else "answer"
    message = f"malformed upstream {noun}: {what}"
    return UpstreamFailure(Kind.MALFORMED, message, stage, offset=offset)


async def refusal(response: Response) -> UpstreamFailure:
    """Returns the failure for an answer with another status than 200."""
    body = await response.read_error()
    error = _read_error(body, response.content_type)
    return _reported(error, response.status, Stage.BODY, response.retry_after_s)


async def require_stream(response: Response) -> None:
    """Checks that an answer is an event stream, which may lack its content type.

    Raises:
        UpstreamFailure: another status than 200, an error in a 200, or another content type.
    """
    if response.status != 200:
        raise await refusal(response)
    if response.content_type == EVENT_STREAM:
        return
    if not response.content_type and await response.begins_with(_EVENTS):
        return
    body, kind = await response.read_error(), _named(response.content_type)
    if "json" in response.content_type or not response.content_type:
        document(body, Stage.BODY, response.content_type)
    elif error := _error_in(body):
        raise reported(error, Stage.BODY)
    raise malformed(f"{kind} instead of an event stream", Stage.BODY)


def _error_in(body: bytes) -> ErrorBody | None:
    try:
        return find_error(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _read_error(body: bytes, content_type: str) -> ErrorBody:
    """Returns the error in a body; of text that is not JSON, reads as much as possible."""
    text = body.decode("utf-8-sig", "replace")
    try:
        return find_refusal(json.loads(text))
    except (ValueError, RecursionError):
        bare = not body.lstrip().startswith(b"{")
        return ErrorBody(_words(text) if bare and content_type in _TEXT else "", bare=bare)


def _words(text: str) -> str:
    """Returns the beginning of a plain text in one line; nothing from markup."""
    if text.lstrip().startswith("<"):
        return ""
    return " ".join(text[:_LONGEST_TEXT].split())


def _reported(
    error: ErrorBody, status: int, stage: Stage, retry_after_s: float | None = None
) -> UpstreamFailure:
    message = error.message or f"the upstream answered HTTP {status}"
    kind, streamed = Kind.HTTP_ERROR, stage is Stage.STREAM
    if status >= 500 and is_cut(error, in_stream=streamed):
        kind = Kind.INTERRUPTED if streamed else Kind.CLOSED
    return UpstreamFailure(
        kind, message, stage, status=status, error=error, retry_after_s=retry_after_s
    )


def _no_answer(error: ErrorBody | None, stage: Stage) -> UpstreamFailure:
    """Returns the failure for a document that is not an answer, with the error that it reports."""
    return reported(error, stage) if error else malformed("it is not a JSON object", stage)


def _parsed(body: bytes, stage: Stage, content_type: str | None = None) -> Any:
    try:
        return orjson.loads(body) if len(body) < _LARGE_BYTES else _loaded(body)
    except orjson.JSONDecodeError as error:
        if body.startswith(BOM_UTF8):
            return _parsed(body.removeprefix(BOM_UTF8), stage, content_type)
        offset = _offset(body, error)
        what = f"invalid JSON at offset {offset}" if body else "it is empty"
        if content_type is not None:
            what = f"{what} ({_named(content_type)})"
        raise malformed(what, stage, offset) from None


def _loaded(body: bytes) -> Any:
    """Parses a large document while no garbage is collected.

    The collector would visit its objects repeatedly, which takes five times as long as the parsing
    and blocks other calls.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        if collects:
            gc.enable()


def _named(content_type: str) -> str:
    """Returns the form of a content type in messages."""
    if not content_type:
        return "no content type"
    return content_type if _MEDIA_TYPE.fullmatch(content_type) else "an unreadable content type"


def _offset(body: bytes, error: orjson.JSONDecodeError) -> int:
    """Returns the byte offset at which a text is not valid JSON; the error counts characters."""
    try:
        return len(body.decode()[: error.pos].encode())
    except UnicodeDecodeError as no_text:
        return no_text.start
