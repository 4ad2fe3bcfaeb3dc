"""The routes of vLLM's HTTP API that serve operations."""

from typing import Final
from urllib.parse import quote

CHAT_COMPLETIONS: Final = "/v1/chat/completions"
CLASSIFY: Final = "/classify"
COMPLETIONS: Final = "/v1/completions"
DETOKENIZE: Final = "/detokenize"
EMBEDDINGS: Final = "/v1/embeddings"
GENERATE: Final = "/inference/v1/generate"
POOLING: Final = "/pooling"
REALTIME: Final = "/v1/realtime"
RERANK: Final = "/v1/rerank"
RERANK_UNVERSIONED: Final = "/rerank"
RERANK_V2: Final = "/v2/rerank"
RESPONSES: Final = "/v1/responses"
SCORE: Final = "/v1/score"
SCORE_UNVERSIONED: Final = "/score"
TOKENIZE: Final = "/tokenize"
TRANSCRIPTIONS: Final = "/v1/audio/transcriptions"
TRANSLATIONS: Final = "/v1/audio/translations"


def stored_response(response_id: str) -> str:
    """Returns the path of a stored response."""
    return f"{RESPONSES}/{quote(response_id, safe='')}"
