"""The operations of vLLM's HTTP API that the service uses."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Method: TypeAlias = Literal["GET", "POST"]
"""A method of HTTP that is in use."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation.

    Attributes:
        name: what a person calls it.
        path: its route, which exists on a vLLM only if the loaded model serves the operation.
        fallback: its route on upstreams that lack `path`; empty if there is no other.
        repeatable: whether asking for it twice leaves no more behind than asking once.
    """

    name: str
    path: str
    fallback: str = ""
    repeatable: bool = True

    @property
    def routes(self) -> tuple[str, ...]:
        """Every route that can serve it, the usual one first."""
        return (self.path, self.fallback) if self.fallback else (self.path,)


CHAT_COMPLETION = Operation("chat completion", "/v1/chat/completions")
COMPLETION = Operation("text completion", "/v1/completions")
RERANK = Operation("reranking", "/v1/rerank", fallback="/rerank")
SCORE = Operation("scoring", "/v1/score")
TOKENIZATION = Operation("tokenization", "/tokenize")
DETOKENIZATION = Operation("detokenization", "/detokenize")
EMBEDDING = Operation("embeddings", "/v1/embeddings")
CLASSIFICATION = Operation("classification", "/classify")
POOLING = Operation("pooling", "/pooling")
TRANSCRIPTION = Operation("transcription", "/v1/audio/transcriptions")
TRANSLATION = Operation("translation of speech", "/v1/audio/translations")
RESPONSE = Operation("response", "/v1/chat/completions")
"""A response, asked for as a chat."""
NATIVE_RESPONSE = Operation("native response", "/v1/responses", repeatable=False)
"""A response, asked for by the upstream's own Responses API, which may store it."""

ALL = (
    CHAT_COMPLETION,
    COMPLETION,
    NATIVE_RESPONSE,
    EMBEDDING,
    RERANK,
    SCORE,
    CLASSIFICATION,
    POOLING,
    TOKENIZATION,
    DETOKENIZATION,
    TRANSCRIPTION,
    TRANSLATION,
)
"""Every operation by a route of its own."""
