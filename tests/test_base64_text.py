"""Base64 of long data in JSON, encoded and sent in pieces."""

import os
import tracemalloc
from base64 import b64encode
from typing import Any

import orjson
import pytest

from penstock_server import base64_text as base64
from penstock_server.base64_text import PIECE_BYTES, LongBase64, base64_text, dumped
from penstock_server.fleet import affinity
from penstock_server.fleet.policy import Affinity
from penstock_server.upstream import Call

PREFIX = 'data:image/"png";base64,'
SIZES = [0, 1, PIECE_BYTES, PIECE_BYTES + 1, PIECE_BYTES + 2, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 1]
# Of the base64 of the most data.
LONGEST = PIECE_BYTES // 3 * 4


def plain(data: bytes) -> str:
    return PREFIX + b64encode(data).decode()


@pytest.mark.parametrize("size", SIZES)
def test_pieces_are_the_json_of_the_whole(size: int) -> None:
    data = os.urandom(size)
    long, known = base64_text(data, PREFIX), plain(data)
    made = dumped({"a": [long, {"b": long}], "c": "é", "d": long})
    assert b"".join(made) == orjson.dumps({"a": [known, {"b": known}], "c": "é", "d": known})
    assert isinstance(long, LongBase64) is (size > PIECE_BYTES)


def test_no_step_works_on_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def measured(work: Any) -> Any:
        def run(*given: Any, **options: Any) -> Any:
            done = work(*given, **options)
            steps.append(len(done))
            return done

        return run

    for name in ("b64encode", "b64encode_as_string"):
        monkeypatch.setattr(base64, name, measured(getattr(base64, name)))
    monkeypatch.setattr(orjson, "dumps", measured(orjson.dumps))
    made = dumped({"a": base64_text(bytes(8 * PIECE_BYTES + 1), PREFIX)})
    assert max((*steps, *map(len, made))) == LONGEST


def test_what_json_cannot_represent() -> None:
    with pytest.raises(TypeError):
        dumped({"a": base64_text(bytes(PIECE_BYTES + 1)), "b": {1, 2}})


def test_related_calls_with_long_data_have_one_key() -> None:
    data = os.urandom(PIECE_BYTES + 1)
    texts = (base64_text(data, PREFIX), plain(data))
    keys = {affinity.key(Affinity.PREFIX, Call("r"), {"messages": [text]}) for text in texts}
    assert len(keys) == 1


def test_a_request_takes_no_more_memory_than_its_text() -> None:
    document = {"messages": [{"role": "user", "content": "word " * 10_000}]}
    dumped(document)
    tracemalloc.start()
    try:
        kept = dumped(document)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < sum(map(len, kept)) * 1.1
