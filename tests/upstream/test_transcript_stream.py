"""Completeness of transcription streams."""

from copy import deepcopy
from typing import Any

import pytest

from penstock_server.upstream.completeness import TranscriptStream

USAGE = {"choices": [], "usage": {"total_tokens": 3}}


def piece(finish: str | None = None, said: str = "a", **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": said}, "finish_reason": finish}], **more}


def after(*events: dict[str, Any]) -> TranscriptStream:
    contract = TranscriptStream()
    for event in deepcopy(events):
        contract.observe(event)
    return contract


COMPLETE = {
    "one part": [piece(), piece("stop"), USAGE],
    "two parts": [piece(), piece("stop"), piece(), piece("length"), USAGE],
    "only finishes": [piece("stop"), piece("stop"), USAGE],
    "usage in every event": [piece(usage={}), piece("stop", usage={}), USAGE],
    "usage twice": [piece("stop"), USAGE, USAGE],
    "an empty choice with the usage": [piece("stop"), piece(said="", usage={})],
    "an empty choice after the usage": [piece("stop"), USAGE, piece(said="")],
    "an empty choice between parts": [piece("stop"), piece(said=""), piece(), piece("stop"), USAGE],
    "a second finish after the usage": [piece("stop"), USAGE, piece("stop", said="")],
    "another event after the usage": [piece("stop"), USAGE, {"choices": [], "cost": 1}],
    "usage before an empty finish too": [piece(), USAGE, piece("stop", said=""), USAGE],
}
INCOMPLETE = {
    "nothing": ([], "no part finished"),
    "only usage": ([USAGE], "no part finished"),
    "no finish": ([piece(), USAGE], "did not finish"),
    "second part without finish": ([piece("stop"), piece(), USAGE], "did not finish"),
    "no usage": ([piece(), piece("stop")], "neither usage"),
    "usage with the finish": ([piece("stop", usage={})], "neither usage"),
    "usage null": ([piece("stop"), {"choices": [], "usage": None}], "neither usage"),
    "usage not last": ([piece("stop"), USAGE, piece("stop")], "neither usage"),
    "usage before an empty finish": ([piece(), USAGE, piece("stop", said="")], "neither usage"),
}


@pytest.mark.parametrize("events", COMPLETE.values(), ids=COMPLETE)
def test_complete(events: list[dict[str, Any]]) -> None:
    assert after(*events).complete


@pytest.mark.parametrize(("events", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete(events: list[dict[str, Any]], missing: str) -> None:
    contract = after(*events)
    assert not contract.complete
    assert missing in contract.missing


DONE = {
    "without usage": [piece(), piece("stop")],
    "usage with the finish": [piece("stop", usage={})],
    "several parts": [piece("stop"), piece(), piece("length", said="")],
}


@pytest.mark.parametrize("events", DONE.values(), ids=DONE)
def test_done_means_that_no_part_follows(events: list[dict[str, Any]]) -> None:
    contract = after(*events)
    assert not contract.complete
    contract.ended()
    assert contract.complete


def test_done_does_not_replace_a_finish() -> None:
    for events in ([], [piece()], [piece("stop"), piece()], [USAGE]):
        contract = after(*events)
        contract.ended()
        assert not contract.complete
