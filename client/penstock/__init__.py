"""Penstock's Python client.

    >>> with Client(target) as client:
    ...     print(client.chat.create("Say hello.").text)
    Hello! How can I help you today?

`Client` and `AsyncClient` are small, typed layers over the generated stubs in `penstock.v1`,
which can also be used directly. Every result carries its protobuf message as `proto`.
"""

from penstock.admin import AdapterList, EngineResults, Replica, UpstreamList
from penstock.batch import BatchResult
from penstock.channel import TLS, open_async_channel, open_channel
from penstock.chat import chat_request
from penstock.chat_answer import ChatCompletion, ChatEvent, ParsedChatCompletion
from penstock.classify import Classification, Classifications
from penstock.client import AsyncClient, Client
from penstock.completions import Completion, CompletionEvent, completion_request
from penstock.embeddings import Embeddings, embeddings_request
from penstock.errors import (
    AbortedError,
    AnswerParseError,
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CallCancelledError,
    CallError,
    ClientClosedError,
    ConflictError,
    DeadlineExceededError,
    FailedPreconditionError,
    IncompleteStreamError,
    InternalError,
    InternalServerError,
    InvalidRequestError,
    NotFoundError,
    OutOfRangeError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from penstock.generation import Generation, GenerationEvent
from penstock.item_result import ItemResult
from penstock.live_transcription import LiveEvent, LiveTranscription
from penstock.messages import (
    assistant,
    audio,
    developer,
    image,
    system,
    tool_result,
    user,
    video,
)
from penstock.models import Model, ModelList
from penstock.pool import Pooled
from penstock.rerank import RankedDocument, Ranking, rerank_request
from penstock.response_answer import Response, ResponseEvent
from penstock.score import Scores
from penstock.tokenize import Tokens
from penstock.tools import ToolCall, tool
from penstock.transcribe import Segment, StreamedTranscription, Transcription, TranscriptionEvent
from penstock.vectors import Vector
from penstock.version import __version__ as __version__

__all__ = [
    "TLS",
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AbortedError",
    "AdapterList",
    "AnswerParseError",
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "BatchResult",
    "CallCancelledError",
    "CallError",
    "ChatCompletion",
    "ChatEvent",
    "Classification",
    "Classifications",
    "Client",
    "ClientClosedError",
    "Completion",
    "CompletionEvent",
    "ConflictError",
    "DeadlineExceededError",
    "Embeddings",
    "EngineResults",
    "FailedPreconditionError",
    "Generation",
    "GenerationEvent",
    "IncompleteStreamError",
    "InternalError",
    "InternalServerError",
    "InvalidRequestError",
    "ItemResult",
    "LiveEvent",
    "LiveTranscription",
    "Model",
    "ModelList",
    "NotFoundError",
    "OutOfRangeError",
    "ParsedChatCompletion",
    "PenstockError",
    "PermissionDeniedError",
    "Pooled",
    "RankedDocument",
    "Ranking",
    "RateLimitError",
    "Replica",
    "ResourceExhaustedError",
    "Response",
    "ResponseEvent",
    "Scores",
    "Segment",
    "StreamedTranscription",
    "Tokens",
    "ToolCall",
    "Transcription",
    "TranscriptionEvent",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "UpstreamList",
    "Vector",
    "assistant",
    "audio",
    "chat_request",
    "completion_request",
    "developer",
    "embeddings_request",
    "image",
    "open_async_channel",
    "open_channel",
    "rerank_request",
    "system",
    "tool",
    "tool_result",
    "user",
    "video",
]
