"""Answers with values in unusual forms: readable ones are converted, others are kept."""

import codecs
import json
import math
from typing import Any

import pytest
from documents import value_of
from upstream.wire import http

from penstock import AsyncClient, CallError, tool_result
from penstock.v1 import common_pb2 as common
from penstock.v1 import model_pb2
from penstock.v1.model_pb2_grpc import ModelServiceStub

from .canned import canned, in_events, in_json

Json = dict[str, Any]

FRAME: Json = {"id": "chatcmpl-1", "model": "m", "created": 1_700_000_000}
USAGE: Json = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
HALF_A_SECOND = 500_000_000


async def chats(said: Json | None = None, frame: Json | None = None, **choice: Any) -> list[Any]:
    """Returns one chat as a client reads it: unary, and as the sum of its stream."""
    whole, events = _both(said, frame, choice)
    async with canned(whole) as (channel, _):
        first = await AsyncClient(channel=channel).chat.create("x")
    async with canned(events) as (channel, _):
        second = await AsyncClient(channel=channel).chat.stream("x").final()
    return [first.proto, second.proto]


async def responses(
    said: Json | None = None, frame: Json | None = None, **choice: Any
) -> list[Any]:
    """Returns the response that is converted from a chat as a client reads it, in both forms."""
    whole, events = _both(said, frame, choice)
    async with canned(whole) as (channel, _):
        first = await AsyncClient(channel=channel).responses.create("x")
    async with canned(events) as (channel, _):
        second = await AsyncClient(channel=channel).responses.stream("x").final()
    return [first.proto, second.proto]


def _both(said: Json | None, frame: Json | None, choice: Json) -> tuple[bytes, bytes]:
    says = {"role": "assistant", "content": "Hi"} | (said or {})
    one = {"index": 0, "finish_reason": "stop"} | choice
    around = FRAME | {"usage": USAGE} | (frame or {})
    whole = around | {"choices": [one | {"message": says}]}
    events = [around | {"choices": [one | {"delta": says}]}, around | {"choices": []}]
    return in_json(whole), in_events(*events)


async def completions(frame: Json | None = None, **choice: Any) -> list[Any]:
    """Returns one completion as a client reads it: unary, and as the sum of its stream."""
    one = {"index": 0, "text": "Hi", "finish_reason": "stop"} | choice
    around = FRAME | {"usage": USAGE} | (frame or {})
    async with canned(in_json(around | {"choices": [one]})) as (channel, _):
        first = await AsyncClient(channel=channel).completions.create("x")
    events = in_events(around | {"choices": [one]}, around | {"choices": []})
    async with canned(events) as (channel, _):
        second = await AsyncClient(channel=channel).completions.stream("x").final()
    return [first.proto, second.proto]


# Times


@pytest.mark.parametrize(
    ("created", "nanos"),
    [
        (1_700_000_000.0, 0),
        (1_700_000_000.5, HALF_A_SECOND),
        ("1700000000", 0),
        ("1700000000.5", HALF_A_SECOND),
        ("2023-11-14T22:13:20Z", 0),
    ],
)
async def test_a_time_in_any_form(created: Any, nanos: int) -> None:
    frame = {"created": created}
    made = [*await chats(frame=frame), *await responses(frame=frame), *await completions(frame)]
    for answer in made:
        assert (answer.create_time.seconds, answer.create_time.nanos) == (1_700_000_000, nanos)
        assert not answer.HasField("extra")


@pytest.mark.parametrize("created", ["now", True, [1], 10**30, -(10**30), 1e18, "nan"])
async def test_a_time_that_cannot_be_read_is_kept(created: Any) -> None:
    for answer in (
        *await chats(frame={"created": created}),
        *await completions({"created": created}),
    ):
        assert answer.choices[0].finish_reason == common.FINISH_REASON_STOP
        assert not answer.create_time.seconds
        assert "created" in value_of(answer.extra)


# Numbers


@pytest.mark.parametrize("form", [float, str, lambda count: f"{count}.0"])
async def test_counts_in_any_form(form: Any) -> None:
    usage = {key: form(count) for key, count in USAGE.items()}
    usage["prompt_tokens_details"] = {"cached_tokens": form(4), "multimodal_tokens": {"i": form(5)}}
    usage["completion_tokens_details"] = {"reasoning_tokens": form(6)}
    frame = {"usage": usage}
    for answer in (*await chats(frame=frame), *await completions(frame)):
        counts = answer.usage
        assert (counts.prompt_tokens, counts.completion_tokens, counts.total_tokens) == (1, 2, 3)
        assert counts.prompt_tokens_details.cached_tokens == 4
        assert counts.prompt_tokens_details.multimodal_tokens == {"i": 5}
        assert counts.completion_tokens_details.reasoning_tokens == 6
        assert not counts.HasField("extra")
    for response in await responses(frame=frame):
        assert (response.usage.input_tokens, response.usage.output_tokens) == (1, 2)
        assert response.usage.input_tokens_details.cached_tokens == 4
        assert response.usage.output_tokens_details.reasoning_tokens == 6
        assert not response.usage.HasField("extra")


async def test_counts_that_cannot_be_read_are_kept() -> None:
    usage = USAGE | {"prompt_tokens": "many", "prompt_tokens_details": {"cached_tokens": 1.5}}
    kept = {"prompt_tokens": "many", "prompt_tokens_details": {"cached_tokens": 1.5}}
    frame = {"usage": usage}
    for answer in (
        *await chats(frame=frame),
        *await completions(frame),
        *await responses(frame=frame),
    ):
        assert answer.usage.total_tokens == 3
        assert value_of(answer.usage.extra) == kept


@pytest.mark.parametrize("form", [float, str, " {} ".format, "{}.0".format, "{}e0".format])
async def test_the_index_of_a_choice_in_any_form(form: Any) -> None:
    for answer in (*await chats(index=form(0)), *await completions(index=form(0))):
        assert [choice.index for choice in answer.choices] == [0]


async def test_choices_without_an_index_are_numbered() -> None:
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in "ab"]
    async with canned(in_json(FRAME | {"choices": choices[:1], "usage": USAGE})) as (channel, _):
        answer = await AsyncClient(channel=channel).chat.create("x")
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "a")]


async def test_token_ids_in_any_form() -> None:
    frame = {"prompt_token_ids": [1.0, "2"]}
    for answer in await chats(frame=frame, token_ids=["7", 8.0, 9], stop_reason=9.0):
        assert list(answer.choices[0].token_ids) == [7, 8, 9]
        assert list(answer.prompt_token_ids) == [1, 2]
        assert answer.choices[0].stop_token_id == 9


# Optional parts of an answer


@pytest.mark.parametrize("name", ["model", "system_fingerprint", "service_tier"])
async def test_names_that_cannot_be_read_are_kept(name: str) -> None:
    frame = {name: {"a": 1}}
    for answer in (*await chats(frame=frame), *await completions(frame)):
        assert getattr(answer, name) == ""
        assert value_of(answer.extra) == frame
    for response in await responses(frame=frame):
        assert value_of(response.extra) == frame


async def test_numeric_names_become_their_digits() -> None:
    for answer in (
        *await chats(frame={"id": 5, "model": 6}),
        *await completions({"id": 5, "model": 6}),
    ):
        assert (answer.id, answer.model) == ("5", "6")


@pytest.mark.parametrize(
    "kept",
    [
        {"stop_reason": [1]},
        {"stop_reason": 1.5},
        {"weight_versions": [{"version": "v"}]},
        {"routed_experts": 5.0},
    ],
    ids=str,
)
async def test_keys_of_a_choice_that_cannot_be_read_are_kept(kept: Json) -> None:
    for answer in (*await chats(**kept), *await completions(**kept)):
        assert value_of(answer.choices[0].extra) == kept


async def test_measurements_that_cannot_be_read_are_kept() -> None:
    metrics = {"queue_time_ms": "long", "generation_time_ms": "1.5"}
    frame = {"metrics": metrics}
    for answer in (*await chats(frame=frame), *await responses(frame=frame)):
        assert answer.metrics.generation_time.ToMicroseconds() == 1500
        assert value_of(answer.metrics.extra) == {"queue_time_ms": "long"}


# Names that arrive late, or not at all


@pytest.mark.parametrize("missing", [("id",), ("id", "model", "created")])
async def test_events_without_the_origin_of_the_first(missing: tuple[str, ...]) -> None:
    later = {key: value for key, value in FRAME.items() if key not in missing}
    events = [
        FRAME | {"choices": [{"delta": {"role": "assistant", "content": "H"}}]},
        later | {"choices": [{"delta": {"content": "i"}, "finish_reason": "stop"}]},
        later | {"usage": USAGE},
    ]
    async with canned(in_events(*events)) as (channel, _):
        answer = await AsyncClient(channel=channel).chat.stream("x").final()
        response = await AsyncClient(channel=channel).responses.stream("x").final()
    assert (answer.id, answer.model, answer.text) == ("chatcmpl-1", "m", "Hi")
    assert (response.id, response.model, response.text) == ("resp_1", "m", "Hi")


@pytest.mark.parametrize("delta", [{"content": ""}, {"role": "assistant", "content": ""}])
async def test_keep_alive_events_before_the_answer_do_not_name_it(delta: Json) -> None:
    alive = {"id": "alive", "model": "keepalive", "created": 0, "note": "n"}
    events = [
        alive | {"choices": [{"index": 0, "delta": delta, "text": "", "finish_reason": None}]},
        FRAME | {"choices": [{"index": 0, "delta": {"content": "Hi"}, "text": "Hi"}]},
        alive | {"choices": [{"index": 0, "delta": delta, "text": ""}]},
        FRAME | {"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]},
        FRAME | {"choices": [], "usage": USAGE},
    ]
    async with canned(in_events(*events)) as (channel, _):
        client = AsyncClient(channel=channel)
        chat, response = client.chat.stream("x"), client.responses.stream("x")
        answers: list[Any] = [await chat.final(), await client.completions.stream("x").final()]
        created = await anext(aiter(response))
    for answer in answers:
        assert (answer.id, answer.proto.model, answer.text) == ("chatcmpl-1", "m", "Hi")
        assert answer.proto.create_time.seconds == 1_700_000_000
        assert value_of(answer.proto.extra) == {"note": "n"}
    assert (created.proto.created.id, created.proto.created.model) == ("resp_1", "m")


async def test_the_name_is_the_same_in_every_message() -> None:
    events = [
        FRAME | {"choices": [{"delta": {"content": "H"}}]},
        FRAME | {"id": "other", "choices": [{"delta": {"content": "i"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    ]
    async with canned(in_events(*events)) as (channel, _):
        ids = [event.proto.id async for event in AsyncClient(channel=channel).chat.stream("x")]
    assert ids == ["chatcmpl-1"] * 3


# Reasoning


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning": "", "reasoning_content": "think"},
        {"reasoning": None, "reasoning_content": "think"},
        {"reasoning": "think", "reasoning_content": ""},
        {"reasoning": "think", "reasoning_content": "think"},
        {"reasoning_content": "think"},
    ],
    ids=str,
)
async def test_reasoning_under_either_name(said: Json) -> None:
    for answer in await chats(said):
        assert answer.choices[0].message.reasoning == "think"
        assert not answer.choices[0].message.HasField("extra")
    for response in await responses(said):
        assert list(response.output[0].reasoning.content) == ["think"]


async def test_a_second_reasoning_is_kept() -> None:
    for answer in await chats({"reasoning": "a", "reasoning_content": "b"}):
        assert answer.choices[0].message.reasoning == "a"
        assert value_of(answer.choices[0].message.extra) == {"reasoning_content": "b"}
    for response in await responses({"reasoning": "a", "reasoning_content": "b"}):
        assert list(response.output[0].reasoning.content) == ["a"]
        assert value_of(response.extra) == {"choices": [{"index": 0, "reasoning_content": "b"}]}


# Log probabilities


async def test_a_log_probability_that_is_not_finite() -> None:
    top = [{"token": "b", "logprob": None}, {"token": "c", "logprob": "-0.5"}]
    content = [{"token": "b", "logprob": None, "bytes": None, "top_logprobs": top}]
    logprobs = {"content": content}
    entries = [choice for answer in await chats(logprobs=logprobs) for choice in answer.choices]
    parts = [
        response.output[0].message.content[0] for response in await responses(logprobs=logprobs)
    ]
    for holder in (*entries, *parts):
        [entry] = holder.logprobs
        assert math.isnan(entry.logprob)
        assert math.isnan(entry.top_logprobs[0].logprob)
        assert entry.top_logprobs[1].logprob == -0.5


@pytest.mark.parametrize("top", [None, [None], [{"b": None}]], ids=["no", "null", "map"])
async def test_a_log_probability_of_a_completion_that_is_not_finite(top: Any) -> None:
    logprobs = {"tokens": ["b"], "token_logprobs": [None], "text_offset": [0], "top_logprobs": top}
    for answer in await completions(logprobs=logprobs):
        [entry] = answer.choices[0].logprobs
        assert math.isnan(entry.logprob)
        assert all(math.isnan(one.logprob) for one in entry.top_logprobs)


async def test_log_probabilities_of_the_prompt_that_are_not_finite() -> None:
    prompt = [None, {"5": {"logprob": None, "rank": 1.0, "decoded_token": "x"}}]
    answer, _ = await chats(frame={"prompt_logprobs": prompt})
    completion, _ = await completions(prompt_logprobs=prompt)
    for positions in (answer.prompt_logprobs, completion.choices[0].prompt_logprobs):
        assert math.isnan(positions[1].candidates[5].logprob)
        assert positions[1].candidates[5].rank == 1


async def test_log_probabilities_of_a_refusal_are_kept() -> None:
    refusal = [{"token": "No", "logprob": -0.5}]
    for answer in await chats(logprobs={"content": None, "refusal": refusal}):
        assert value_of(answer.choices[0].extra) == {"logprobs": {"refusal": refusal}}
    for response in await responses(logprobs={"content": None, "refusal": refusal}):
        [kept] = value_of(response.extra)["choices"]
        assert kept == {"index": 0, "logprobs": {"refusal": refusal}}


async def test_a_null_alternative_is_omitted() -> None:
    content = [
        {"token": "Hi", "logprob": -0.5, "top_logprobs": [None, {"token": "c", "logprob": -1}]}
    ]
    made = await chats(logprobs={"content": content})
    parts = [
        response.output[0].message.content[0]
        for response in await responses(logprobs={"content": content})
    ]
    for holder in (*(answer.choices[0] for answer in made), *parts):
        assert [top.token for top in holder.logprobs[0].top_logprobs] == ["c"]


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "Hi", "logprob": -0.5}]},
        {"tokens": None, "token_logprobs": None, "x": 1.0},
    ],
    ids=["chat form", "none"],
)
async def test_log_probabilities_of_a_completion_in_another_form_are_kept(logprobs: Json) -> None:
    kept = {key: value for key, value in logprobs.items() if value}
    for answer in await completions(logprobs=logprobs):
        assert not answer.choices[0].logprobs
        assert value_of(answer.choices[0].extra) == {"logprobs": kept}


@pytest.mark.parametrize("offsets", [{}, {"text_offset": None}, {"text_offset": [None]}], ids=str)
async def test_log_probabilities_of_a_completion_without_places(offsets: Json) -> None:
    logprobs = {"tokens": ["Hi"], "token_logprobs": [-0.5]} | offsets
    for answer in await completions(logprobs=logprobs):
        [entry] = answer.choices[0].logprobs
        assert (entry.token, entry.logprob, entry.text_offset) == ("Hi", -0.5, 0)


# Tool calls


async def test_unknown_keys_of_a_call_are_kept_and_sent_back() -> None:
    function = {"name": "f", "arguments": "{}", "signature": "s", "none": None}
    calls = [{"index": 0, "id": "c", "type": "function", "function": function, "new": 1}]
    kept = {"new": 1, "function": {"signature": "s"}}
    for answer in await chats({"tool_calls": calls}):
        [call] = answer.choices[0].message.tool_calls
        assert value_of(call.extra) == kept
        await _sent_back(chat=[answer.choices[0].message])
        await _sent_back(response=[answer.choices[0].message])
    for response in await responses({"tool_calls": calls}):
        *_, item = response.output
        assert value_of(item.extra) == kept
        await _sent_back(response=response.output)


async def _sent_back(chat: Any = (), response: Any = ()) -> None:
    whole, _ = _both(None, None, {})
    async with canned(whole) as (channel, upstream):
        client = AsyncClient(channel=channel)
        if chat:
            await client.chat.create(["x", *chat, tool_result("c", "1")])
        else:
            await client.responses.create([*response, tool_result("c", "1")])
    [body] = upstream.bodies("/v1/chat/completions")
    [call] = next(one["tool_calls"] for one in body["messages"] if "tool_calls" in one)
    assert call["new"] == 1
    assert call["function"] == {"name": "f", "arguments": "{}", "signature": "s"}


async def test_unknown_keys_of_a_call_in_pieces_are_kept() -> None:
    pieces = [{"name": "f", "one": 1}, {"arguments": "{}", "two": 2}]
    said = [{"tool_calls": [{"index": 0, "id": "c", "function": piece}]} for piece in pieces]
    choices = [{"index": 0, "delta": delta} for delta in said]
    end = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    events = [FRAME | {"choices": [one]} for one in (*choices, end)]
    stream = in_events(*events, FRAME | {"choices": [], "usage": USAGE})
    async with canned(stream) as (channel, _):
        client = AsyncClient(channel=channel)
        chat = await client.chat.stream("x").final()
        response = await client.responses.stream("x").final()
    [call] = chat.proto.choices[0].message.tool_calls
    [item] = response.proto.output
    assert value_of(call.extra) == value_of(item.extra) == {"function": {"one": 1, "two": 2}}


# Finish reasons


async def test_the_text_null_is_not_a_finish_reason() -> None:
    said: list[Json] = [{"delta": {"content": text}, "text": text} for text in ("H", "i")]
    events = [FRAME | {"choices": [one | {"finish_reason": "null"}]} for one in said]
    last = FRAME | {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    async with canned(in_events(*events, last)) as (channel, _):
        client = AsyncClient(channel=channel)
        finals = (
            await client.chat.stream("x").final(),
            await client.responses.stream("x").final(),
            await client.completions.stream("x").final(),
        )
    assert [final.text for final in finals] == ["Hi"] * 3


# Empty errors


@pytest.mark.parametrize("error", ["", {}, [], None, False], ids=str)
async def test_an_empty_error_is_ignored(error: Any) -> None:
    made = [*await chats(frame={"error": error}), *await completions({"error": error})]
    for answer in made:
        assert answer.choices[0].finish_reason == common.FINISH_REASON_STOP
    for response in await responses(frame={"error": error}):
        assert response.output[0].message.content[0].text == "Hi"


# Text in another form, or missing


async def test_text_in_parts() -> None:
    parts = [{"type": "text", "text": "H"}, None, {"type": "text", "text": "i"}]
    for answer in await chats({"content": parts}):
        assert [part.text for part in answer.choices[0].message.content] == ["Hi"]
    for response in await responses({"content": parts}):
        assert [part.text for part in response.output[0].message.content] == ["Hi"]


async def test_parts_that_are_not_text_are_refused() -> None:
    with pytest.raises(CallError):
        await chats({"content": [{"type": "image", "text": "Hi"}]})


@pytest.mark.parametrize(
    "end", [{"index": 0, "finish_reason": "stop"}, {"text": None, "finish_reason": "stop"}]
)
async def test_a_completion_that_ends_without_text(end: Json) -> None:
    events = [FRAME | {"choices": [{"text": "Hi"}]}, FRAME | {"choices": [end], "usage": USAGE}]
    async with canned(in_events(*events)) as (channel, _):
        answer = await AsyncClient(channel=channel).completions.stream("x").final()
    assert (answer.text, answer.finish_reason) == ("Hi", "stop")


# Operations without a stream


@pytest.mark.parametrize("form", [int, float, str])
async def test_results_whose_index_is_in_any_form(form: Any) -> None:
    scored = [{"index": form(place), "relevance_score": str(place)} for place in (0, 1)]
    data = [{"index": form(place), "embedding": [place, 0.5, None]} for place in (1, 0)]
    answer = FRAME | {"results": scored, "data": data, "usage": USAGE, "created": "5"}
    async with canned(in_json(answer)) as (channel, _):
        client = AsyncClient(channel=channel)
        ranked = await client.rerank("q", ["a", "b"])
        embedded = await client.embeddings.create(["a", "b"])
    assert [result.index for result in ranked.proto.results] == [1, 0]
    vectors = [list(one.float_vector.values) for one in embedded.proto.embeddings]
    assert [vector[:2] for vector in vectors] == [[0, 0.5], [1, 0.5]]
    assert math.isnan(vectors[0][2])


async def test_results_without_an_index_are_in_the_order_of_the_inputs() -> None:
    data = [{"embedding": [1.0], "score": 1.0}, {"embedding": ["2.5"], "score": "2.5"}]
    async with canned(in_json(FRAME | {"data": data})) as (channel, _):
        client = AsyncClient(channel=channel)
        embedded = await client.embeddings.create(["a", "b"])
        scored = await client.score("q", ["a", "b"])
    assert [list(one.float_vector.values) for one in embedded.proto.embeddings] == [[1.0], [2.5]]
    assert [result.score for result in scored.proto.results] == [1.0, 2.5]


async def test_a_byte_order_mark_before_an_answer() -> None:
    body = codecs.BOM_UTF8 + json.dumps({"data": [{"embedding": [1.0]}]}).encode()
    async with canned(http(body, "connection: close")) as (channel, _):
        embedded = await AsyncClient(channel=channel).embeddings.create(["a"])
    assert list(embedded.proto.embeddings[0].float_vector.values) == [1.0]


async def test_a_model_with_unusual_values() -> None:
    entry = {"id": "canned", "created": 1_700_000_000.5, "max_model_len": "512", "owned_by": [1]}
    async with canned(in_json({}), models=[entry]) as (channel, _):
        listed = await ModelServiceStub(channel).ListModels(model_pb2.ListModelsRequest())
    [model] = listed.models
    assert (model.create_time.seconds, model.max_model_len) == (1_700_000_000, 512)
    assert value_of(model.extra) == {"owned_by": [1]}


# Free JSON


async def test_keys_without_a_field_keep_their_value() -> None:
    """64-bit integers, the order of keys, texts and nesting are preserved."""
    odd = {"z": 2**53 + 1, "a": [2**64 - 1, -(2**63), 1.5, None, {"deep": [[]]}], "text": "\u0000ä"}
    for answer in await chats({"odd": odd}, {"cost": odd}, odd=odd):
        choice = answer.choices[0]
        assert value_of(answer.extra) == {"cost": odd}
        assert list(value_of(answer.extra)["cost"]) == ["z", "a", "text"]
        assert value_of(choice.extra) == {"odd": odd}
        assert value_of(choice.message.extra) == {"odd": odd}


async def test_the_client_reads_it_as_a_dictionary() -> None:
    whole, events = _both({"a": 1}, {"cost": 2**60}, {"b": [1]})
    async with canned(whole) as (channel, _):
        answer = await AsyncClient(channel=channel).chat.create("x")
    assert answer.extra == {"cost": 2**60}
    assert answer.choices[0].extra == {"b": [1]}
    async with canned(events) as (channel, _):
        stream = AsyncClient(channel=channel).chat.stream("x")
        extras = [event.extra async for event in stream]
    assert extras[0] == {"cost": 2**60}


async def test_pieces_of_it_add_up() -> None:
    """The last value of a repeated key counts."""
    end = FRAME | {"usage": USAGE, "choices": [], "late": 1, "twice": 2}
    said = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    begin = FRAME | {"choices": [said], "early": {"n": 2**60}, "twice": 1}
    async with canned(in_events(begin, end)) as (channel, _):
        answer = await AsyncClient(channel=channel).chat.stream("x").final()
    assert answer.extra == {"early": {"n": 2**60}, "twice": 2, "late": 1}
