"""When a stream of a transcription is complete."""

from typing import Any

import pytest

from penstock_server.upstream.completeness import TranscriptStream

USAGE = {"choices": [], "usage": {"total_tokens": 3}}


def piece(finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": "a"}, "finish_reason": finish}], **more}


def after(*events: dict[str, Any]) -> TranscriptStream:
    contract = TranscriptStream()
    for event in events:
        contract.observe(event)
    return contract


COMPLETE = {
    "one part": [piece(), piece("stop"), USAGE],
    "two parts": [piece(), piece("stop"), piece(), piece("length"), USAGE],
    "only finishes": [piece("stop"), piece("stop"), USAGE],
    "usage all the time": [piece(usage={}), piece("stop", usage={}), USAGE],
    "usage twice": [piece("stop"), USAGE, USAGE],
}
INCOMPLETE = {
    "nothing": ([], "no part finished"),
    "only usage": ([USAGE], "no part finished"),
    "no finish": ([piece(), USAGE], "did not finish"),
    "second part without finish": ([piece("stop"), piece(), USAGE], "did not finish"),
    "no usage": ([piece(), piece("stop")], "not the usage"),
    "usage with the finish": ([piece("stop", usage={})], "not the usage"),
    "usage null": ([piece("stop"), {"choices": [], "usage": None}], "not the usage"),
    "usage not last": ([piece("stop"), USAGE, piece("stop")], "not the usage"),
}


@pytest.mark.parametrize("events", COMPLETE.values(), ids=COMPLETE)
def test_complete(events: list[dict[str, Any]]) -> None:
    assert after(*events).complete


@pytest.mark.parametrize(("events", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete(events: list[dict[str, Any]], missing: str) -> None:
    contract = after(*events)
    assert not contract.complete
    assert missing in contract.missing
