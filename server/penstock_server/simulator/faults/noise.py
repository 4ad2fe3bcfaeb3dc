"""Faults that add events without content, or change the form of a stream's end."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

from penstock_server.simulator.faults.table import FaultError, harmless
from penstock_server.simulator.http.answers import (
    DONE,
    Answer,
    Document,
    Json,
    Piece,
    Pieces,
    Raw,
)

_EMPTY_EVENTS = {
    "data": b"data:\n\n",
    "blank": b"data: \n\n",
    "null": b"data: null\n\n",
    "object": b"data: {}\n\n",
    "field": b"data\n\n",
    "event": b"event: ping\n\n",
    "id": b"id: 7\n\n",
    "retry": b"retry: 3000\n\n",
    "named": b"event: ping\nid: 8\ndata: null\n\n",
    "comment": b": ping\n",
    "line": b"\n",
    "unknown": b"x-field: 1\n",
}
_DONE_FORMS = {
    "blank": b"data: [DONE] \n\n",
    "tight": b"data:[DONE]\n\n",
    "named": b"event: done\ndata: [DONE]\n\n",
    "twice": DONE.data * 2,
}
_TAILS_AFTER_DONE = {
    "comment": b": bye\n\n",
    "event": b"event: done\n\n",
    "broken": b'data: {"choices": [\n\n',
    "text": b"bye",
}
_TAILS = ("cost", "usage", "nothing", *_TAILS_AFTER_DONE)


@harmless
def empty_events(answer: Answer, form: str = "all", after: int = 0, every: int = 1) -> None:
    """Inserts content-free lines or events between the events, of one kind or all in turn.

    The kinds are data, blank, null, object, field, event, id, retry, named, comment, line, unknown.
    """
    said = _forms(_EMPTY_EVENTS, form)
    _before_each(answer, after, every, lambda _: Raw(next(said)))


@harmless
def keep_alives(answer: Answer, after: int = 0, every: int = 1) -> None:
    """Inserts content-free API events of a model `keepalive` between the events."""
    _before_each(answer, after, every, _keep_alive)


@harmless
def done(answer: Answer, form: str = "blank") -> None:
    """Writes [DONE] in another form: blank, tight, named or twice."""
    written = Raw(next(_forms(_DONE_FORMS, form)))
    if answer.streamed:
        answer.filters.append(lambda pieces: _replaced(pieces, {DONE: [written]}))


@harmless
def tail(answer: Answer, form: str = "cost") -> None:
    """Adds an event after the last one, before or after [DONE].

    Before [DONE]: the cost, the usage again, or an empty event. After it: a comment, an event, a
    broken event, or text.
    """
    if form not in _TAILS:
        raise FaultError(f"unknown form {form!r}; valid forms: {', '.join(_TAILS)}")
    if not answer.streamed:
        return
    if form in _TAILS_AFTER_DONE:
        added = Raw(_TAILS_AFTER_DONE[form])
        answer.filters.append(lambda pieces: _with_last(pieces, added))
    else:
        answer.filters.append(lambda pieces: _with_tail(pieces, form))


@harmless
def finish_again(answer: Answer) -> None:
    """Repeats the finish reason of each choice in an event without text."""
    if answer.streamed:
        answer.filters.append(_finished_again)


@harmless
def unended(answer: Answer, ends: int = 1) -> None:
    """Leaves out the blank line after the last event; with ends=0, also its line end."""
    if answer.streamed:
        answer.coders.append(lambda pieces: _without_end(pieces, ends))


def _forms(among: dict[str, bytes], form: str) -> Iterator[bytes]:
    if form != "all" and form not in among:
        raise FaultError(f"unknown form {form!r}; valid forms: all, {', '.join(among)}")
    return cycle(among.values() if form == "all" else [among[form]])


def _before_each(answer: Answer, after: int, every: int, made: Callable[[Json], Piece]) -> None:
    if answer.streamed:
        answer.filters.append(lambda pieces: _with_before(pieces, after, max(every, 1), made))


async def _with_before(
    pieces: Pieces, after: int, every: int, made: Callable[[Json], Piece]
) -> Pieces:
    """Inserts a piece before every nth event, from a given event on, and at the end."""
    number, last = 0, None
    async for piece in pieces:
        if isinstance(piece, Document) or piece == DONE:
            last = piece.data if isinstance(piece, Document) else last
            if number >= after and (number - after) % every == 0 and last:
                yield made(last)
            number += 1
        yield piece


def _keep_alive(event: Json) -> Piece:
    if "type" in event:
        return Document({"type": "keepalive"})
    alive = {"id": "keepalive", "created": 0, "model": "keepalive", "choices": []}
    return Document({"object": event.get("object"), **alive})


async def _replaced(pieces: Pieces, by: dict[Raw, Sequence[Piece]]) -> Pieces:
    async for piece in pieces:
        for other in by.get(piece, [piece]) if isinstance(piece, Raw) else [piece]:
            yield other


async def _with_last(pieces: Pieces, added: Piece) -> Pieces:
    async for piece in pieces:
        yield piece
    yield added


async def _with_tail(pieces: Pieces, form: str) -> Pieces:
    last: dict[str, Any] = {}
    async for piece in pieces:
        if piece == DONE and last:
            yield _tail(last, form)
            last = {}
        elif isinstance(piece, Document):
            last = piece.data
        yield piece
    if last:
        yield _tail(last, form)


def _tail(last: dict[str, Any], form: str) -> Piece:
    if "type" in last:
        return Raw(b": bye\n\n" if form == "nothing" else b"data: [DONE]\n\n")
    nothing: dict[str, Json] = {"choices": []}
    said = {"cost": nothing | {"x-cost": "0.00001400"}, "nothing": nothing}
    return Document(said.get(form, last))


async def _finished_again(pieces: Pieces) -> Pieces:
    async for piece in pieces:
        yield piece
        if isinstance(piece, Document):
            for choice in piece.data.get("choices") or ():
                if choice.get("finish_reason"):
                    yield Document({**piece.data, "choices": [_bare_finish(choice)]})


def _bare_finish(choice: dict[str, Json]) -> dict[str, Json]:
    said: dict[str, Json] = {"text": ""} if "text" in choice else {"delta": {}}
    return {"index": choice.get("index"), **said, "finish_reason": choice["finish_reason"]}


async def _without_end(pieces: Pieces, ends: int) -> Pieces:
    held = b""
    async for piece in pieces:
        if not isinstance(piece, Raw):
            yield piece
            continue
        whole = held + piece.data
        body = whole.rstrip(b"\r\n")
        held = whole[len(body) :]
        if body:
            yield Raw(body)
    if ends and held:
        yield Raw(held[: 2 if held.startswith(b"\r\n") else 1])
