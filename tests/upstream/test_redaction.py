"""Redaction of keys, addresses and paths in an upstream's error messages."""

from typing import Any

import pytest

from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.redaction import Redaction

SECRET = "our-secret"
SENT = b'{"image_url":{"url":"https://example.com/data/cat.png"}}'
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
    "error sending request for url (http://127.0.0.1:9111/v1/x): no": (
        "error sending request for url ((url)): no"
    ),
    "see https://inner.example/a?b=c#d.": "see (url).",
    '"http://user:pass@h/x", gone': '"(url)", gone',
    "at http://[fd00::1]:8000/x, no": "at (url), no",
    "tcp://10.0.0.1:5555 grpc+unix://x/y s3://bucket/key": "(url) (url) (url)",
    "unix:///run/vllm.sock and unix:/tmp/a.sock": "(url) and (url)",
    "Cannot connect to host vllm-0:8000 [('10.0.0.5', 8000)]": (
        "Cannot connect to host (address) [('(address)', 8000)]"
    ),
    "[fd00::1]:8000 or fd00::12:5 or 10.1.2.3:80.": "(address) or (address) or (address).",
    "localhost:8000 and gpu.example:80": "(address) and (address)",
    "worker-7.models.svc.cluster.local failed": "(address) failed",
    "lost the connection to worker:8000": "lost the connection to (address)",
}
KEPT = (
    "the upstream has no /v1/chat/completions",
    "https://example.com/data/cat.png is gone",  # the caller sent it
    "llama3:8b at 12:30:45 with 16:9, std::string, version 0.10.2",
    "api_server.py:123 and config.json:12",
    "body.messages.0.content: at position:120",
    "the model meta-llama/Llama-3/data does not exist",
    "Pointer #/$defs/Item does not exist",
    "at /messages/0/content",
    "/models/llama does not exist",
    "the task is sk-learn; a bearer of news; 1/2; and/or; basic",
)


def redacted(text: str) -> list[Any]:
    redaction = Redaction((SECRET, "x", ""), known=("", "/models/llama"), sent=SENT)
    said = redaction.error(ErrorBody(text, text, text, text, faults=(("body.n", text),)))
    return [redaction.text(text), said.message, said.type, said.param, said.code, said.faults[0][1]]


@pytest.mark.parametrize(("text", "clean"), WORDS.items())
def test_secrets_are_hidden(text: str, clean: str) -> None:
    assert redacted(text) == [clean] * 6


@pytest.mark.parametrize("text", KEPT)
def test_other_text_is_kept(text: str) -> None:
    assert redacted(text) == [text] * 6
