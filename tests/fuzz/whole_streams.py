"""Complete streams of every kind from a real vLLM, with requests for them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson
from rpc.every_rpc import Called

from .answers import captured, paths_of

Json = Any

_USAGE = {"prompt_tokens": 7, "total_tokens": 12, "completion_tokens": 5}
_ENVELOPE = ("id", "request_id", "object", "created", "model", "output_mode")


@dataclass(frozen=True)
class Whole:
    """A complete stream.

    Attributes:
        name: name of the capture.
        rpc: call whose upstream sends it.
        choices: number of choices requested.
        events: its events.
        done: whether `[DONE]` follows them.
    """

    name: str
    rpc: Called
    choices: int
    events: tuple[Json, ...]
    done: bool

    @cached_property
    def _text(self) -> bytes:
        return orjson.dumps(self.events)

    def copied(self) -> list[Json]:
        """Returns a copy of its events."""
        copied: list[Json] = orjson.loads(self._text)
        return copied

    @property
    def size(self) -> int:
        """Its approximate size in bytes."""
        return len(self._text)


def whole_streams(rpc: Called) -> list[Whole]:
    """Returns the captured streams of an RPC, with the usage that Penstock always requests."""
    found = [_whole(rpc, capture) for capture in captured(paths_of(rpc)) if _is_whole(capture)]
    assert found, rpc.name
    return found + [_in_turn(one) for one in found if one.choices > 1]


def _in_turn(whole: Whole) -> Whole:
    """Returns the stream with one choice after the other, and with usage in every event."""
    *events, last = whole.copied()
    events.sort(key=lambda event: event["choices"][0]["index"])
    counted = [event | {"usage": event.get("usage") or _USAGE} for event in events]
    return replace(whole, name=f"{whole.name} in turn", events=(*counted, last))


def _is_whole(capture: Json) -> bool:
    events = capture.get("events") or [{"error": "not a stream"}]
    ended = capture.get("done") or events[-1].get("type") == "response.completed"
    return bool(ended) and not any("error" in event for event in events)


def _whole(rpc: Called, capture: Json) -> Whole:
    asked = capture["request"].get("body") or {}
    prompts = asked["prompt"] if isinstance(asked.get("prompt"), list) else [asked.get("prompt")]
    events = [*capture["events"], *_usage_after(capture["events"])]
    sampled = asked.get("sampling_params", asked)
    count = int(sampled.get("n", 1)) * len(prompts)
    done = bool(capture.get("done"))
    return Whole(capture["name"], _asking(rpc, count), count, tuple(events), done)


def _usage_after(events: list[Json]) -> Iterable[Json]:
    """Returns the event that requesting usage would have added."""
    last = events[-1]
    if "type" not in last and (last["choices"] or not last.get("usage")):
        kept = {key: last[key] for key in _ENVELOPE if key in last}
        yield kept | {"choices": [], "usage": _USAGE}


def _asking(rpc: Called, choices: int) -> Called:
    """Returns the RPC with a request for a number of choices."""
    more = f" sampling {{n: {choices}}}" if choices > 1 else ""
    return replace(rpc, requests=(rpc.requests[0] + more, *rpc.requests[1:]))
