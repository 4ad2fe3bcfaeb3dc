"""Server-sent events, however their bytes are split."""

import pytest

from penstock_server.upstream.sse import EventDecoder, EventTooLarge

EVENTS = [b'{"text": "caf\xc3\xa9 \xf0\x9f\x91\x8b"}', b'{"two":\n"lines"}', b"", b"[DONE]"]
STREAM = (
    b": a comment\n\n"
    b'event: chunk\nid: 7\nretry: 10\ndata: {"text": "caf\xc3\xa9 \xf0\x9f\x91\x8b"}\n\n'
    b'data: {"two":\ndata:"lines"}\n\n'
    b"\n\n"
    b": ping\n"
    b"data:\n\n"
    b"data: [DONE]\n\n"
)

ENDINGS = {
    "lf": STREAM,
    "crlf": STREAM.replace(b"\n", b"\r\n"),
    "cr": STREAM.replace(b"\n", b"\r"),
    "mixed": b"".join(
        line + (b"\n", b"\r", b"\r\n")[number % 3]
        for number, line in enumerate(STREAM.splitlines())
    ),
}
every_ending = pytest.mark.parametrize("stream", ENDINGS.values(), ids=ENDINGS)


def decode(*blocks: bytes, limit: int = 1000) -> list[bytes]:
    decoder = EventDecoder(limit)
    return [data for block in blocks for data in decoder.feed(block)]


@every_ending
def test_every_split_gives_the_same_events(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == EVENTS


@every_ending
def test_byte_by_byte(stream: bytes) -> None:
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == EVENTS


def test_events_are_returned_as_soon_as_they_are_complete() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: 1\n\ndata: 2\n\ndata: 3") == [b"1", b"2"]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\n") == [b"3"]


def test_an_unfinished_event_is_not_returned() -> None:
    assert decode(b'data: {"whole": true}\n\ndata: {"whole": fal') == [b'{"whole": true}']
    assert decode(b"data: 1\n") == []


def test_every_line_ending_completes_an_event_at_once() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: 1\r\r") == [b"1"]
    assert decoder.feed(b"\ndata: 2\r\n\r") == [b"2"]
    assert decoder.feed(b"\ndata: 3\n\n") == [b"3"]
    assert decoder.feed(b"data: 4\r\rdata: 5\n\n") == [b"4", b"5"]
    assert decoder.feed(b"data: 6\r\r") == [b"6"]
    assert decoder.feed(b"data: 7\n\n") == [b"7"]
    assert decoder.feed(b"\ndata: 8\r") == []
    assert decoder.feed(b"\r") == [b"8"]


def test_offsets_with_every_line_ending() -> None:
    for stream in (b"data: 1\r\rdata: 22\r\r", b"data: 1\r\n\r\ndata: 22\n\n: c\rdata: 3\n\n"):
        for cut in range(len(stream) + 1):
            decoder = EventDecoder()
            found = decoder.feed(stream[:cut]) + (decoder.feed(stream[cut:]))
            assert [stream.index(b"data: " + data) for data in found] == list(decoder.offsets)


PENDING = {
    b"": None,
    b"data: 1\n\n": None,
    b": comment": None,
    b"data: 1\n\ndata: 2": b"2",
    b"data: 2\n": b"2",
    b"data: 2\r": b"2",
    b"data: 2\ndata: 3": b"2\n3",
    b"data: 2\n: comment": b"2",
    b'{"error": 1}': b'{"error": 1}',
}


@pytest.mark.parametrize(("stream", "pending"), PENDING.items())
def test_the_rest_at_the_end_of_the_stream(stream: bytes, pending: bytes | None) -> None:
    decoder = EventDecoder()
    decoder.feed(stream)
    assert decoder.pending() == pending


def test_a_byte_order_mark_is_ignored() -> None:
    mark = "\N{BYTE ORDER MARK}".encode()
    for cut in range(5):
        assert decode(mark[:cut], mark[cut:] + b"data: 1\n\ndata: 2\n\n") == [b"1", b"2"]
    assert decode(b"data: 1\n\n" + mark + b"data: 2\n\n") == [b"1"]


def test_a_bare_json_object_is_an_event() -> None:
    error = b'{"error": {"code": 503}}'
    assert decode(b"data: 1\n\n" + error + b"\n\ndata: 2\n\n") == [b"1", error, b"2"]
    assert decode(error + b"\r\n") == [error]
    assert decode(b"data: 1\n" + error + b"\n\n") == [b"1"]


def test_only_one_space_is_removed() -> None:
    assert decode(b"data:  x \n\n") == [b" x "]


def test_a_line_over_the_limit_is_refused_before_it_ends() -> None:
    decoder = EventDecoder(limit=100)
    assert decoder.feed(b"data: " + b"x" * 90) == []
    with pytest.raises(EventTooLarge, match="100 bytes"):
        decoder.feed(b"x" * 10)


def test_many_lines_of_one_event_count_together() -> None:
    with pytest.raises(EventTooLarge):
        decode(*[b"data: 12345678\n"] * 20, limit=100)


def test_the_limit_applies_to_one_event() -> None:
    assert len(decode(*[b"data: " + b"x" * 80 + b"\n\n"] * 10, limit=100)) == 10


def test_a_large_event_in_small_blocks_costs_no_more_than_its_size() -> None:
    # If every block were joined to all before it, this would copy 64 GiB.
    block, count = b"x" * 1024, 11_000
    decoder = EventDecoder()
    decoder.feed(b"data: ")
    for _ in range(count):
        decoder.feed(block)
    [data] = decoder.feed(b"\n\n")
    assert len(data) == len(block) * count
