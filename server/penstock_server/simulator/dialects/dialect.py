"""The wire format of an older vLLM: its fields, and other changes to requests and answers.

The simulator itself implements the newest version. Fields that are younger than the dialect's
version have no effect; those with an older name have their effect under it (`vllm_fields.py`).
Each change undoes one step: it gives a request the meaning, or an answer the form, that it had
before some version. A dialect consists of all changes after its version, latest first.
"""

from dataclasses import replace

import orjson

from penstock_server import routes
from penstock_server.simulator.dialects.changes import CHANGES
from penstock_server.simulator.dialects.refusals import reworded
from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import ApiError, phrase
from penstock_server.simulator.http.form import FormError, read_form
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import Issue, refusal
from penstock_server.vllm_fields import (
    OLDER_CONSTRAINTS,
    OLDEST,
    STRUCTURED_OUTPUTS,
    Fields,
    numbers,
    younger_than,
)

_BYTES = (0, 11, 1)
_VERBOSE_JSON = (0, 12)
_GENTLER = (0, 15)
_OBJECTS_ONLY = (0, 21)
_ERRORS_AS_JSON = (0, 18)
_THINKING_BUDGET = (0, 19)
_UNSET_BUDGET = (0, 23)
_BAD_WORDS = (0, 22)
_BAD_WORDS_NAMED = (0, 11, 1)
_RESPONSE_TOOLS = (0, 11, 1)
_BATCHES = (0, 21)
_SLEEP_MEASURED = (0, 11, 1)
_SLEEP_REPORTED = (0, 32)
_RESETS_REPORTED = (0, 26)
_ENCODER_RESET = (0, 16)
_EMPTY_TEXTS = (0, 17)
_CLASSIFIED_TOKENS = (0, 15)
_ROUTES_BY_TASK = (0, 16)
_ONE_TASK = (0, 21)
_MORE_GUARDED = (0, 20)

# Alternative paths of routes.
_ROUTES = {
    routes.SCORE_UNVERSIONED: routes.SCORE,
    routes.RERANK_UNVERSIONED: routes.RERANK,
    routes.RERANK_V2: routes.RERANK,
}

_APIS = {
    routes.CHAT_COMPLETIONS: "Chat Completions",
    routes.COMPLETIONS: "Completions",
    routes.RESPONSES: "Responses",
    routes.EMBEDDINGS: "Embeddings",
    routes.POOLING: "Pooling",
    routes.CLASSIFY: "Classification",
    routes.SCORE_UNVERSIONED: "Score",
    routes.SCORE: "Score",
    routes.RERANK_UNVERSIONED: "Rerank (Score)",
    routes.RERANK: "Rerank (Score)",
    routes.RERANK_V2: "Rerank (Score)",
    routes.TRANSCRIPTIONS: "Transcriptions",
    routes.TRANSLATIONS: "Translations",
}


class Dialect:
    """The wire format of one vLLM version.

    Args:
        version: the version, such as 0.14 or 0.10.1.
    """

    def __init__(self, version: str) -> None:
        self._version = numbers(version) or OLDEST
        self._younger = younger_than(version)
        self._changes = [change for change in CHANGES if self._version < change.before]

    def edit_request(self, request: Request) -> Request:
        """Returns the request as this version understands it."""
        route = _ROUTES.get(request.path, request.path)
        younger = self._younger.get(route, {})
        edits = [change.edit_request for change in self._changes if change.edit_request]
        body = _object(request) if edits or younger else None
        if body is None:
            return request
        self._understand(route, body, younger)
        for edit in edits:
            edit(request.path, body)
        return request if body == request.json else replace(request, body=orjson.dumps(body))

    def _understand(self, route: str, body: dict[str, Json], younger: Fields) -> None:
        """Removes the fields that this version does not have; reads those with older names."""
        for name, field in younger.items():
            body.pop(name, None)
            if field.older in body and self._version >= field.older_since:
                body[name] = body.pop(field.older)
        if STRUCTURED_OUTPUTS in younger:
            constraints = {
                name: body.pop(older)
                for name, older in OLDER_CONSTRAINTS.get(route, {}).items()
                if older in body
            }
            if constraints:
                body[STRUCTURED_OUTPUTS] = constraints

    def check(self, request: Request) -> None:
        """Raises an ApiError if this version, unlike the newest, refuses the request."""
        if self._version < _VERBOSE_JSON and request.path.startswith("/v1/audio/"):
            _refuse_verbose_json(request)
        json_errors = self._version >= _ERRORS_AS_JSON
        if self._version < _OBJECTS_ONLY:
            _refuse_list(request, json_errors=json_errors)
        if self._version < _RESPONSE_TOOLS and request.path == routes.RESPONSES:
            _refuse_response_tools(request)
        if self._version < _BAD_WORDS and "" in _bad_words(request):
            named = _BAD_WORDS_NAMED <= self._version < _ERRORS_AS_JSON
            words = "list index out of range" if named else ""
            kind = "InternalServerError" if json_errors else "Internal Server Error"
            raise ApiError(words, status=500, kind=kind)
        if _THINKING_BUDGET <= self._version < _UNSET_BUDGET:
            _refuse_thinking_budget(request)
        if self._version < _BYTES:
            _refuse_bytes(request)
        if self._version < _GENTLER and request.path == routes.CHAT_COMPLETIONS:
            _refuse_no_effort(request)
        if self._version < _GENTLER and request.path.startswith("/v1/audio/"):
            _refuse_segments_without_language(request)

    def edit_answer(self, answer: Answer) -> Answer:
        """Returns the answer as this version sends it."""
        for change in self._changes:
            if change.edit_answer:
                change.edit_answer(answer)
        return answer

    def wrong_task(self, path: str) -> Answer | None:
        """Returns the answer of a route that the model does not serve; None for HTTP 404."""
        name = next((name for prefix, name in _APIS.items() if _is_under(path, prefix)), None)
        if name is None or self._version >= _ROUTES_BY_TASK:
            return None
        answer = ApiError(f"The model does not support {name} API").answer()
        answer.status = 200
        return answer

    def refused(self, request: Request, error: ApiError) -> ApiError:
        """Returns the refusal in this version's words."""
        return reworded(request, error, self._version)

    def pooling_tasks(self, loaded: str) -> tuple[str, ...]:
        """Returns the tasks of /pooling with a model loaded for a task, the default first."""
        base = loaded.removeprefix("token_")
        both = (f"token_{base}", base)
        if self._version < _ROUTES_BY_TASK:
            return both
        return (loaded,) if self._version >= _ONE_TASK else (loaded, *both)

    def sleep_answer(self, document: dict[str, Json]) -> Answer:
        """Returns the answer to a request to sleep or to wake up."""
        newer = self._version >= _SLEEP_REPORTED
        return Answer.of_json(document) if newer else Answer.of_bytes(b"", None)

    @property
    def measures_sleep(self) -> bool:
        """Whether the metrics report the sleep of the engine."""
        return self._version >= _SLEEP_MEASURED

    @property
    def reports_resets(self) -> bool:
        """Whether the answer to a reset of the prefix cache reports its success."""
        return self._version >= _RESETS_REPORTED

    @property
    def resets_encoder(self) -> bool:
        """Whether there is a route that resets the encoder cache."""
        return self._version >= _ENCODER_RESET

    @property
    def batches_conversations(self) -> bool:
        """Whether a request for embeddings may contain several conversations."""
        return self._version >= _BATCHES

    @property
    def classifies_tokens(self) -> bool:
        """Whether token ids may be classified."""
        return self._version >= _CLASSIFIED_TOKENS

    @property
    def scores_empty_texts(self) -> bool:
        """Whether a cross-encoder accepts empty texts."""
        return self._version >= _EMPTY_TEXTS

    @property
    def guarded(self) -> tuple[str, ...]:
        """Prefixes of the paths that require the key."""
        newer = self._version >= _MORE_GUARDED
        return ("/v1", "/v2", "/inference", "/cohere") if newer else ("/v1",)


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _object(request: Request) -> dict[str, Json] | None:
    """Returns a copy of the body, if it is a JSON object."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _refuse_verbose_json(request: Request) -> None:
    try:
        fields = read_form(request).fields
    except FormError:
        return
    if ("response_format", "verbose_json") in fields:
        raise ApiError("Currently only support response_format `text` or `json`")


def _refuse_no_effort(request: Request) -> None:
    if (_object(request) or {}).get("reasoning_effort") == "none":
        known = "'low', 'medium' or 'high'"
        issue = Issue(
            "literal_error",
            "body.reasoning_effort",
            f"Input should be {known}",
            "none",
            {"expected": known},
        )
        raise refusal([issue])


def _refuse_response_tools(request: Request) -> None:
    if (_object(request) or {}).get("tools"):
        raise ApiError("Tool use is not supported in Responses API without Harmony None")


def _refuse_segments_without_language(request: Request) -> None:
    try:
        fields = dict(read_form(request).fields)
    except FormError:
        return
    if fields.get("response_format") == "verbose_json" and not fields.get("language"):
        raise ApiError(
            "1 validation error for TranscriptionResponseVerbose\nlanguage\n"
            "  Input should be a valid string [type=string_type, input_value=None, "
            "input_type=NoneType]",
        )


class _Crash(ApiError):
    """A failure outside of vLLM's own handling of errors."""

    def __init__(self) -> None:
        super().__init__(phrase(500), status=500)

    def answer(self) -> Answer:
        """Returns Starlette's own answer."""
        return Answer.of_bytes(phrase(500).encode(), "text/plain; charset=utf-8", 500)


def _refuse_list(request: Request, *, json_errors: bool) -> None:
    if request.content_type != "application/json" or not request.body.lstrip().startswith(b"["):
        return
    if not json_errors:
        raise _Crash
    raise ApiError("'list' object has no attribute 'get'", status=500, kind="InternalServerError")


def _refuse_thinking_budget(request: Request) -> None:
    if (_object(request) or {}).get("thinking_token_budget") is not None:
        raise ApiError(
            "thinking_token_budget is set but reasoning_config is not configured. "
            "Please set --reasoning-config to use thinking_token_budget."
        )


def _bad_words(request: Request) -> Json:
    return (_object(request) or {}).get("bad_words") or ()


def _refuse_bytes(request: Request) -> None:
    encoding = (_object(request) or {}).get("encoding_format")
    if encoding in ("bytes", "bytes_only"):
        message = f"1 validation error:\n  Input should be 'float' or 'base64', not {encoding!r}"
        raise ApiError(message, "body.encoding_format", kind="Bad Request")
