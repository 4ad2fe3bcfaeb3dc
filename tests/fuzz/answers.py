"""Answers of a real vLLM by RPC, and answers that differ from them slightly or completely."""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from rpc.every_rpc import Called

from .jsons import DEEP, JSON_TEXTS, NUMBERS, TEXTS, VALUES, changed

_MODEL = '"tiny-chat"'
_FOLDER = Path(__file__).parents[1] / "captures"
_METHODS: Mapping[str, tuple[str, ...]] = {
    "CreateChatCompletion": ("/v1/chat/completions",),
    "StreamChatCompletion": ("/v1/chat/completions",),
    "CreateCompletion": ("/v1/completions",),
    "StreamCompletion": ("/v1/completions",),
    "Generate": ("/inference/v1/generate",),
    "StreamGenerate": ("/inference/v1/generate",),
    "CreateEmbeddings": ("/v1/embeddings",),
    "Rerank": ("/v1/rerank", "/rerank"),
    "Score": ("/v1/score", "/score"),
    "Classify": ("/classify",),
    "Pool": ("/pooling",),
    "ListModels": ("/v1/models",),
    "GetModel": ("/v1/models",),
    "Tokenize": ("/tokenize",),
    "Detokenize": ("/detokenize",),
    "GetResponse": ("/v1/responses",),
    "CancelResponse": ("/v1/responses",),
    "Transcribe": ("/v1/audio/transcriptions",),
    "UploadTranscribe": ("/v1/audio/transcriptions",),
    "StreamTranscribe": ("/v1/audio/transcriptions",),
    "UploadStreamTranscribe": ("/v1/audio/transcriptions",),
}


@functools.cache
def _captures() -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for file in sorted(_FOLDER.glob("*/*.json")):
        if file.parent.name == "older":
            continue  # These captures have another form.
        capture = json.loads(file.read_text("utf-8"))
        found.setdefault(capture["request"]["path"], []).append(capture)
    return found


def captured(paths: tuple[str, ...]) -> list[Any]:
    """Returns the captures of some routes."""
    return [capture for path in paths for capture in _captures()[path]]


def paths_of(rpc: Called) -> tuple[str, ...]:
    """Returns the routes that an RPC uses."""
    method = rpc.name.partition("/")[2]
    if method in ("CreateResponse", "StreamResponse"):
        return ("/v1/responses",) if rpc.settings else ("/v1/chat/completions",)
    return _METHODS[method]


@dataclass(frozen=True)
class Answer:
    """A complete answer of an upstream."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None

    @property
    def wire(self) -> bytes:
        """The bytes of the answer."""
        fields = {"connection": "close", **self.headers, "content-length": self._length}
        if self.content_type:
            fields["content-type"] = self.content_type
        head = f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{head}{lines}\r\n".encode("latin-1") + self.body

    @property
    def _length(self) -> str:
        return str(len(self.body) if self.length is None else self.length)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else "What"


def ordinary(rpc: Called) -> list[Answer]:
    """Returns the unary answers with status 200."""
    return _ordinary(paths_of(rpc))


@functools.cache
def _ordinary(paths: tuple[str, ...]) -> list[Answer]:
    found = captured(paths)
    return [_answer(one) for one in found if one["status"] == 200 and "events" not in one]


def _answer(capture: Any) -> Answer:
    body = (
        base64.b64decode(capture["bytes_base64"])
        if "bytes_base64" in capture
        else json.dumps(capture["body"]).replace(_MODEL, '"m"').encode()
    )
    return Answer(200, capture["content_type"], body, capture.get("headers", {}))


_STATUSES = st.one_of(
    st.just(200), st.just(200), st.integers(100, 599), st.sampled_from([400, 404, 422, 500, 503])
)
_TYPES = st.one_of(
    st.just("application/json"),
    st.sampled_from(
        ["", "text/html", "text/event-stream", "application/octet-stream", "APPLICATION/JSON; x"]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f")),
)
_CODES = st.one_of(
    st.integers(100, 599),
    st.sampled_from(["context_length_exceeded", "404", "²", "٤٠٤", "9" * 5000, "429"]),
    VALUES,
)
_MESSAGES = st.one_of(
    TEXTS,
    st.just("EngineCore encountered an issue."),
    st.just("maximum context length is 5 tokens"),
    st.just("好" * 20000),
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "message": st.one_of(_MESSAGES, VALUES),
        "type": VALUES,
        "param": st.one_of(
            st.sampled_from(["model", "messages.0.content", "image_url", "response_id"]), VALUES
        ),
        "code": _CODES,
    },
)
_DETAILS = st.one_of(
    VALUES, st.lists(st.fixed_dictionaries({}, optional={"loc": VALUES, "msg": VALUES}))
)
ERRORS = st.one_of(
    st.builds(lambda error: {"error": error}, st.one_of(_FIELDS, VALUES)),
    _FIELDS.map(lambda error: {"object": "error", **error}),
    _FIELDS.map(lambda error: {"type": "error", "message": "m", **error}),
    st.builds(lambda detail: {"detail": detail}, _DETAILS),
    st.builds(
        lambda error: {"object": "response", "status": "failed", "error": error},
        st.one_of(_FIELDS, VALUES),
    ),
)


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) < 5000


_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.one_of(
            st.sampled_from(["0", "9" * 400, "Wed, 21 Oct 9999 07:28:00 GMT", "²", "-1", "1e9"]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126)),
        ),
        "metadata": st.one_of(JSON_TEXTS, VALUES.map(json.dumps)).filter(_fits_header),
        "content-encoding": st.sampled_from(["gzip", "br", "zstd", "deflate", "identity", "x"]),
        "location": st.sampled_from(["/", "http://127.0.0.1:1/", "::", ""]),
        "transfer-encoding": st.just("chunked"),
    },
)


@st.composite
def _near(draw: st.DrawFn, real: list[Answer]) -> Answer:
    """Generates a real answer with one change in its JSON."""
    answer = draw(st.sampled_from(real))
    if "metadata" in answer.headers:
        header = draw(changed(json.loads(answer.headers["metadata"])))
        return Answer(200, answer.content_type, answer.body, {"metadata": json.dumps(header)})
    try:
        document = json.loads(answer.body)
    except ValueError:
        return Answer(200, answer.content_type, draw(st.binary()))
    return Answer(200, answer.content_type, json.dumps(draw(changed(document))).encode())


_ANYTHING = st.one_of(
    st.binary(max_size=200),
    JSON_TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.one_of(VALUES, DEEP, ERRORS, NUMBERS).map(lambda value: json.dumps(value).encode()),
)


def answers(rpc: Called) -> st.SearchStrategy[Answer]:
    """Generates answers of any kind; half of them are close to those of a real vLLM."""
    strange = st.builds(
        Answer,
        _STATUSES,
        _TYPES,
        _ANYTHING,
        _HEADERS,
        st.one_of(st.none(), st.none(), st.integers(0, 300)),
    )
    return st.one_of(_near(ordinary(rpc)), strange)
