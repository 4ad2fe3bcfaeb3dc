"""Streams in equivalent forms, written by the simulator's harmless faults."""

from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeVar

from hypothesis import strategies as st

from penstock_server.simulator.faults import FAULTS, apply_faults
from penstock_server.simulator.http.answers import DONE, Answer, Document, Pieces, Raw

from .whole_streams import Whole

T = TypeVar("T")

FRAMINGS = ("chunked", "length", "close")
"""How the end of a body is marked: by chunks, by its length or by closing the connection."""


@dataclass(frozen=True)
class Body:
    """A stream in a certain form.

    Attributes:
        faults: faults that were applied to it.
        pieces: its bytes; each piece is an HTTP chunk.
        fields: lines of its HTTP headers.
    """

    faults: str = field(compare=False)
    pieces: tuple[bytes, ...]
    fields: tuple[str, ...]

    @property
    def data(self) -> bytes:
        """The bytes of the body."""
        return b"".join(self.pieces)

    def until(self, size: int) -> "Body":
        """Returns a body of its first bytes."""
        starts = (0, *accumulate(map(len, self.pieces)))
        pieces = (
            piece[: size - start]
            for start, piece in zip(starts, self.pieces, strict=False)
            if start < size
        )
        return replace(self, pieces=tuple(pieces))

    def wire(self, framing: str = "chunked", cut: int | None = None) -> bytes:
        """Returns the answer; a cut one has at most a number of bytes of the body."""
        pieces = self.pieces if cut is None else self.until(cut).pieces
        fields = list(self.fields)
        body = b"".join(pieces)
        if framing == "chunked":
            fields.append("transfer-encoding: chunked")
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
            body += b"0\r\n\r\n" if cut is None else b""
        elif framing == "length":
            fields.append(f"content-length: {len(self.data)}")
        lines = "".join(f"{field}\r\n" for field in ("HTTP/1.1 200 OK", *fields))
        return f"{lines}connection: close\r\n\r\n".encode() + body


def written(whole: Whole, faults: str = "") -> Body:
    """Returns a stream after faults."""
    answer = Answer.of_events(_pieces(whole))
    apply_faults(answer, faults)
    pieces = _finished(_collected(answer.encoded()))
    headers = [*answer.headers, ("content-type", answer.content_type)]
    return Body(faults, pieces, tuple(f"{name}: {value}" for name, value in headers if value))


async def _pieces(whole: Whole) -> Pieces:
    for event in whole.copied():
        yield Document(event)
    if whole.done:
        yield DONE


async def _collected(pieces: Pieces) -> tuple[bytes, ...]:
    return tuple([piece.data async for piece in pieces if isinstance(piece, Raw)])


def _finished(steps: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never waits."""
    try:
        steps.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


# Which faults, in which order

_DATA, _TEXT, _LINES, _CODING, _CHUNKS = range(5)
_STAGES: Mapping[str, int] = {
    # Refers to the first event, so no event may be inserted before it.
    "first-only": -1,
    "escapes": _TEXT,
    "multi-line-data": _TEXT + 1,
    "cr": _LINES + 1,
    "crlf": _LINES + 1,
    "mixed-line-ends": _LINES + 1,
    "byte-order-mark": _LINES + 1,
    "unended": _LINES + 2,
    "gzip": _CODING + 3,
    "split-bytes": _CHUNKS + 4,
}
"""Required order of faults; all others work on events, in any order."""

_LINE_ENDS = frozenset({"cr", "crlf", "mixed-line-ends"})
_ANYTHING_AFTER = frozenset({"tail form=broken", "tail form=text", "events-after-done"})
"""Faults that may follow only after `[DONE]`, when nothing counts any more."""

_FORMS: Mapping[str, tuple[str, ...]] = {
    "empty-events": (
        *("all", "data", "blank", "null", "object", "field", "event", "id", "retry", "named"),
        *("comment", "line", "unknown"),
    ),
    "done": ("blank", "tight", "named", "twice"),
    "tail": ("cost", "usage", "nothing", "comment", "event", "broken", "text"),
    "numbers": ("float", "text", "fraction"),
    "call-index": ("none", "zero"),
}
_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "after": st.integers(0, 6),
    "every": st.integers(1, 5),
    "ends": st.integers(0, 1),
    "size": st.one_of(st.integers(1, 40), st.integers(1, 5000)),
    "coding": st.sampled_from(["gzip", "x-gzip"]),
}


@st.composite
def fault(draw: st.DrawFn, name: str) -> str:
    """Returns a harmless fault with parameters."""
    words = [name]
    for key, default in FAULTS[name].parameters.items():
        value: object
        if key == "form":
            value = draw(st.sampled_from(_FORMS[name]))
        elif isinstance(default, bool):
            value = int(draw(st.booleans()))
        else:
            value = draw(_VALUES[key])
        words.append(f"{key}={value}")
    return " ".join(words)


HARMLESS = tuple(name for name, found in FAULTS.items() if found.harmless)
_TOGETHER = ("unended ends=0", "no-done, unended", "no-done, unended ends=0", "no-done, tail")


def _each_form() -> Iterator[str]:
    for name in HARMLESS:
        forms = _FORMS.get(name, ())
        yield from (f"{name} form={form}" for form in forms)
        yield from () if forms else (name,)
        switches = (key for key, value in FAULTS[name].parameters.items() if value is False)
        yield from (f"{name} {key}=1" for key in switches)


SINGLE = (*_each_form(), *_TOGETHER)
"""Each fault in each form, and some relevant combinations."""


def fits(whole: Whole, fault: str) -> bool:
    """Returns whether a fault is harmless for a stream; some require that `[DONE]` ends it."""
    return whole.done or fault not in _ANYTHING_AFTER


@st.composite
def changes(draw: st.DrawFn, whole: Whole) -> str:
    """Generates a sequence of harmless faults for a stream."""
    names = draw(st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=6, unique=True))
    ends = [name for name in names if name in _LINE_ENDS]
    chosen = [draw(fault(name)) for name in names if name not in ends[1:]]
    ended = whole if "no-done" not in names else replace(whole, done=False)
    chosen = [one for one in chosen if fits(ended, one)]
    return ", ".join(sorted(chosen, key=lambda one: _STAGES.get(one.partition(" ")[0], _DATA)))
