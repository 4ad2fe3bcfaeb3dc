"""The files from which the upstream answers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.payloads.chat import CHAT_MODEL, chat_answer, stream_files
from bench.payloads.common import CREATED, dump
from bench.payloads.rerank import RERANK_MODEL, rerank_answer
from bench.payloads.upload import upload_pattern
from bench.payloads.vectors import vectors_answer

ROUTES = (
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/audio/transcriptions",
    "/v1/models",
    "/health",
    "/version",
)


def write_upstream(folder: Path, models: Sequence[str]) -> None:
    """Writes the files from which the upstream answers."""
    answers = {CHAT_MODEL: chat_answer(), RERANK_MODEL: rerank_answer()}
    for model in models:
        if size := re.fullmatch(r"bench-(\d+)x(\d+)", model):
            answers[model] = vectors_answer(int(size[1]), int(size[2]))
    documents = {
        "models": {"object": "list", "data": [_model(name) for name in models]},
        "openapi": {"openapi": "3.1.0", "paths": {route: {} for route in ROUTES}},
        "version": {"version": "0.32.0"},
    }
    files = {f"{name}.json": answer for name, answer in answers.items()}
    files |= {f"{name}.json": dump(document) for name, document in documents.items()}
    files |= stream_files() | {"upload.pattern": upload_pattern()}
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _model(name: str) -> dict[str, Any]:
    # With one root, they are names of one model to a server that checks it.
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": "/models/bench",
        "parent": None,
        "max_model_len": 4096,
    }
