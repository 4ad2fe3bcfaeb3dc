"""The operations of vLLM's HTTP API that the service uses."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from penstock_server import routes

Method: TypeAlias = Literal["GET", "POST"]
"""An HTTP method in use."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation.

    Attributes:
        name: its name in messages.
        path: its route, which exists on a vLLM only if the loaded model serves the operation.
        fallbacks: its other routes, for upstreams that lack `path`.
        repeatable: whether requesting it twice has the same effect as requesting it once.
        option: the option that vLLM needs to serve it; empty if it needs none.
        sign: the route that an upstream lists if it may serve it, for a `path` that vLLM does not
            list, such as that of a websocket; empty if it lists `path`.
    """

    name: str
    path: str
    fallbacks: tuple[str, ...] = ()
    repeatable: bool = True
    option: str = ""
    sign: str = ""

    @property
    def routes(self) -> tuple[str, ...]:
        """Every route that can serve it, the usual one first."""
        return (self.path, *self.fallbacks)

    @property
    def hint(self) -> str:
        """Text for messages about upstreams that do not serve it; empty without an option."""
        return f"; vLLM serves it if started with {self.option}" if self.option else ""

    @property
    def listed(self) -> tuple[str, ...]:
        """The routes of which an upstream that serves it lists at least one."""
        return (self.sign,) if self.sign else self.routes


CHAT_COMPLETION = Operation("chat completion", routes.CHAT_COMPLETIONS)
COMPLETION = Operation("text completion", routes.COMPLETIONS)
GENERATION = Operation("token generation", routes.GENERATE, option="--enable-scale-out")
RERANK = Operation(
    "reranking", routes.RERANK, fallbacks=(routes.RERANK_V2, routes.RERANK_UNVERSIONED)
)
SCORE = Operation("scoring", routes.SCORE)
TOKENIZATION = Operation("tokenization", routes.TOKENIZE)
DETOKENIZATION = Operation("detokenization", routes.DETOKENIZE)
EMBEDDING = Operation("embeddings", routes.EMBEDDINGS)
CLASSIFICATION = Operation("classification", routes.CLASSIFY)
POOLING = Operation("pooling", routes.POOLING)
TRANSCRIPTION = Operation("transcription", routes.TRANSCRIPTIONS)
TRANSLATION = Operation("translation of speech", routes.TRANSLATIONS)
LIVE_TRANSCRIPTION = Operation("live transcription", routes.REALTIME, sign=routes.TRANSCRIPTIONS)
RESPONSE = Operation("response", routes.CHAT_COMPLETIONS)
"""A response, requested as a chat."""
NATIVE_RESPONSE = Operation("native response", routes.RESPONSES, repeatable=False)
"""A response, requested from the upstream's own Responses API, which may store it."""

ALL_OPERATIONS = (
    CHAT_COMPLETION,
    COMPLETION,
    GENERATION,
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
    LIVE_TRANSCRIPTION,
)
"""Every operation with its own route, by that route."""
