"""Wrong contents are detected, before the load and under it."""

from collections.abc import Callable, Sequence

import pytest

from bench import check, noop, payloads, scenarios, servers
from bench.check import WrongContent
from bench.scenarios import Scenario

BY_NAME = {scenario.name: scenario for scenario in scenarios.ALL}
UNARY_NAMES = [scenario.name for scenario in scenarios.ALL if scenario.expected]
MARKERS = [b"#%05d@%016x" % (number, number) for number in range(5)]

Change = Callable[[list[bytes]], Sequence[bytes]]


def right_answer(scenario: Scenario) -> bytes:
    assert scenario.expected
    return scenario.expected().SerializeToString()


def stream() -> list[bytes]:
    return [message.SerializeToString() for message in payloads.stream_messages(MARKERS)]


@pytest.mark.parametrize("name", UNARY_NAMES)
def test_a_correct_answer_equals_the_golden_one(name: str) -> None:
    answer = right_answer(BY_NAME[name])
    assert check.grpc_golden(BY_NAME[name], [answer]).whole == answer


@pytest.mark.parametrize("name", UNARY_NAMES)
def test_a_wrong_answer(name: str) -> None:
    scenario = BY_NAME[name]
    assert scenario.expected
    answer = right_answer(scenario)
    other = type(scenario.expected())().SerializeToString()
    for wrong in ([answer[:-1]], [other], [answer, answer], []):
        with pytest.raises(WrongContent):
            check.grpc_golden(scenario, wrong)


def test_one_wrong_number_in_a_vector() -> None:
    scenario = BY_NAME["embed-64x4096"]
    answer = bytearray(right_answer(scenario))
    answer[len(answer) // 2] ^= 1
    with pytest.raises(WrongContent):
        check.grpc_golden(scenario, [bytes(answer)])


def test_a_correct_stream() -> None:
    check.check_stream(stream(), len(MARKERS))


def test_a_stream_of_merged_chunks() -> None:
    first, *chunks, finish, last = payloads.stream_messages(MARKERS)
    merged = chunks[0]
    merged.choices[0].delta.content = "".join(c.choices[0].delta.content for c in chunks)
    answers = [message.SerializeToString() for message in (first, merged, finish, last)]
    check.check_stream(answers, len(MARKERS))


WRONG_STREAMS: dict[str, Change] = {
    "a chunk is missing": lambda s: s[:2] + s[3:],
    "a chunk is doubled": lambda s: [*s[:2], s[1], *s[2:]],
    "two are swapped": lambda s: [s[0], s[2], s[1], *s[3:]],
    "no role": lambda s: s[1:],
    "no finish": lambda s: [*s[:-2], s[-1]],
    "two finishes": lambda s: [*s[:-1], s[-2], s[-1]],
    "no usage": lambda s: s[:-1],
    "text between": lambda s: [s[0], s[1].replace(b" #", b"x#"), *s[2:]],
}


@pytest.mark.parametrize("change", WRONG_STREAMS.values(), ids=WRONG_STREAMS.keys())
def test_a_wrong_stream(change: Change) -> None:
    with pytest.raises(WrongContent):
        check.check_stream(list(change(stream())), len(MARKERS))


def test_the_noop_server_sends_a_correct_stream() -> None:
    head, tail = noop.chunk_around()
    first, *_, finish, last = stream()
    chunks = [head + marker + tail for marker in MARKERS]
    check.check_stream([first, *chunks, finish, last], len(MARKERS))


def events() -> bytes:
    files = payloads.stream_files()
    chunks = (files["stream.chunk.head"] + m + files["stream.chunk.tail"] for m in MARKERS)
    return files["stream.first"] + b"".join(chunks) + files["stream.last"]


def test_events_over_http() -> None:
    check.check_events(events(), len(MARKERS))
    for wrong in (
        events().removesuffix(b"data: [DONE]\n\n"),
        events().replace(b'"stop"', b"null", 1),
        events().replace(b" #00003", b"#00003"),
    ):
        with pytest.raises(WrongContent):
            check.check_events(wrong, len(MARKERS))
    with pytest.raises(WrongContent):
        check.check_events(events(), len(MARKERS) + 1)


def test_a_server_that_writes_its_own_answers() -> None:
    scenario = BY_NAME["unary"]
    body = b'{"id": "another", "text": "' + payloads.chat_text() + b'"}'
    assert check.http_golden(scenario, servers.LITELLM, body).contained == (payloads.chat_text(),)
    with pytest.raises(WrongContent):
        check.http_golden(scenario, servers.DIRECT, body)
    with pytest.raises(WrongContent):
        check.http_golden(scenario, servers.LITELLM, body[:-20])
