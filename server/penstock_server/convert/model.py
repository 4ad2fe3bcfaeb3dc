"""Models."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from penstock.v1 import model_pb2
from penstock_server import routes
from penstock_server.convert import extra, timestamp
from penstock_server.convert.errors import invalid, reads_answer
from penstock_server.json_numbers import integer

# Capabilities by the routes that a vLLM with this capability has.
CAPABILITIES: Mapping[str, model_pb2.Capability.ValueType] = {
    routes.CHAT_COMPLETIONS: model_pb2.CAPABILITY_CHAT,
    routes.COMPLETIONS: model_pb2.CAPABILITY_COMPLETION,
    routes.GENERATE: model_pb2.CAPABILITY_GENERATION,
    routes.EMBEDDINGS: model_pb2.CAPABILITY_EMBEDDING,
    routes.RERANK: model_pb2.CAPABILITY_RERANK,
    routes.RERANK_UNVERSIONED: model_pb2.CAPABILITY_RERANK,
    routes.RERANK_V2: model_pb2.CAPABILITY_RERANK,
    routes.SCORE: model_pb2.CAPABILITY_SCORE,
    routes.TRANSCRIPTIONS: model_pb2.CAPABILITY_TRANSCRIPTION,
    routes.TOKENIZE: model_pb2.CAPABILITY_TOKENIZATION,
    routes.CLASSIFY: model_pb2.CAPABILITY_CLASSIFICATION,
    routes.POOLING: model_pb2.CAPABILITY_POOLING,
}
_READS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("owned_by", "root", "parent"), extra.text),
    "max_model_len": integer,
}
_KEYS = frozenset({"id", "object", "created", *_READS})


@reads_answer
def model(entry: Mapping[str, Any], paths: Iterable[str] | None) -> model_pb2.Model:
    """Returns the message for an entry of a model list.

    Args:
        entry: the upstream's entry.
        paths: routes of the upstream; None if they are not known.

    Raises:
        MalformedAnswer: the entry does not have the API's shape.
    """
    converted = model_pb2.Model(capabilities=capabilities(paths))
    converted.id = entry["id"]
    for name, read in _READS.items():
        extra.fill(converted, name, entry, read)
    timestamp.fill(converted.create_time, converted, "created", entry)
    extra.keep(converted, entry, _KEYS)
    return converted


def capabilities(paths: Iterable[str] | None) -> list[model_pb2.Capability.ValueType]:
    """Returns the capabilities of an upstream with these routes; none if they are not known."""
    served = {CAPABILITIES[path] for path in paths or () if path in CAPABILITIES}
    if model_pb2.CAPABILITY_CHAT in served:
        # Responses are converted to chat completions.
        served.add(model_pb2.CAPABILITY_RESPONSES)
    return sorted(served)


class Page:
    """The requested page of a list."""

    def __init__(self, request: model_pb2.ListModelsRequest) -> None:
        """Reads the page size and the page token of a request.

        Raises:
            InvalidRequest: the size is negative or the token is not valid.
        """
        if request.page_size < 0:
            raise invalid("page_size", "must not be negative")
        self._size = request.page_size
        self._after = _read_token(request.page_token) if request.page_token else ""

    def of(self, models: Sequence[model_pb2.Model]) -> model_pb2.ListModelsResponse:
        """Returns the page from a sorted list."""
        rest = [entry for entry in models if entry.id > self._after]
        shown = rest[: self._size or len(rest)]
        answer = model_pb2.ListModelsResponse(models=shown)
        if len(shown) < len(rest):
            answer.next_page_token = urlsafe_b64encode(f"after:{shown[-1].id}".encode()).decode()
        return answer


_STANDARD = str.maketrans("-_", "+/")


def _read_token(token: str) -> str:
    try:
        # urlsafe_b64decode ignores foreign characters or warns about them, depending on the Python.
        text = b64decode(token.translate(_STANDARD), validate=True).decode()
    except ValueError:
        text = ""
    if not text.startswith("after:"):
        raise invalid("page_token", "is not a page token of this server")
    return text.removeprefix("after:")
