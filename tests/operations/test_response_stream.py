"""Events of a response converted from a chat: their order, items and sum."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from documents import value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.v1 import response_pb2
from penstock_server.convert.errors import MalformedAnswer
from penstock_server.convert.response import chat_answer

from .response_calls import Event, check_order, end_of
from .response_reader import check, check_stream, event_type

Json = dict[str, Any]

REQUEST = response_pb2.CreateResponseRequest(input_text="x")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def chunk(*choices: Json, **more: Any) -> Json:
    """Returns an event of a chat stream."""
    return {"id": "chatcmpl-1", "model": "m", "created": 5, "choices": list(choices), **more}


def said(delta: Json | None = None, *, index: int = 0, **more: Any) -> Json:
    """Returns a choice of an event."""
    return {"index": index, "delta": delta or {}, **more}


def piece(index: int | None, arguments: str = "", call_id: str = "", name: str = "") -> Json:
    """Returns a piece of a call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    more = {"id": call_id, "type": "function"} if call_id else {}
    return {"function": function, **more} | ({} if index is None else {"index": index})


def stream(*deltas: Json, finish: str = "stop", usage: Json | None = USAGE) -> list[Event]:
    """Returns the messages for a stream of one choice."""
    chunks = [chunk(said(delta)) for delta in deltas]
    return converted([*chunks, chunk(said(finish_reason=finish)), chunk(usage=usage)])


def converted(chunks: Iterable[Json]) -> list[Event]:
    """Returns the messages for a stream after checking them."""
    made = chat_answer.ResponseStream(REQUEST)
    events = [message for one in chunks for message in made.messages(one)]
    events += made.end()
    check_order(events)
    check_stream(events)
    return events


def names(events: Sequence[Event]) -> list[str]:
    return [event_type(event).removeprefix("response.") for event in events]


def kinds(events: Sequence[Event]) -> list[str | None]:
    return [item.WhichOneof("item") for item in end_of(events).output]


def test_text_in_the_order_of_the_api() -> None:
    events = stream({"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"})
    assert names(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_events_are_sent_with_their_chunk() -> None:
    made = chat_answer.ResponseStream(REQUEST)
    assert names(made.messages(chunk(said({"role": "assistant", "content": ""})))) == [
        "created",
        "in_progress",
    ]
    assert names(made.messages(chunk(said({"content": "a"}))))[-1] == "output_text.delta"
    done = names(made.messages(chunk(said(finish_reason="stop"))))
    assert done == ["output_text.done", "content_part.done", "output_item.done"]
    assert made.messages(chunk(usage=USAGE)) == []
    (end,) = made.end()
    assert end.completed.usage.total_tokens == 7


def test_call_in_the_order_of_the_api() -> None:
    call = [piece(0, call_id="c", name="f")]
    events = stream({"tool_calls": call}, {"tool_calls": [piece(0, "{}")]}, finish="tool_calls")
    assert names(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[2].output_item_added.output_index == 0


def test_refusal_and_text_are_parts_of_one_message() -> None:
    events = stream({"content": "a"}, {"refusal": "n"}, {"refusal": "o"})
    assert names(events)[3:-2] == [
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]
    (item,) = end_of(events).output
    assert [part.WhichOneof("part") for part in item.message.content] == ["text", "refusal"]


def test_reasoning_before_between_and_after_text() -> None:
    deltas = [{"reasoning": "a"}, {"content": "b"}, {"reasoning": "c"}, {"content": "d"}]
    events = stream(*deltas, {"reasoning_content": "e"})
    assert kinds(events) == ["reasoning", "message", "reasoning", "message", "reasoning"]


def test_all_in_one_delta() -> None:
    calls = [piece(0, "{}", "c", "f"), piece(1, "[]", "d", "g")]
    events = stream({"reasoning": "a", "content": "b", "refusal": "c", "tool_calls": calls})
    assert kinds(events) == ["reasoning", "message", "function_call", "function_call"]


def test_choices_interleave() -> None:
    events = converted(
        [
            chunk(said({"content": "a"}), said({"content": "x"}, index=1)),
            chunk(said({"content": "y"}, index=1)),
            chunk(said({"content": "b"})),
            chunk(said(index=1, finish_reason="length")),
            chunk(said(finish_reason="stop"), usage=USAGE),
        ]
    )
    end = end_of(events)
    assert [(item.choice_index, item.message.content[0].text) for item in end.output] == [
        (0, "ab"),
        (1, "xy"),
    ]
    assert end.status == response_pb2.RESPONSE_STATUS_INCOMPLETE
    assert [item.status for item in end.output] == [
        response_pb2.RESPONSE_STATUS_COMPLETED,
        response_pb2.RESPONSE_STATUS_INCOMPLETE,
    ]


def test_entries_of_invisible_tokens_belong_to_their_text() -> None:
    def given(delta: Json, *tokens: str) -> Json:
        entries = [{"token": one, "logprob": -0.5, "bytes": list(one.encode())} for one in tokens]
        return chunk(said(delta, logprobs={"content": entries}))

    events = converted(
        [
            given({"reasoning": "hm"}, "hm"),
            given({}, "</think>"),
            given({"content": "a"}, "a"),
            given({}, "\\xf0"),
            given({"content": "b"}, "b"),
            given({}, "<end>"),
            chunk(said(finish_reason="stop"), usage=USAGE),
        ]
    )
    part = end_of(events).output[1].message.content[0]
    assert [entry.token for entry in part.logprobs] == ["a", "\\xf0", "b", "<end>"]
    deltas = [event.output_text_delta for event in events if event.HasField("output_text_delta")]
    assert [[entry.token for entry in one.logprobs] for one in deltas] == [
        ["a"],
        ["\\xf0", "b"],
        ["<end>"],
    ]


@pytest.mark.parametrize("interval", range(1, 9))
def test_entries_are_those_of_the_text_with_any_number_of_tokens_per_event(interval: int) -> None:
    tokens = ["<think>", "h", "m", "</think>", "a", "\\xf0", "b", "<call>", "{", "}", "</call>"]
    shown = ["", "h", "m", "", "a", "", "b", "", "", "", ""]
    chunks: list[Json] = []
    for start in range(0, len(tokens), interval):
        places = range(start, min(start + interval, len(tokens)))
        thought = "".join(shown[place] for place in places if place < 3)
        text = "".join(shown[place] for place in places if place > 3)
        called = {"tool_calls": [piece(0, "{}", "c", "f")]} if places[-1] == 10 else {}
        delta = {"reasoning": thought, "content": text, **called}
        spoken = entries(*(tokens[place] for place in places))
        chunks.append(chunk(said(delta, logprobs=spoken)))
    chunks.append(chunk(said(finish_reason="tool_calls"), usage=USAGE))
    events = converted(chunks)
    deltas = [event.output_text_delta for event in events if event.HasField("output_text_delta")]
    [done] = [event.output_text_done for event in events if event.HasField("output_text_done")]
    message = {"reasoning": "hm", "content": "ab", "tool_calls": [piece(0, "{}", "c", "f")]}
    one = {"message": message, "logprobs": entries(*tokens), "finish_reason": "tool_calls"}
    answer = chat_answer.response(chunk(one, usage=USAGE), REQUEST).response
    for holder in (done, answer.output[1].message.content[0]):
        assert [entry.token for entry in holder.logprobs] == ["a", "\\xf0", "b"]
    assert [entry.token for one in deltas for entry in one.logprobs] == ["a", "\\xf0", "b"]


def entries(*tokens: str) -> Json:
    return {"content": [{"token": one, "logprob": -0.5, "bytes": None} for one in tokens]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [({}, ["a", "b", "<end>"]), ({"tool_calls": [piece(0, "{}", "c", "f")]}, ["a", "b"])],
    ids=["text at the end", "text before a call"],
)
def test_entries_of_a_unary_answer_are_those_of_its_text(more: Json, expected: list[str]) -> None:
    message = {"reasoning": "ab", "content": "ab", **more}
    spoken = entries("<think>", "a", "b", "</think>", "a", "b", "<end>")
    one = {"index": 0, "message": message, "logprobs": spoken, "finish_reason": "stop"}
    answer = chat_answer.response(chunk(one, usage=USAGE), REQUEST).response
    part = answer.output[1].message.content[0]
    assert [entry.token for entry in part.logprobs] == expected


def test_only_the_last_item_is_truncated() -> None:
    calls = [piece(0, "{}", "c", "f"), piece(1, "{", "d", "g")]
    events = stream({"content": "a"}, {"tool_calls": calls}, finish="length")
    assert [item.status for item in end_of(events).output] == [
        response_pb2.RESPONSE_STATUS_COMPLETED,
        response_pb2.RESPONSE_STATUS_COMPLETED,
        response_pb2.RESPONSE_STATUS_INCOMPLETE,
    ]


def test_keys_without_a_field_are_kept() -> None:
    finish = said(finish_reason="stop", stop_reason="###")
    events = converted([chunk(said({"content": "a", "mood": "fine"})), chunk(finish, usage=USAGE)])
    kept = {"index": 0, "mood": "fine", "stop_reason": "###"}
    assert value_of(end_of(events).extra) == {"choices": [kept]}


@pytest.mark.parametrize("broken", [{"choices": 1}, {"id": "a", "choices": [1]}])
def test_malformed_event(broken: Json) -> None:
    with pytest.raises(MalformedAnswer):
        chat_answer.ResponseStream(REQUEST).messages(broken)


def test_failure_contains_the_response_so_far() -> None:
    made = chat_answer.ResponseStream(REQUEST)
    assert made.failure("server_error", "x") == []
    begun = made.messages(chunk(said({"content": "a"})))
    (failed,) = made.failure("server_error", "boom")
    assert failed.sequence_number == len(begun)
    assert failed.failed.error.message == "boom"
    assert failed.failed.output[0].message.content[0].text == "a"
    check(failed.failed)


# Any stream that a server can send

WORDS = st.text("ab \n", min_size=1, max_size=3)
FINISHES = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])


@st.composite
def deltas(draw: st.DrawFn, known: set[str], choice: int) -> Json:
    """Generates a delta of a choice; `known` are the calls that have begun."""
    made: Json = {}
    for key in ("content", "refusal", draw(st.sampled_from(["reasoning", "reasoning_content"]))):
        made |= draw(st.sampled_from([{}, {key: ""}, {key: None}, {key: draw(WORDS)}, {}]))
    indexes = draw(st.lists(st.integers(0, 2), max_size=3))
    if indexes:
        made["tool_calls"] = [_piece(draw, index, known, choice) for index in indexes]
    if draw(st.booleans()):
        made["role"] = "assistant"
    return made


def _piece(draw: st.DrawFn, index: int, known: set[str], choice: int) -> Json:
    call_id, arguments = f"call_{choice}_{index}", draw(st.sampled_from(["", "{", "}"]))
    if call_id in known:
        return piece(index, arguments)
    known.add(call_id)
    return piece(index, arguments, call_id, f"f{index}")


@st.composite
def streams(draw: st.DrawFn) -> list[Json]:
    """Generates the chunks of a stream: interleaved choices, with usage in one of two places."""
    count = draw(st.integers(1, 2))
    known: set[str] = set()
    order = draw(st.lists(st.integers(0, count - 1), max_size=8))
    chunks = [chunk(said(draw(deltas(known, index)), index=index)) for index in order]
    if draw(st.booleans()):
        chunks.insert(0, chunk())
    for index in range(count):
        last = draw(deltas(known, index)) if draw(st.booleans()) else {}
        chunks.append(chunk(said(last, index=index, finish_reason=draw(FINISHES))))
    if draw(st.booleans()):
        chunks[-1]["usage"] = USAGE
        return chunks
    return [*chunks, chunk(usage=USAGE)]


def whole(chunks: Sequence[Json]) -> Json:
    """Returns the unary answer of the same upstream."""
    choices: dict[int, Json] = {}
    for one in chunks:
        for found in one["choices"]:
            target = choices.setdefault(found["index"], _empty(found["index"]))
            _add(target, found)
    for made in choices.values():
        calls = made["message"].pop("tool_calls")
        if calls:
            made["message"]["tool_calls"] = [calls[index] for index in calls]
    return chunk(*(choices[index] for index in sorted(choices)), usage=USAGE)


def _empty(index: int) -> Json:
    message = {"role": "assistant", "content": "", "reasoning": "", "refusal": ""}
    return {"index": index, "message": message | {"tool_calls": {}}}


def _add(target: Json, found: Json) -> None:
    message, delta = target["message"], found["delta"]
    message["content"] += delta.get("content") or ""
    message["refusal"] += delta.get("refusal") or ""
    message["reasoning"] += delta.get("reasoning") or delta.get("reasoning_content") or ""
    for one in delta.get("tool_calls", []):
        calls = message["tool_calls"]
        call = calls.setdefault(one["index"], {"function": {"name": "", "arguments": ""}})
        call["function"]["arguments"] += one["function"]["arguments"]
        if "id" in one:
            call |= {"id": one["id"], "type": "function"}
            call["function"]["name"] = one["function"]["name"]
    if finish := found.get("finish_reason"):
        target["finish_reason"] = finish


def spoken(response: response_pb2.ModelResponse) -> Mapping[int, Any]:
    """Returns all content of each kind, by choice; a stream may split it into more items."""
    found: dict[int, Any] = {}
    for item in response.output:
        one = found.setdefault(item.choice_index, {"text": "", "refusal": "", "thought": ""})
        for part in item.message.content:
            one["text"] += part.text
            one["refusal"] += part.refusal
        one["thought"] += "".join(item.reasoning.content)
        if item.HasField("function_call"):
            call = item.function_call
            said_so = (call.call_id, call.name, call.arguments)
            one.setdefault("calls", []).append(said_so)
    return found


@settings(deadline=None)
@given(streams())
def test_any_stream_is_well_formed_and_adds_up_to_the_unary_answer(chunks: list[Json]) -> None:
    end = end_of(converted(chunks))
    answer = chat_answer.response(whole(chunks), REQUEST).response
    check(answer)
    assert spoken(end) == spoken(answer)
    assert (end.id, end.model, end.create_time) == (answer.id, answer.model, answer.create_time)
    assert (end.status, end.incomplete_reason) == (answer.status, answer.incomplete_reason)
    assert end.usage == answer.usage
    assert end.settings == answer.settings


ORDERED = st.tuples(
    st.lists(WORDS, max_size=3),
    st.lists(WORDS, max_size=3),
    st.lists(st.lists(WORDS, max_size=2), max_size=3),
    FINISHES,
)


@settings(deadline=None)
@given(ORDERED)
def test_stream_in_the_usual_order_equals_the_unary_answer(parts: Any) -> None:
    thoughts, texts, calls, finish = parts
    made = [chunk(said({"role": "assistant", "content": ""}))]
    made += [chunk(said({"reasoning": one})) for one in thoughts]
    made += [chunk(said({"content": one})) for one in texts]
    for index, pieces in enumerate(calls):
        made.append(chunk(said({"tool_calls": [piece(index, "", f"c{index}", "f")]})))
        made += [chunk(said({"tool_calls": [piece(index, one)]})) for one in pieces]
    made += [chunk(said(finish_reason=finish)), chunk(usage=USAGE)]
    answer = chat_answer.response(whole(made), REQUEST).response
    assert end_of(converted(made)) == answer
