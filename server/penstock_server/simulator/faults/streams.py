"""Faults in the sequence of events: missing, added, broken and cut events."""

import json
from collections.abc import Callable
from contextlib import suppress

from penstock_server.simulator.faults.documents import edit_choices, said
from penstock_server.simulator.faults.table import FaultError, fault, harmless
from penstock_server.simulator.http import errors
from penstock_server.simulator.http.answers import (
    DONE,
    Answer,
    Document,
    Hangup,
    Json,
    Piece,
    Pieces,
    Raw,
    sse,
)

_ENVELOPE = ("id", "object", "created", "model")


@fault
def error_event(
    answer: Answer,
    after: int = 0,
    code: int = 500,
    message: str = "Simulated",
    done: bool = True,
    body: str = "nested",
) -> None:
    """Sends some events, then an error event, then [DONE]; unary: returns an HTTP error."""
    if body not in errors.BODIES:
        raise FaultError(f"unknown body {body!r}; valid bodies: {', '.join(errors.BODIES)}")
    said = errors.BODIES[body](code, message)
    if answer.streamed:
        error = errors.error_event(said)
        ending = (error, DONE) if done else (error,)
        answer.filters.append(lambda pieces: _ended(pieces, after, *ending))
    else:
        answer.replace(Answer.of_json(said, code))


@fault
def live_error(answer: Answer, after: int = 1, code: str = "invalid_audio") -> None:
    """Sends an error with a code after some events of a live transcription."""
    if answer.websocket:
        event = Document({"type": "error", "error": "Simulated", "code": code})
        answer.filters.append(lambda pieces: _inserted(pieces, after, event))


@fault
def cut(answer: Answer, after: int = 1, mid_chunk: bool = False) -> None:
    """Closes the connection after some events, or inside the next one; unary: inside the body."""
    _hang_up(answer, after, mid_chunk, reset=False)


@fault
def reset(answer: Answer, after: int = 1, mid_chunk: bool = False) -> None:
    """Resets the connection (RST) after some events; unary: inside the body."""
    _hang_up(answer, after, mid_chunk, reset=True)


@fault
def malformed_event(answer: Answer, after: int = 1) -> None:
    """Sends one event that is not JSON; unary: a body that is not JSON."""
    broken = b'{"id": "chatcmpl-broken", "choices": [{'
    if answer.streamed:
        answer.filters.append(lambda pieces: _inserted(pieces, after, Raw(sse(broken))))
    else:
        answer.replace(Answer.of_bytes(broken, answer.content_type))


@harmless
def no_done(answer: Answer) -> None:
    """Ends a stream without [DONE]."""
    each_piece(answer, lambda piece: [] if piece == DONE else [piece])


@fault
def done_only(answer: Answer) -> None:
    """Sends only [DONE]."""
    if answer.streamed:
        each_piece(answer, lambda piece: [piece] if piece == DONE else [])


@harmless
def events_after_done(answer: Answer) -> None:
    """Repeats the first event after [DONE]."""
    if answer.streamed:
        answer.filters.append(_first_again)


@fault
def no_usage(answer: Answer) -> None:
    """Leaves out all usage."""
    each_piece(answer, _without_usage)


@fault
def no_finish(answer: Answer) -> None:
    """Leaves out the finish reasons."""
    each_piece(answer, _without_finish)


@fault
def duplicate_finish(answer: Answer) -> None:
    """Sends the event that finishes a choice twice."""
    if answer.streamed:
        each_piece(answer, lambda piece: [piece, piece] if _ends_choice(piece) else [piece])


@harmless
def comments(answer: Answer) -> None:
    """Inserts a comment before each event."""
    if answer.streamed:
        each_piece(answer, _with_comment)


@harmless
def several_tool_deltas(answer: Answer) -> None:
    """Sends all tool calls of an answer complete in one delta."""
    if answer.streamed:
        answer.filters.append(_gathered_calls)


@harmless
def argument_objects(answer: Answer) -> None:
    """Writes the arguments of a tool call as a JSON object instead of a string."""
    several_tool_deltas(answer)
    edit_choices(answer, _arguments_to_objects)


def each_piece(answer: Answer, change: Callable[[Piece], list[Piece]]) -> None:
    """Replaces each piece by any number of pieces."""
    answer.filters.append(lambda pieces: _each(pieces, change))


def _hang_up(answer: Answer, after: int, mid_chunk: bool, reset: bool) -> None:
    if answer.streamed:
        answer.filters.append(lambda pieces: _hung_up(pieces, after, mid_chunk, reset))
    else:
        answer.filters.append(lambda pieces: _hung_up(pieces, 0, True, reset))


async def _each(pieces: Pieces, change: Callable[[Piece], list[Piece]]) -> Pieces:
    async for piece in pieces:
        for changed in change(piece):
            yield changed


async def _ended(pieces: Pieces, after: int, *ending: Piece) -> Pieces:
    async for piece in pieces:
        if after == 0:
            break
        after -= isinstance(piece, Document)
        yield piece
    for piece in ending:
        yield piece


async def _inserted(pieces: Pieces, after: int, added: Piece) -> Pieces:
    async for piece in pieces:
        if after == 0:
            yield added
        after -= isinstance(piece, Document)
        yield piece


async def _hung_up(pieces: Pieces, after: int, inside: bool, reset: bool) -> Pieces:
    async for piece in pieces:
        if isinstance(piece, Document | Raw):
            if after == 0 or piece == DONE:
                yield Hangup(piece if inside else None, reset)
            after -= isinstance(piece, Document)
        yield piece


async def _first_again(pieces: Pieces) -> Pieces:
    first: Piece | None = None
    async for piece in pieces:
        first = first or (piece if isinstance(piece, Document) else None)
        yield piece
    if first:
        yield first


def _with_comment(piece: Piece) -> list[Piece]:
    return [Raw(b": comment\n\n"), piece] if isinstance(piece, Document | Raw) else [piece]


def _choices(piece: Piece) -> list[Json]:
    found = piece.data.get("choices") if isinstance(piece, Document) else None
    return found or []


def _ends_choice(piece: Piece) -> bool:
    return any(choice.get("finish_reason") for choice in _choices(piece))


def _without_usage(piece: Piece) -> list[Piece]:
    if not isinstance(piece, Document) or "usage" not in piece.data:
        return [piece]
    if not piece.data.get("choices"):
        return []
    return [Document({key: value for key, value in piece.data.items() if key != "usage"})]


def _without_finish(piece: Piece) -> list[Piece]:
    for choice in _choices(piece):
        choice["finish_reason"] = None
    return [piece]


async def _gathered_calls(pieces: Pieces) -> Pieces:
    """Holds back the deltas of tool calls until the choice finishes."""
    held: dict[int, Json] = {}
    async for piece in pieces:
        if not isinstance(piece, Document):
            yield piece
            continue
        choices = _choices(piece)
        for choice in choices:
            _gather(held, piece, choice)
            index = choice.get("index") or 0
            if choice.get("finish_reason") and index in held:
                yield Document(held.pop(index))
        if not choices or piece.data.get("usage") or not all(map(_says_nothing, choices)):
            yield piece


def _gather(held: dict[int, Json], piece: Document, choice: Json) -> None:
    added = said(choice).pop("tool_calls", None)
    if not added:
        return
    begun = {"index": choice.get("index"), "delta": {"tool_calls": []}, "finish_reason": None}
    event = {key: piece.data[key] for key in _ENVELOPE if key in piece.data}
    whole = held.setdefault(choice.get("index") or 0, {**event, "choices": [begun]})
    for call in added:
        _gather_call(whole["choices"][0]["delta"]["tool_calls"], call)


def _gather_call(calls: list[Json], call: Json) -> None:
    key = "id" if call.get("id") else "index"
    known = [one for one in calls if one.get(key) == call.get(key)]
    function = call.get("function") or {}
    if known:
        known[-1]["function"]["arguments"] += function.get("arguments") or ""
    else:
        whole = {**function, "arguments": function.get("arguments") or ""}
        calls.append({**call, "function": whole})


def _says_nothing(choice: Json) -> bool:
    """Returns whether a choice is empty without its tool calls."""
    if choice.get("finish_reason") or choice.get("logprobs") or choice.get("token_ids"):
        return False
    return set(said(choice)) == {"content"} and said(choice)["content"] is None


def _arguments_to_objects(choice: Json) -> None:
    for call in said(choice).get("tool_calls") or ():
        with suppress(ValueError, TypeError, KeyError):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
