"""Keys and paths that an upstream's words hold."""

from typing import Any

import pytest

from penstock_server.upstream.failure import ErrorBody, Kind, Stage, UpstreamFailure
from penstock_server.upstream.redaction import Redaction

SECRET = "our-secret"
WORDS = {
    "key our-secret refused": "key (hidden) refused",
    "Authorization: Bearer abc.def-123=, no": "Authorization: (hidden), no",
    "basic dXNlcjpwYXNz": "(hidden)",
    "Incorrect API key provided: sk-live-ab***yz.": "Incorrect API key provided: (hidden)",
    "token hf_abcdefghijklmnopqrst": "token (hidden)",
    "No such file: '/root/models/secret/config.json'": "No such file: '(path)'",
    'File "/usr/lib/python3.12/json.py", line 3': 'File "(path)", line 3',
    "under /data/media/": "under (path)",
    "(/home/ada/x)": "((path))",
}
KEPT = (
    "the upstream has no /v1/chat/completions",
    "https://example.com/data/cat.png is gone",
    "the model meta-llama/Llama-3/data does not exist",
    "Pointer #/$defs/Item does not exist",
    "at /messages/0/content",
    "/models/llama does not exist",
    "the task is sk-learn; a bearer of news; 1/2; and/or; basic",
)


def failure(text: str) -> UpstreamFailure:
    error = ErrorBody(text, text, text, text, faults=(("body.n", text),))
    return UpstreamFailure(Kind.HTTP_ERROR, text, Stage.BODY, error=error)


def told(text: str) -> list[Any]:
    failed = failure(text)
    Redaction((SECRET, "x", ""), known=("", "/models/llama")).failure(failed)
    said = failed.error
    return [failed.message, said.message, said.type, said.param, said.code, said.faults[0][1]]


@pytest.mark.parametrize(("text", "clean"), WORDS.items())
def test_what_is_hidden(text: str, clean: str) -> None:
    assert told(text) == [clean] * 6


@pytest.mark.parametrize("text", KEPT)
def test_what_is_kept(text: str) -> None:
    assert told(text) == [text] * 6
