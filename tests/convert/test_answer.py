"""Answers that no current vLLM sends, and malformed answers."""

import itertools
from typing import Any

import pytest
from documents import value_of

from penstock.v1 import common_pb2 as common
from penstock.v1 import message_pb2
from penstock_server.convert import chat
from penstock_server.convert import model as models
from penstock_server.convert.errors import MalformedAnswer

from .losses import losses


def whole(message: Any = None, **choice: Any) -> dict[str, Any]:
    """Returns an answer with one choice."""
    said = {"role": "assistant", "content": "Hi", **(message or {})}
    made = {"index": 0, "message": said, "finish_reason": "stop", **choice}
    return {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "m", "choices": [made]}


def event(delta: Any = None, **choice: Any) -> dict[str, Any]:
    """Returns an event with one choice."""
    made = {"index": 0, "delta": delta or {}, "finish_reason": None, **choice}
    return {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "m", "choices": [made]}


def converted(data: Any, stream: chat.ChatStream | None = None) -> Any:
    """Returns the message for an event."""
    message = (stream or chat.ChatStream()).message(data)
    assert message
    return message


def delta_of(data: Any) -> Any:
    """Returns the delta of a later event."""
    stream = chat.ChatStream()
    stream.message(event({"role": "assistant"}))
    message = converted(event(data), stream)
    assert list(losses({"choices": [{"delta": data}]}, message)) == []
    return message.choices[0].delta


# Complete answers


def test_labels_of_a_message() -> None:
    labels = {"name": "n", "tool_call_id": "c", "task": "t"}
    message = chat.response(whole(labels | {"tools": [{"type": "x"}]})).choices[0].message
    assert (message.name, message.tool_call_id, message.task) == ("n", "c", "t")
    assert value_of(message.extra) == {"tools": [{"type": "x"}]}


def test_everything_at_once() -> None:
    body = whole(
        {
            "refusal": "no",
            "reasoning": "hm",
            "annotations": [{"type": "url", "at": 1.5}],
            "audio": {"id": "a"},
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "caller": {"x": 1},
                },
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "i"}},
            ],
        },
        stop_reason=7,
        token_ids=[1, 2],
        weight_versions=[{"version": "v", "start": 0, "end": 2}],
        content_filter_results={"hate": False},
    )
    body |= {
        "service_tier": "gold",
        "system_fingerprint": "fp",
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "created_cache_tokens": 1,
                "multimodal_tokens": {"image": 4},
                "audio_tokens": 5,
            },
            "completion_tokens_details": {
                "reasoning_tokens": 1,
                "accepted_prediction_tokens": 2,
            },
            "cost": 0.25,
        },
        "metrics": {
            "time_to_first_token_ms": 1.5,
            "generation_time_ms": 20.25,
            "queue_time_ms": 0.0,
            "mean_itl_ms": 3.0,
            "tokens_per_second": 12.5,
            "speculative_decoding": {"accepted": 3},
            "new_figure": 1,
        },
        "prompt_token_ids": [5, 6],
        "prompt_text": "p",
        "kv_transfer_params": {"b": 1, "a": [2]},
        "ec_transfer_params": {"c": None},
        "provider": "x",
    }
    answer = chat.response(body)
    assert list(losses(body, answer)) == []
    assert value_of(answer.extra) == {"provider": "x"}
    assert answer.kv_transfer_params.json == '{"b":1,"a":[2]}'
    assert answer.metrics.time_to_first_token.ToNanoseconds() == 1_500_000


def test_extra_is_unset_without_unknown_keys() -> None:
    answer = chat.response(whole(annotations=None))
    assert not answer.HasField("extra")
    assert not answer.choices[0].HasField("extra")


def test_unknown_keys_of_an_event() -> None:
    stream = chat.ChatStream()
    data = event({"content": "x", "images": [1]}, content_filter={"a": 1})
    data["provider"] = "p"
    assert list(losses(data, converted(data, stream))) == []


def test_prompt_logprobs_of_an_event_are_kept() -> None:
    data = event({"content": "x"}) | {"prompt_logprobs": [None, {"5": {"logprob": -1.0}}]}
    assert list(losses(data, converted(data))) == []


# Reasons


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "abort", "repetition"])
def test_finish_reason(reason: str) -> None:
    choice = chat.response(whole(finish_reason=reason)).choices[0]
    assert common.FinishReason.Name(choice.finish_reason) == f"FINISH_REASON_{reason.upper()}"
    assert choice.native_finish_reason == ""


def test_unknown_finish_reason() -> None:
    choice = chat.response(whole(finish_reason="eos_token")).choices[0]
    assert choice.finish_reason == common.FINISH_REASON_OTHER
    assert choice.native_finish_reason == "eos_token"


@pytest.mark.parametrize(("stop", "field"), [("", "stop_string"), (0, "stop_token_id")])
def test_stop_reason_that_looks_empty(stop: Any, field: str) -> None:
    choice = chat.response(whole(stop_reason=stop)).choices[0]
    assert choice.WhichOneof("stop_reason") == field


def test_stop_reason_before_the_finish() -> None:
    choice = converted(event({"content": "Hi"}, stop_reason="END")).choices[0]
    assert (choice.stop_string, choice.finish_reason) == ("END", 0)


# Older and other upstreams


def test_reasoning_content() -> None:
    message = chat.response(whole({"reasoning_content": "hm"})).choices[0].message
    assert message.reasoning == "hm"
    assert delta_of({"reasoning_content": "hm"}).reasoning == "hm"


def test_reasoning_under_both_names() -> None:
    message = chat.response(whole({"reasoning": "a", "reasoning_content": "a"}))
    assert message.choices[0].message.reasoning == "a"
    assert not message.choices[0].message.HasField("extra")


def test_custom_role() -> None:
    message = chat.response(whole({"role": "critic"})).choices[0].message
    assert message.role == message_pb2.ROLE_CUSTOM
    assert message.custom_role == "critic"


def test_stream_without_role() -> None:
    first = converted(event({"content": "x"}))
    assert first.choices[0].delta.role == message_pb2.ROLE_ASSISTANT


def test_missing_index_is_the_first() -> None:
    data = event({"content": "x"})
    del data["choices"][0]["index"]
    assert converted(data).choices[0].index == 0


@pytest.mark.parametrize("delta", [None, {}, {"content": None, "tool_calls": None}])
def test_empty_delta(delta: Any) -> None:
    stream = chat.ChatStream()
    stream.message(event({"content": "x"}))
    data = event()
    data["choices"][0]["delta"] = delta
    assert converted(data, stream).choices[0].delta.content == ""


@pytest.mark.parametrize("name", ["reasoning", "refusal", "images"])
def test_what_arrives_with_a_text_is_kept(name: str) -> None:
    assert delta_of({"content": "x", name: "y"}).content == "x"


@pytest.mark.parametrize("choice", [{"weight": 1}, {"token_ids": [7]}, {"finish_reason": "stop"}])
def test_what_else_a_choice_with_a_text_has_is_kept(choice: Any) -> None:
    stream = chat.ChatStream()
    stream.message(event({"role": "assistant"}))
    data = event({"content": "x"}, **choice)
    assert list(losses({"choices": data["choices"]}, converted(data, stream))) == []


def test_several_tool_deltas_at_once() -> None:
    calls = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "g"}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 1, "function": {"arguments": "{}", "name": None}, "signature": "s"},
    ]
    made = delta_of({"tool_calls": calls}).tool_calls
    assert [(call.index, call.id, call.name, call.arguments) for call in made] == [
        (0, "c1", "f", ""),
        (1, "c2", "g", ""),
        (0, "", "", '{"a"'),
        (1, "", "", "{}"),
    ]


def test_tool_call_without_arguments() -> None:
    body = whole({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]})
    call = chat.response(body).choices[0].message.tool_calls[0]
    assert call.function.name == "f"
    assert call.function.arguments == ""


def test_event_of_usage_alone() -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    data = {"id": "a", "choices": [], "usage": usage}
    stream = chat.ChatStream()
    stream.message(event({"content": "x"}))
    message = converted(data, stream)
    assert message.HasField("usage")
    assert not message.choices


def test_choice_without_bytes() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}]}
    choice = chat.response(whole(logprobs=logprobs)).choices[0]
    assert choice.logprobs[0].bytes == b""


# Malformed answers


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "a"},
        {"id": "a", "choices": None},
        {"id": "a", "choices": []},
        {"id": "a", "choices": "text"},
        {"id": "a", "choices": [None]},
        {"id": "a", "choices": [{"index": 0}]},
        {"id": "a", "choices": [{"index": 0, "message": "text"}]},
        {**whole(), "usage": []},
        {**whole(), "prompt_token_ids": [2**31]},
        {**whole(), "prompt_token_ids": 5},
        {**whole(), "prompt_logprobs": [{"a": {"logprob": 1}}]},
        {**whole(), "prompt_logprobs": [{"5": {}}]},
        whole({"content": 5}),
        whole({"content": ["x"]}),
        whole({"content": "\ud800"}),
        whole({"role": 5}),
        whole({"reasoning": {}}),
        whole({"tool_calls": {"a": 1}}),
        whole({"tool_calls": ["x"]}),
        whole({"tool_calls": [{"id": "c", "function": "x"}]}),
        whole(index=2**31),
        whole(finish_reason=5),
        whole(token_ids=["a"]),
        whole(logprobs=[1]),
        whole(logprobs={"content": [{"token": "a"}]}),
        whole(logprobs={"content": [{"token": "a", "logprob": "x"}]}),
        whole(logprobs={"content": [{"token": None, "logprob": 1.0}]}),
        whole(logprobs={"content": [{"token": "a", "logprob": 1.0, "bytes": [256]}]}),
        whole(logprobs={"content": [{"token": "a", "logprob": 1.0, "bytes": "a"}]}),
    ],
    ids=itertools.count(),
)
def test_malformed_answer(body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        chat.response(body)


@pytest.mark.parametrize(
    "data",
    [
        {"id": "a", "choices": {"index": 0}},
        {"id": "a", "choices": ["x"]},
        event("text"),
        event({"content": 5}),
        event({"content": "\udfff"}),
        event({"role": [1]}),
        event({"tool_calls": "x"}),
        event({"content": "x"}, index=-(2**31) - 1),
        event(finish_reason={"a": 1}),
        event({"content": "x"}) | {"usage": "none"},
    ],
    ids=itertools.count(),
)
def test_malformed_event(data: Any) -> None:
    with pytest.raises(MalformedAnswer):
        chat.ChatStream().message(data)


@pytest.mark.parametrize("entry", [{}, {"id": None}, {"id": 5}, "m"])
def test_malformed_model(entry: Any) -> None:
    with pytest.raises(MalformedAnswer):
        models.model(entry, None)
