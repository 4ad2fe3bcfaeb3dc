"""Instruction counts: parsing of callgrind's files, and the baseline."""

import json

from bench import conversions, instructions

DUMP = """\
version: 1
creator: callgrind-3.19.0
part: 2
desc: Trigger: Client Request: chat answer
events: Ir
fn=(1)
0 100
totals: 1156610
"""


def test_counts_are_of_one_run() -> None:
    assert instructions.read([DUMP]) == {"chat answer": 1156610 // conversions.TIMES}


def test_dumps_without_a_mark_are_ignored() -> None:
    assert instructions.read(["desc: Trigger: Program termination\ntotals: 5\n"]) == {}


def test_regressions() -> None:
    stored = {"a": 1000, "b": 1000, "c": 1000}
    found = instructions.regressions({"a": 1149, "b": 1151, "d": 5}, stored)
    assert [line.partition(":")[0] for line in found] == ["b", "c", "d"]


def test_the_baseline_has_every_conversion() -> None:
    stored = json.loads(instructions.BASELINE.read_text("utf-8"))
    assert stored
    for version, counts in stored.items():
        assert set(counts) == set(conversions.conversions()), version


def test_every_conversion_returns_the_expected_messages() -> None:
    made = conversions.conversions()
    from bench import payloads

    assert made["chat answer"]() == payloads.chat_expected().SerializeToString()
    assert made["rerank answer"]() == payloads.rerank_expected().SerializeToString()
    vectors = payloads.vectors_expected(64, 4096)
    # Its fields may be in any order.
    sent = made["embeddings 64x4096"]()
    assert isinstance(sent, bytes)
    assert type(vectors).FromString(sent) == vectors
