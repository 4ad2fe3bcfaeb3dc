"""The scenarios: the calls, their concurrency, their duration."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from bench import payloads

JSON = "application/json"


@dataclass(frozen=True)
class Scenario:
    """One kind of load.

    Attributes:
        name: key in results.
        title: title in tables.
        method: gRPC method, with a leading slash.
        path: HTTP route of the same call.
        model: model of both.
        request: messages of a gRPC call.
        http_request: body of the HTTP call.
        http_type: content type of the body.
        expected: expected message; None for a stream of chats.
        http_expected: expected body over HTTP; empty for a stream.
        contained: parts that must be in the answer of a server that writes its own.
        in_flight: number of simultaneous calls.
        connections: connections that gRPC calls share.
        chunks: chunks of a stream; 0 for a unary call.
        delay_us: microseconds between two chunks of a stream; 0 for none.
        least: minimum number of calls (or chunks) in a window.
        longest_s: maximum length of a window.
        warm_up_s: time before the window.
        stagger_s: time over which the first calls are spread, so that streams do not coincide.
        fresh: whether it gets new servers, so that their memory is due to it alone.
        peers: whether LiteLLM is included.
    """

    name: str
    title: str
    method: str
    path: str
    model: str
    request: Callable[[], list[bytes]]
    http_request: Callable[[], bytes]
    expected: Callable[[], Message] | None = None
    http_expected: Callable[[], bytes] = bytes
    contained: Callable[[], tuple[bytes, ...]] = tuple
    http_type: str = JSON
    in_flight: int = 1
    connections: int = 1
    chunks: int = 0
    delay_us: int = 0
    least: int = 300
    longest_s: float = 3.5
    warm_up_s: float = 0.4
    stagger_s: float = 0.0
    fresh: bool = False
    peers: bool = True

    @property
    def unit(self) -> str:
        """The unit of costs: a call or a chunk."""
        return "chunk" if self.chunks else "call"


def _chat(name: str, title: str, in_flight: int, connections: int) -> Scenario:
    return Scenario(
        name,
        title,
        method="/penstock.v1.ChatCompletionService/CreateChatCompletion",
        path="/v1/chat/completions",
        model=payloads.CHAT_MODEL,
        request=lambda: [payloads.chat_grpc(payloads.CHAT_MODEL)],
        http_request=lambda: payloads.chat_http(payloads.CHAT_MODEL, stream=False),
        expected=payloads.chat_expected,
        http_expected=payloads.chat_answer,
        contained=lambda: (payloads.chat_text(),),
        in_flight=in_flight,
        connections=connections,
    )


def _stream(
    name: str,
    title: str,
    chunks: int,
    delay_us: int,
    in_flight: int,
    connections: int,
    *,
    longest_s: float = 3.5,
    warm_up_s: float = 0.6,
    stagger_s: float = 0.0,
    fresh: bool = False,
    peers: bool = True,
) -> Scenario:
    model = payloads.stream_model(chunks, delay_us)
    return Scenario(
        name,
        title,
        method="/penstock.v1.ChatCompletionService/StreamChatCompletion",
        path="/v1/chat/completions",
        model=model,
        request=lambda: [payloads.chat_grpc(model)],
        http_request=lambda: payloads.chat_http(model, stream=True),
        in_flight=in_flight,
        connections=connections,
        chunks=chunks,
        delay_us=delay_us,
        longest_s=longest_s,
        warm_up_s=warm_up_s,
        stagger_s=stagger_s,
        fresh=fresh,
        peers=peers,
    )


def _vectors(vectors: int, dimensions: int, longest_s: float) -> Scenario:
    return Scenario(
        f"embed-{vectors}x{dimensions}",
        f"embeddings, {vectors} x {dimensions}",
        method="/penstock.v1.EmbeddingService/CreateEmbeddings",
        path="/v1/embeddings",
        model=payloads.vector_model(vectors, dimensions),
        request=lambda: [payloads.vectors_grpc(vectors, dimensions)],
        http_request=lambda: payloads.vectors_http(vectors, dimensions),
        expected=lambda: payloads.vectors_expected(vectors, dimensions),
        http_expected=lambda: payloads.vectors_answer(vectors, dimensions),
        contained=lambda: payloads.vectors_texts(vectors, dimensions),
        in_flight=4,
        connections=4,
        longest_s=longest_s,
    )


_RERANK = Scenario(
    "rerank",
    "rerank, 100 documents",
    method="/penstock.v1.RerankService/Rerank",
    path="/v1/rerank",
    model=payloads.RERANK_MODEL,
    request=lambda: [payloads.rerank_grpc()],
    http_request=payloads.rerank_http,
    expected=payloads.rerank_expected,
    http_expected=payloads.rerank_answer,
    in_flight=4,
    connections=4,
    peers=False,
)
_UPLOAD = Scenario(
    "upload",
    "upload of 25 MB",
    method="/penstock.v1.TranscriptionService/UploadTranscribe",
    path="/v1/audio/transcriptions",
    model=payloads.UPLOAD_MODEL,
    request=payloads.upload_grpc,
    http_request=payloads.upload_http,
    http_type=payloads.upload_content_type(),
    expected=payloads.upload_expected,
    http_expected=payloads.upload_answer,
    least=10,
    longest_s=5,
    fresh=True,
    peers=False,
)

ALL = (
    _chat("unary", "chat, 16 in flight", 16, 4),
    _chat("unary-1", "chat, 1 in flight", 1, 1),
    _stream(
        "paced", "32 streams x 100 chunks/s", 100, 10_000, 32, 4, warm_up_s=1.2, stagger_s=0.95
    ),
    _stream("burst", "16 streams, back to back", 400, 0, 16, 4),
    _stream("first", "4 short streams", 5, 4_000, 4, 4),
    _vectors(8, 1024, 3.5),
    _vectors(64, 4096, 5),
    _RERANK,
    _stream(
        "thousand",
        "1,000 slow streams",
        5,
        1_000_000,
        1000,
        10,
        longest_s=3,
        warm_up_s=4.2,
        stagger_s=4,
        fresh=True,
        peers=False,
    ),
    _UPLOAD,
)
"""Every scenario, in the order of the report."""


def models() -> list[str]:
    """Returns all models that the upstream must have."""
    return sorted({scenario.model for scenario in ALL} | {payloads.CHAT_MODEL})
