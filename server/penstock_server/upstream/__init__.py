"""The HTTP side: requests to vLLM, its streams, its failures; independent of protobuf and gRPC.

Other packages import from here. `client`, which sends the requests, and `live` are for the fleet
only; importing them takes long.
"""

from penstock_server.upstream.base_url import address_of
from penstock_server.upstream.call import Attempts, Call, any_model
from penstock_server.upstream.completeness import (
    ChoiceStream,
    ResponseEvents,
    StreamContract,
    TranscriptStream,
)
from penstock_server.upstream.config import (
    LONGEST_WINDOW_S,
    NativeResponses,
    Timeouts,
    Tls,
    UpstreamConfig,
)
from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.headers import OWN_HEADERS, is_token
from penstock_server.upstream.merging import JsonObject
from penstock_server.upstream.multipart import Body, File, Form
from penstock_server.upstream.observer import CallObserver, RequestObserver
from penstock_server.upstream.operations import (
    ALL_OPERATIONS,
    CHAT_COMPLETION,
    CLASSIFICATION,
    COMPLETION,
    DETOKENIZATION,
    EMBEDDING,
    GENERATION,
    LIVE_TRANSCRIPTION,
    NATIVE_RESPONSE,
    POOLING,
    RERANK,
    RESPONSE,
    SCORE,
    TOKENIZATION,
    TRANSCRIPTION,
    TRANSLATION,
    Method,
    Operation,
)
from penstock_server.upstream.sleep import Sleep, sleep_in

__all__ = [
    "ALL_OPERATIONS",
    "CHAT_COMPLETION",
    "CLASSIFICATION",
    "COMPLETION",
    "DETOKENIZATION",
    "EMBEDDING",
    "GENERATION",
    "LIVE_TRANSCRIPTION",
    "LONGEST_WINDOW_S",
    "NATIVE_RESPONSE",
    "OWN_HEADERS",
    "POOLING",
    "RERANK",
    "RESPONSE",
    "SCORE",
    "TOKENIZATION",
    "TRANSCRIPTION",
    "TRANSLATION",
    "Attempts",
    "Body",
    "Call",
    "CallObserver",
    "ChoiceStream",
    "ErrorBody",
    "File",
    "Form",
    "JsonObject",
    "Kind",
    "Method",
    "NativeResponses",
    "Operation",
    "RequestObserver",
    "ResponseEvents",
    "Sleep",
    "Stage",
    "StreamContract",
    "Timeouts",
    "Tls",
    "TranscriptStream",
    "UpstreamConfig",
    "UpstreamFailure",
    "address_of",
    "any_model",
    "is_token",
    "sleep_in",
]
