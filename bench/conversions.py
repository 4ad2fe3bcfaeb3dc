"""The conversions whose instructions are counted.

    valgrind --tool=callgrind --instr-atstart=no … python -m bench.conversions

Each is run a few times, so that the interpreter has specialized its code, then counted.
"""

import ctypes
import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from bench import payloads
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.rerank_pb2 import RerankRequest
from penstock_server.convert import chat, embedding, rerank
from penstock_server.upstream.answer import with_texts

TIMES = 10
_WARM_UP = 16
_LIBRARY = Path(__file__).with_name("build") / "counter.so"


def conversions() -> Mapping[str, Callable[[], object]]:
    """Returns every conversion, by name: bytes in, bytes out, as an RPC does it."""
    return {
        "chat request": _chat_request,
        "chat answer": _on(payloads.chat_answer(), chat.response),
        "chat stream chunk": _chunk(),
        "embeddings 8x1024": _embeddings(8, 1024),
        "embeddings 64x4096": _embeddings(64, 4096),
        "rerank request": _rerank_request,
        "rerank answer": _rerank_answer(),
    }


def _chat_request() -> bytes:
    request = CreateChatCompletionRequest.FromString(_CHAT)
    return orjson.dumps(chat.request_body(request, stream=False))


def _rerank_request() -> bytes:
    return orjson.dumps(rerank.request_body(RerankRequest.FromString(_RERANK)))


_CHAT = payloads.chat_grpc(payloads.CHAT_MODEL)
_RERANK = payloads.rerank_grpc()


def _on(answer: bytes, convert: Callable[[Any], Any]) -> Callable[[], object]:
    return lambda: convert(orjson.loads(answer)).SerializeToString()


def _chunk() -> Callable[[], object]:
    files = payloads.stream_files()
    stream = chat.ChatStream()
    stream.message(orjson.loads(files["stream.first"].removeprefix(b"data: ")))
    event = files["stream.chunk.head"] + b"#00000@0123456789abcdef" + files["stream.chunk.tail"]
    return _on(event.removeprefix(b"data: "), stream.message)


def _embeddings(vectors: int, dimensions: int) -> Callable[[], object]:
    request = CreateEmbeddingsRequest.FromString(payloads.vectors_grpc(vectors, dimensions))
    answer = payloads.vectors_answer(vectors, dimensions)

    def convert() -> bytes:
        return embedding.reply(with_texts(answer, "application/json"), request).SerializeToString()

    return convert


def _rerank_answer() -> Callable[[], object]:
    request = RerankRequest.FromString(_RERANK)
    return _on(payloads.rerank_answer(), lambda data: rerank.response(data, request))


def main() -> None:
    """Runs every conversion, marked for callgrind."""
    counter = ctypes.CDLL(str(_LIBRARY))
    gc.disable()
    for name, convert in conversions().items():
        for _ in range(_WARM_UP):
            convert()
        times = range(TIMES)
        counter.count_begin()
        for _ in times:
            convert()
        counter.count_end(name.encode())


if __name__ == "__main__":
    main()
