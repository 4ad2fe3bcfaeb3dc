"""Completeness of streams with choices."""

from copy import deepcopy
from typing import Any

import pytest

from penstock_server.upstream.completeness import (
    ChoiceStream,
    ContractBroken,
    is_plainly_whole,
)

USAGE = {"choices": [], "usage": {"total_tokens": 3}}


def piece(index: Any = 0, finish: Any = None, said: str = "a", **more: Any) -> Any:
    delta = {"content": said} if said else {}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def end(index: Any = 0, finish: str = "stop", **more: Any) -> Any:
    return piece(index, finish, "", **more)


def after(*events: dict[str, Any], choices: int = 1) -> ChoiceStream:
    contract = ChoiceStream(choices)
    for event in deepcopy(events):
        contract.observe(event)
    return contract


FINISHES = ("stop", "length", "tool_calls", "content_filter", "error", "abort", "null", None, "", 1)
INDICES = (0, 1, -1, 0.0, False, "0", None)
OTHERS: tuple[Any, ...] = ([], [None], [end()["choices"][0]] * 2, {}, None)


@pytest.mark.parametrize("choices", [1, 2])
@pytest.mark.parametrize(
    "found", [*(piece(i, f)["choices"] for i in INDICES for f in FINISHES), *OTHERS], ids=str
)
def test_a_plainly_whole_answer_is_whole_and_nothing_is_to_be_removed(
    found: Any, choices: int
) -> None:
    answer = {"choices": found, "usage": {"total_tokens": 3}}
    before = deepcopy(answer)
    if is_plainly_whole(answer, choices):
        contract = ChoiceStream(choices)
        contract.observe(answer)
        assert contract.whole
        assert contract.failure is None
    assert answer == before


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls"])
def test_the_most_frequent_answers_are_plainly_whole(finish: str) -> None:
    assert is_plainly_whole(piece(0, finish), 1)


COMPLETE = {
    "finish, then usage": (1, [piece(), piece(finish="stop"), USAGE]),
    "usage with the finish": (1, [piece(finish="length", usage={"total_tokens": 1})]),
    "usage in every event": (1, [piece(usage={}), piece(finish="stop", usage={}), USAGE]),
    "two choices": (2, [piece(0), piece(1), piece(1, "stop"), piece(0, "length"), USAGE]),
    "no index": (1, [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, USAGE]),
    "more choices than requested": (1, [piece(0, "stop"), piece(1, "stop"), USAGE]),
    "another event after usage": (1, [piece(finish="stop"), USAGE, {"choices": [], "cost": "1"}]),
    "usage twice": (1, [piece(finish="stop"), USAGE, USAGE]),
    "a second finish": (1, [piece(), end(), end(), USAGE]),
    "a second finish of another kind": (1, [piece(), end(), end(finish="length"), USAGE]),
    "a second finish after usage": (1, [piece(), end(), USAGE, end()]),
    "an empty choice with the usage": (1, [piece(), end(), piece(said="", usage={})]),
    "an empty choice that is new": (1, [piece(), end(), USAGE, piece(5, said="")]),
    "a null choice": (1, [{"choices": [None, *piece()["choices"]]}, end(), USAGE]),
    "no choices": (1, [piece(), end(), {"usage": {}}, {"choices": None}]),
    "indices as text": (2, [piece("0"), piece("1"), end("1"), end("0"), USAGE]),
    "indices as floats": (2, [piece(0.0), piece(1.0), end(1.0), end(0), USAGE]),
}
INCOMPLETE = {
    "nothing": (1, [], "0 of 1 choices"),
    "only usage": (1, [USAGE], "0 of 1 choices"),
    "no finish": (1, [piece(), USAGE], "0 of 1 choices"),
    "one of two finished": (2, [piece(0, "stop"), piece(1), USAGE], "1 of 2 choices"),
    "one of two never seen": (2, [piece(0, "stop"), USAGE], "1 of 2 choices"),
    "a third continues": (
        2,
        [piece(0, "a"), piece(1, "a"), piece(2), USAGE],
        "2 of 2 choices",
    ),
    "no usage": (1, [piece(finish="stop")], "no usage"),
    "usage null": (1, [piece(finish="stop", usage=None)], "no usage"),
    "usage before the finish": (1, [piece(usage={}), piece(finish="stop")], "no usage"),
    "usage before an empty finish": (1, [piece(), USAGE, end()], "no usage"),
    "another choice continues after usage": (1, [end(), USAGE, piece(1), end(1)], "no usage"),
}


@pytest.mark.parametrize(("choices", "events"), COMPLETE.values(), ids=COMPLETE)
def test_complete(choices: int, events: list[dict[str, Any]]) -> None:
    assert after(*events, choices=choices).complete


@pytest.mark.parametrize(("choices", "events", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete(choices: int, events: list[dict[str, Any]], missing: str) -> None:
    contract = after(*events, choices=choices)
    assert not contract.complete
    assert missing in contract.missing


LATE = {
    "text": {"delta": {"content": "a"}},
    "reasoning": {"delta": {"reasoning": "a"}},
    "tool call": {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}},
    "text with a finish": {"delta": {"content": "a"}, "finish_reason": "stop"},
    "text of a completion": {"text": "a"},
    "log probabilities": {"delta": {}, "logprobs": {"content": [{"token": "a"}]}},
    "token ids": {"delta": {}, "token_ids": [1]},
}


@pytest.mark.parametrize("index", [1, "1"])
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_content_of_a_choice_after_its_finish_is_refused(late: dict[str, Any], index: Any) -> None:
    for before in ([], [USAGE]):
        contract = after(piece(0), piece(1, "stop"), end(0), *before, choices=2)
        with pytest.raises(ContractBroken, match="choice 1"):
            contract.observe({"choices": [{"index": index, **late}]})


@pytest.mark.parametrize("index", [-1, "-1", 0.5, "x", "", [0], True, "9" * 5000])
def test_an_index_that_cannot_be_read(index: Any) -> None:
    with pytest.raises(ContractBroken, match="index"):
        ChoiceStream(1).observe(piece(index))


def test_choices_that_add_nothing_are_removed() -> None:
    contract = after(piece(), end())
    late = {"choices": [None, {"index": 0, "delta": {"role": "assistant"}}], "usage": {"a": 1}}
    contract.observe(late)
    assert late == {"choices": [], "usage": {"a": 1}}
    again = {"id": "i", "choices": end()["choices"], "usage": None}
    contract.observe(again)
    assert again == {}


def test_new_keys_after_the_end_are_passed_on_with_the_usage() -> None:
    contract = after(piece(), end(), USAGE)
    cost = {"choices": [], "x-cost": "0.1"}
    contract.observe(cost)
    assert cost == {"choices": [], "x-cost": "0.1", "usage": USAGE["usage"]}
    verdict = {"choices": [{"index": 0, "finish_reason": "stop", "filtered": {"hate": "safe"}}]}
    contract.observe(verdict)
    assert verdict["choices"] == [{"index": 0, "filtered": {"hate": "safe"}}]
    assert contract.complete


def test_indices_are_converted_to_integers() -> None:
    contract = ChoiceStream(2)
    for index, number in (("1", 1), (1.0, 1), (None, 0), ("1", 1)):
        event = piece(index)
        contract.observe(event)
        assert [(type(c["index"]), c["index"]) for c in event["choices"]] == [(int, number)]


def test_usage_before_an_empty_finish_counts_after_done() -> None:
    contract = after(piece(), USAGE)
    finish = end()
    contract.observe(finish)
    assert finish["usage"] == USAGE["usage"]
    assert not contract.complete
    contract.ended()
    assert contract.complete


@pytest.mark.parametrize("events", [[end()], [piece(usage={}), piece(finish="stop")]])
def test_done_does_not_replace_usage(events: list[dict[str, Any]]) -> None:
    contract = after(*events)
    contract.ended()
    assert not contract.complete


def test_an_error_counts_until_the_stream_is_complete() -> None:
    assert after(piece(finish="stop"), end(finish="error"), USAGE).failure
    assert not after(piece(finish="stop"), USAGE, end(finish="error")).failure


def test_an_extra_choice_does_not_replace_a_requested_one() -> None:
    stream = ChoiceStream(2)
    for index in (0, 7):
        stream.observe({"choices": [{"index": index, "finish_reason": "stop"}]})
    stream.observe({"choices": [], "usage": {}})
    assert (stream.complete, stream.missing) == (False, "1 of 2 choices finished")
