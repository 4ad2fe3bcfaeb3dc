"""When a stream of choices is complete."""

from typing import Any

import pytest

from penstock_server.upstream.completeness import ChoiceStream, ContractBroken

USAGE = {"choices": [], "usage": {"total_tokens": 3}}


def piece(index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {}, "finish_reason": finish}], **more}


def after(*events: dict[str, Any], choices: int = 1) -> ChoiceStream:
    contract = ChoiceStream(choices)
    for event in events:
        contract.observe(event)
    return contract


COMPLETE = {
    "finish, then usage": (1, [piece(), piece(finish="stop"), USAGE]),
    "usage with the finish": (1, [piece(finish="length", usage={"total_tokens": 1})]),
    "usage all the time": (1, [piece(usage={}), piece(finish="stop", usage={}), USAGE]),
    "two choices": (2, [piece(0), piece(1), piece(1, "stop"), piece(0, "length"), USAGE]),
    "no index": (1, [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, USAGE]),
    "more choices than asked": (1, [piece(0, "stop"), piece(1, "stop"), USAGE]),
}
INCOMPLETE = {
    "nothing": (1, [], "0 of 1 choices"),
    "only usage": (1, [USAGE], "0 of 1 choices"),
    "no finish": (1, [piece(), USAGE], "0 of 1 choices"),
    "one of two finished": (2, [piece(0, "stop"), piece(1), USAGE], "1 of 2 choices"),
    "one of two never seen": (2, [piece(0, "stop"), USAGE], "1 of 2 choices"),
    "a third that goes on": (2, [piece(0, "a"), piece(1, "a"), piece(2), USAGE], "2 of 2 choices"),
    "no usage": (1, [piece(finish="stop")], "no usage"),
    "usage null": (1, [piece(finish="stop", usage=None)], "no usage"),
    "usage not last": (1, [piece(finish="stop", usage={}), {"choices": []}], "no usage"),
}


@pytest.mark.parametrize(("choices", "events"), COMPLETE.values(), ids=COMPLETE)
def test_complete(choices: int, events: list[dict[str, Any]]) -> None:
    assert after(*events, choices=choices).complete


@pytest.mark.parametrize(("choices", "events", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete(choices: int, events: list[dict[str, Any]], missing: str) -> None:
    contract = after(*events, choices=choices)
    assert not contract.complete
    assert missing in contract.missing


@pytest.mark.parametrize("late", [piece(1), piece(1, "stop")], ids=["delta", "second finish"])
def test_nothing_of_a_choice_comes_after_its_finish(late: dict[str, Any]) -> None:
    contract = after(piece(0), piece(1, "stop"), piece(0), choices=2)
    with pytest.raises(ContractBroken, match="choice 1"):
        contract.observe(late)


def test_another_choice_does_not_stand_in_for_one() -> None:
    stream = ChoiceStream(2)
    for index in (0, 7):
        stream.observe({"choices": [{"index": index, "finish_reason": "stop"}]})
    stream.observe({"choices": [], "usage": {}})
    assert (stream.complete, stream.missing) == (False, "1 of 2 choices finished")
