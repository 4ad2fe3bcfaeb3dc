"""Captures the answers of an older vLLM for the test of the simulator's dialects.

    PENSTOCK_VLLM=0.14.1 python tests/vllm/capture_older.py
    python tests/vllm/capture_older.py chat=http://127.0.0.1:8000

Writes ../captures/older/<version>.json: the status and the body for each request below. Skip kinds
that a version cannot serve with --without=whisper.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servers import FLEET, VllmServers

CAPTURES = Path(__file__).parents[1] / "captures" / "older"
HELLO = [{"role": "user", "content": "Say hello."}]
LONG = [{"role": "user", "content": "word " * 3000}]
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
TWO = {"query": "a", "documents": ["a", "b c d e f"]}
BOUNDARY = "captured"

Case = tuple[str, str, Any]
"""Name, path, and body: JSON; for audio the fields of the form."""

CASES: Mapping[str, tuple[Case, ...]] = {
    "chat": (
        ("plain", "/v1/chat/completions", {"messages": HELLO}),
        ("temperature_9", "/v1/chat/completions", {"messages": HELLO, "temperature": 9}),
        ("temperature_text", "/v1/chat/completions", {"messages": HELLO, "temperature": "x"}),
        ("top_p_2", "/v1/chat/completions", {"messages": HELLO, "top_p": 2}),
        ("limit_0", "/v1/chat/completions", {"messages": HELLO, "max_completion_tokens": 0}),
        ("limit_negative", "/v1/chat/completions", {"messages": HELLO, "max_tokens": -1}),
        ("no_effort", "/v1/chat/completions", {"messages": HELLO, "reasoning_effort": "none"}),
        (
            "beams",
            "/v1/chat/completions",
            {
                "messages": HELLO,
                "use_beam_search": True,
                "n": 2,
                "temperature": 0,
                "max_tokens": 4,
            },
        ),
        (
            "thinking_budget",
            "/v1/chat/completions",
            {"messages": HELLO, "thinking_token_budget": 5},
        ),
        ("empty_bad_word", "/v1/chat/completions", {"messages": HELLO, "bad_words": [""]}),
        ("list", "/v1/chat/completions", [1]),
        ("too_long", "/v1/chat/completions", {"messages": LONG}),
        ("no_messages", "/v1/chat/completions", {}),
        (
            "logprobs_21",
            "/v1/chat/completions",
            {"messages": HELLO, "logprobs": True, "top_logprobs": 21},
        ),
        (
            "prompt_logprobs_negative",
            "/v1/chat/completions",
            {"messages": HELLO, "prompt_logprobs": -2},
        ),
        ("no_tools", "/v1/chat/completions", {"messages": HELLO, "tools": []}),
        (
            "choice_without_tools",
            "/v1/chat/completions",
            {"messages": HELLO, "tool_choice": "required"},
        ),
        ("unknown_model", "/v1/chat/completions", {"messages": HELLO, "model": "nope"}),
        ("completion_too_long", "/v1/completions", {"prompt": "word " * 3000}),
        ("completion_logprobs_21", "/v1/completions", {"prompt": "a", "logprobs": 21}),
        ("completion", "/v1/completions", {"prompt": "Once", "max_tokens": 2, "temperature": 0}),
        ("response", "/v1/responses", {"input": "Say hello."}),
        ("response_cut", "/v1/responses", {"input": "Tell me a story.", "max_output_tokens": 3}),
        ("response_limit_0", "/v1/responses", {"input": "Say hello.", "max_output_tokens": 0}),
        ("response_tools", "/v1/responses", {"input": "Say hello.", "tools": [TOOL]}),
        ("response_stream", "/v1/responses", {"input": "Say hello.", "stream": True}),
        ("negative_token", "/detokenize", {"tokens": [-1]}),
    ),
    "embed": (
        ("normalize", "/v1/embeddings", {"input": "a", "normalize": False}),
        ("use_activation", "/v1/embeddings", {"input": "a", "use_activation": False}),
        ("dimensions", "/v1/embeddings", {"input": "a", "dimensions": 32}),
        ("embed_too_long", "/v1/embeddings", {"input": "word " * 3000}),
        ("pooling", "/pooling", {"input": "a b"}),
        ("pooling_token_embed", "/pooling", {"input": "a b", "task": "token_embed"}),
        ("pooling_classify", "/pooling", {"input": "a b", "task": "classify"}),
        ("embed_unknown_model", "/v1/embeddings", {"input": "a", "model": "nope"}),
    ),
    "rerank": (
        ("rerank", "/v1/rerank", TWO),
        ("rerank_raw", "/v1/rerank", {**TWO, "use_activation": False}),
        ("rerank_activation", "/v1/rerank", {**TWO, "activation": False}),
        ("rerank_cut", "/v1/rerank", {**TWO, "max_tokens_per_doc": 2}),
        ("score", "/v1/score", {"text_1": "a", "text_2": ["b"]}),
        ("rerank_no_query", "/v1/rerank", {"documents": ["a"]}),
        ("rerank_too_long", "/v1/rerank", {"query": "word " * 3000, "documents": ["a"]}),
    ),
    "whisper": (
        ("bad_audio", "/v1/audio/transcriptions", {"file": "this is no audio"}),
        ("empty_audio", "/v1/audio/transcriptions", {"file": ""}),
        ("segments", "/v1/audio/transcriptions", {"response_format": "verbose_json"}),
        (
            "segments_with_language",
            "/v1/audio/transcriptions",
            {"response_format": "verbose_json", "language": "en"},
        ),
        ("subtitles", "/v1/audio/transcriptions", {"response_format": "srt"}),
        ("unknown_language", "/v1/audio/transcriptions", {"language": "hh"}),
        ("text", "/v1/audio/transcriptions", {}),
    ),
}


def main() -> int:
    """Captures from the servers given as KIND=URL, or starts them; returns the exit status."""
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    without = given.pop("--without", "").split(",")
    if given:
        _capture(given)
        return 0
    with VllmServers([kind for kind in CASES if kind not in without and kind in FLEET]) as servers:
        _capture(servers.urls())
    return 0


def _capture(urls: Mapping[str, str]) -> None:
    with urllib.request.urlopen(f"{next(iter(urls.values()))}/version") as answer:
        version = json.load(answer)["version"].partition("+")[0]
    CAPTURES.mkdir(exist_ok=True)
    path = CAPTURES / f"{version}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    made = [_one(kind, url, *case) for kind, url in urls.items() for case in CASES[kind]]
    kept = [one for one in known if one["name"] not in {other["name"] for other in made}]
    path.write_text(json.dumps(kept + made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _one(kind: str, url: str, name: str, path: str, body: Any) -> dict[str, Any]:
    data, media = (
        form(body) if kind == "whisper" else (json.dumps(body).encode(), "application/json")
    )
    request = urllib.request.Request(url + path, data, {"Content-Type": media})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    text = re.sub(r'File \\"[^"]*/site-packages/', r"File \"", text)
    print(name, status, text[:200], flush=True)
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = text
    return {"name": name, "status": status, "answer": content}


def form(fields: Mapping[str, str]) -> tuple[bytes, str]:
    """Returns a form with its media type; its file is a second of silence unless one is given."""
    parts = {"file": _silence(), **{name: text.encode() for name, text in fields.items()}}
    lines = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="a.wav"' if name == "file" else b"")
        + b"\r\n\r\n"
        + data
        + b"\r\n"
        for name, data in parts.items()
    )
    return lines + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def _silence() -> bytes:
    rate, seconds = 16000, 1
    data = bytes(2 * rate * seconds)
    head = (
        b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    )
    numbers = ((1, 2), (1, 2), (rate, 4), (2 * rate, 4), (2, 2), (16, 2))
    head += b"".join(number.to_bytes(size, "little") for number, size in numbers)
    return head + b"data" + len(data).to_bytes(4, "little") + data


if __name__ == "__main__":
    sys.exit(main())
