"""The upstream's answers, requests, and expected messages.

The answers have the shape of vLLM's; the expected messages are written here independently of the
conversions, so that an incorrect conversion is detected.
"""

from bench.payloads.chat import (
    CHAT_MODEL,
    MARKER,
    chat_answer,
    chat_expected,
    chat_grpc,
    chat_http,
    chat_text,
    stream_files,
    stream_messages,
    stream_model,
)
from bench.payloads.common import framed
from bench.payloads.rerank import (
    RERANK_MODEL,
    rerank_answer,
    rerank_expected,
    rerank_grpc,
    rerank_http,
)
from bench.payloads.upload import (
    UPLOAD_BYTES,
    UPLOAD_CHUNK,
    UPLOAD_MODEL,
    upload_answer,
    upload_content_type,
    upload_expected,
    upload_file,
    upload_grpc,
    upload_http,
    upload_pattern,
)
from bench.payloads.upstream import write_upstream
from bench.payloads.vectors import (
    vector_model,
    vectors_answer,
    vectors_expected,
    vectors_grpc,
    vectors_http,
    vectors_texts,
)

__all__ = [
    "CHAT_MODEL",
    "MARKER",
    "RERANK_MODEL",
    "UPLOAD_BYTES",
    "UPLOAD_CHUNK",
    "UPLOAD_MODEL",
    "chat_answer",
    "chat_expected",
    "chat_grpc",
    "chat_http",
    "chat_text",
    "framed",
    "rerank_answer",
    "rerank_expected",
    "rerank_grpc",
    "rerank_http",
    "stream_files",
    "stream_messages",
    "stream_model",
    "upload_answer",
    "upload_content_type",
    "upload_expected",
    "upload_file",
    "upload_grpc",
    "upload_http",
    "upload_pattern",
    "vector_model",
    "vectors_answer",
    "vectors_expected",
    "vectors_grpc",
    "vectors_http",
    "vectors_texts",
    "write_upstream",
]
