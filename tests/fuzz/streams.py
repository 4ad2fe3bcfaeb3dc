"""Captured event streams, damaged copies of them, and whether these are complete."""

import json
from codecs import BOM_UTF8
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from rpc.every_rpc import Called

from .answers import ERRORS, captured, paths_of
from .jsons import JSON_TEXTS, TEXTS, VALUES, changed
from .upstream import strict_json

DONE = "[DONE]"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"


@dataclass(frozen=True)
class Written:
    """A stream in a certain form.

    Attributes:
        events: data of each event.
        newline: line ending.
        between: text before each event: comments and other fields.
        cut: number of bytes after which the connection closes; None to send all.
        chunk: size of the HTTP chunks; 0 for a body that ends with the connection.
    """

    events: tuple[str, ...]
    newline: str = "\n"
    between: tuple[str, ...] = ()
    cut: int | None = None
    chunk: int = 0

    @property
    def body(self) -> bytes:
        """The bytes of the body that a reader receives."""
        lines: list[str] = []
        for event in self.events:
            lines += self.between
            lines += [f"data: {line}" for line in event.split("\n")]
            lines.append("")
        text = "".join(line + self.newline for line in lines)
        return text.encode("utf-8", "surrogatepass")[: self.cut]

    @property
    def wire(self) -> bytes:
        """The answer with its headers."""
        if not self.chunk:
            return _HEAD + b"\r\n" + self.body
        body, size = self.body, self.chunk
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        end = b"0\r\n\r\n" if self.cut is None else b""
        return _HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks + end


def real_streams(rpc: Called) -> list[Written]:
    """Returns the complete captured streams for requests with one choice."""
    found = []
    for capture in captured(paths_of(rpc)):
        if "events" not in capture or _wanted(capture) != 1:
            continue
        tail = [DONE] if capture.get("done") else []
        written = Written((*map(json.dumps, capture["events"]), *tail))
        if complete(rpc, written.body):
            found.append(written)
    assert found, rpc.name
    return found


def _wanted(capture: Any) -> int:
    asked = capture["request"].get("body") or {}
    prompts = asked.get("prompt")
    return int(asked.get("n", 1)) * (len(prompts) if isinstance(prompts, list) else 1)


@st.composite
def _otherwise(draw: st.DrawFn, written: Written) -> Written:
    events = written.events
    if draw(st.booleans()):
        events = tuple(
            event if event == DONE else json.dumps(json.loads(event), indent=1) for event in events
        )
    noise = st.sampled_from([": ping", "event: x", "id: 7", "retry: 1", ":", "data2: x", "x"])
    return replace(
        written,
        events=events,
        newline=draw(st.sampled_from(["\n", "\r\n"])),
        between=tuple(draw(st.lists(noise, max_size=3))),
        chunk=draw(st.one_of(st.just(0), st.integers(1, 40), st.integers(1, 5000))),
    )


@st.composite
def spoiled(draw: st.DrawFn, real: list[Written]) -> Written:
    """Generates a captured stream with one to three changes."""
    written = draw(st.sampled_from(real))
    events = list(written.events)
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, events)
    written = draw(_otherwise_if_json(replace(written, events=tuple(events))))
    if draw(st.booleans()):
        written = replace(written, cut=draw(st.integers(0, len(written.body))))
    return written


def _otherwise_if_json(written: Written) -> st.SearchStrategy[Written]:
    try:
        for event in written.events:
            if event != DONE:
                json.loads(event)
    except (ValueError, RecursionError):
        return st.just(written)
    return _otherwise(written)


_STRAY = st.one_of(
    JSON_TEXTS,
    TEXTS,
    st.just(DONE),
    st.one_of(ERRORS, VALUES).map(json.dumps),
    st.just('{"choices": []}'),
    st.just('{"choices": [], "usage": null}'),
    st.just('{"type": "response.failed"}'),
)


def _spoil(draw: st.DrawFn, events: list[str]) -> None:
    if not events:
        events.append(draw(_STRAY))
        return
    last = len(events) - 1
    # Whether a stream is complete depends mostly on its end.
    places = st.one_of(st.integers(max(0, last - 3), last), st.integers(0, last))
    at, other = draw(places), draw(places)
    match draw(st.integers(0, 6)):
        case 0:
            del events[at]
        case 1:
            events.insert(other, events[at])
        case 2:
            events[at], events[other] = events[other], events[at]
        case 3:
            events.insert(at, draw(_STRAY))
        case 4:
            del events[at:]
        case 5:
            events[at] = events[at][: draw(st.integers(0, len(events[at])))]
        case _:
            try:
                events[at] = json.dumps(draw(changed(json.loads(events[at]))))
            except (ValueError, RecursionError):
                events[at] = draw(_STRAY)


def complete(rpc: Called, body: bytes) -> bool:
    """Returns whether a stream is complete according to its documentation.

    An independent implementation, to compare the service with.
    """
    found = [part for data in data_of(body) for part in _apart(data)]
    done = next((place for place, data in enumerate(found) if data.strip() == DONE.encode()), None)
    events = [_parsed(data) for data in found[:done]]
    ends = range(len(events) + 1)
    return any(_ends(rpc, events[:end], events[end:], done is not None) for end in ends)


def _apart(data: bytes) -> list[bytes]:
    """Returns the lines of events without blank lines between them."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    whole = [line.strip() == DONE.encode() or isinstance(_parsed(line), dict) for line in lines]
    return lines if all(whole) and not isinstance(_parsed(data), dict) else [data]


def _parsed(data: bytes) -> Any:
    try:
        return strict_json(data)
    except (ValueError, RecursionError):
        return data.strip()


def _ends(rpc: Called, events: list[Any], rest: list[Any], done: bool) -> bool:
    """Returns whether events are a complete stream without later content."""
    try:
        return _complete(rpc, [event for event in events if event], done) and not any(
            _goes_on(rpc, event) for event in rest
        )
    except (ValueError, RecursionError, AttributeError, TypeError, LookupError):
        return False


def _goes_on(rpc: Called, event: Any) -> bool:
    if not isinstance(event, dict):
        return False
    if rpc.settings:
        kind = str(event.get("type"))
        others = ("completed", "incomplete", "failed", "created", "in_progress", "queued")
        return kind.startswith("response.") and kind.removeprefix("response.") not in others
    choices = event.get("choices")
    return any(_says(one) for one in choices or ()) if isinstance(choices, list) else False


_OF_CHOICE = ("logprobs", "message", "text", "token_ids")
_OF_DELTA = ("audio", "content", "function_call", "reasoning", "reasoning_content", "refusal")
_FRAME_OF_CALL = ("index", "type")


def _says(choice: Any) -> bool:
    """Returns whether a choice has content; what is unknown is not known to be content."""
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta") or {}
    calls = [call.items() for call in delta.get("tool_calls") or () if call]
    said = [value for call in calls for key, value in call if key not in _FRAME_OF_CALL]
    said += [*map(choice.get, _OF_CHOICE), *map(delta.get, _OF_DELTA)]
    return any(map(_filled, said))


def _filled(value: Any) -> bool:
    return any(value.values()) if isinstance(value, dict) else bool(value)


def data_of(body: bytes) -> list[bytes]:
    """Returns the data of all events."""
    text = body.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.split(b"\n")
    found: list[bytes] = []
    data: list[bytes] = []
    for line in lines[:-1]:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line.startswith(b"{") and not data:
            found.append(line)
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return found


def _complete(rpc: Called, events: list[Any], done: bool) -> bool:
    if not events or any("error" in event and event["error"] for event in events):
        return False
    if rpc.settings:
        terminal = ("response.completed", "response.incomplete")
        last = events[-1]
        return (
            last["type"] in terminal
            and last["response"].get("status") not in ("failed", "in_progress", "queued")
            and last["response"]["usage"] is not None
            and not any(event.get("type") in terminal for event in events[:-1])
        )
    choices = [choice for event in events for choice in event.get("choices") or () if choice]
    if not choices:
        return False
    if "Transcribe" in rpc.name:
        ends = [choice.get("finish_reason") for choice in choices]
        counted = done or events[-1].get("usage") is not None
        return counted and any(ends) and "error" not in ends and not _open(choices)
    return _counted(events, done) and finished(choices)


def _open(choices: list[Any]) -> bool:
    """Returns whether the last part of a transcription has not ended."""
    for choice in reversed(choices):
        if choice.get("finish_reason") or _says(choice):
            return not choice.get("finish_reason")
    return True


def _counted(events: list[Any], done: bool) -> bool:
    """Returns whether usage follows the last content that it counts."""
    for event in reversed(events):
        if event.get("usage") is not None:
            return True
        choices = [choice for choice in event.get("choices") or () if choice]
        ends = any(choice.get("finish_reason") for choice in choices) and not done
        if ends or any(_says(choice) for choice in choices):
            return False
    return False


def finished(choices: list[Any]) -> bool:
    """Returns whether each choice has finished successfully after all its content."""
    said: dict[int, list[Any]] = {}
    for choice in choices:
        said.setdefault(int(choice.get("index") or 0), []).append(choice)
    return min(said) >= 0 and all(_ended(of_one) for of_one in said.values() if any(of_one))


def _ended(said: list[Any]) -> bool:
    reasons = [one.get("finish_reason") for one in said]
    first = next((place for place, reason in enumerate(reasons) if reason), None)
    if first is None:
        return not any(map(_says, said))
    return "error" not in reasons and not any(map(_says, said[first + 1 :]))
