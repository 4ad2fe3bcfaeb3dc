"""The routes: which handler answers each path and method."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock_server import routes
from penstock_server.simulator import (
    adapters,
    caches,
    chat,
    completion,
    introspection,
    response,
    sleep,
    token_generation,
    tokenization,
    transcription,
)
from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import detail, method_not_allowed
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.pooling import classification, embedding, pooling, scoring
from penstock_server.simulator.pooling import request as pooling_request
from penstock_server.simulator.state import State
from penstock_server.simulator.vllm_settings import KINDS, SimulatorSettings
from penstock_server.vllm_fields import OLDEST, Version, numbers

Handler = Callable[[Request, State], Awaitable[Answer]]
"""Answers a request, or raises an ApiError."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method."""

    method: str
    path: str
    handler: Handler
    prompt: Callable[[Request], str] | None = None
    """For an operation of the model: returns the prompt, which may contain fault directives."""
    kinds: tuple[str, ...] = KINDS
    """The kinds of models that serve it."""
    since: Version = OLDEST
    """The first version of vLLM that has it in this form."""
    requires: str = ""
    """The option without which a server does not have it; empty for none."""

    def served(self, settings: SimulatorSettings) -> bool:
        """Returns whether a simulator with those settings has the route."""
        if self.requires and not getattr(settings, self.requires):
            return False
        if (numbers(settings.dialect) or OLDEST) < self.since:
            return False
        return settings.kind == "all" or settings.kind in self.kinds

    def listed(self, settings: SimulatorSettings) -> bool:
        """Returns whether the schema of a simulator with those settings lists the route."""
        # A websocket has no entry in a schema.
        return self.path != routes.REALTIME and (settings.scale_out or self.path != routes.GENERATE)

    @property
    def needs_engine(self) -> bool:
        """Whether the engine answers it, instead of the HTTP server."""
        return bool(self.prompt) and self.path not in (routes.TOKENIZE, routes.DETOKENIZE)


async def _openapi(request: Request, state: State) -> Answer:
    """Answers GET /openapi.json with the paths that are served."""
    paths: dict[str, dict[str, Json]] = {}
    for route in ROUTES:
        if route.served(state.settings) and route.listed(state.settings):
            paths.setdefault(route.path, {})[route.method.lower()] = {"responses": {"200": {}}}
    info = {"title": "Penstock simulator", "version": state.settings.dialect}
    return Answer.of_json({"openapi": "3.1.0", "info": info, "paths": paths})


def _no_prompt(request: Request) -> str:
    """Returns the prompt of an operation that has none."""
    return ""


_GENERATE = ("chat",)
_SPEECH = ("whisper", "realtime")
_SCORE = ("rerank", "embed")
_CLASSIFY = ("rerank", "classify")
_POOL = ("rerank", "embed", "classify")
_DEVELOPMENT = "development_mode"
_ADAPTERS = "runtime_lora_updating"

ROUTES = (
    Route("POST", routes.CHAT_COMPLETIONS, chat.create, chat.prompt, _GENERATE),
    Route("POST", routes.COMPLETIONS, completion.create, completion.prompt, _GENERATE),
    Route(
        "POST",
        routes.GENERATE,
        token_generation.create,
        token_generation.prompt,
        _GENERATE,
        since=(0, 32),
    ),
    Route("POST", routes.RESPONSES, response.create, response.prompt, _GENERATE),
    Route("GET", routes.RESPONSES + "/{response_id}", response.retrieve, kinds=_GENERATE),
    Route("POST", routes.RESPONSES + "/{response_id}/cancel", response.cancel, kinds=_GENERATE),
    Route("POST", routes.TOKENIZE, tokenization.tokenize, tokenization.prompt),
    Route("POST", routes.DETOKENIZE, tokenization.detokenize, tokenization.prompt),
    Route("POST", routes.RERANK_UNVERSIONED, scoring.rerank, scoring.prompt, _SCORE),
    Route("POST", routes.RERANK, scoring.rerank, scoring.prompt, _SCORE),
    Route("POST", routes.RERANK_V2, scoring.rerank, scoring.prompt, _SCORE),
    Route("POST", routes.SCORE_UNVERSIONED, scoring.score, scoring.prompt, _SCORE),
    Route("POST", routes.SCORE, scoring.score, scoring.prompt, _SCORE),
    Route("POST", routes.EMBEDDINGS, embedding.create, pooling_request.prompt, ("embed",)),
    Route("POST", routes.CLASSIFY, classification.create, pooling_request.prompt, _CLASSIFY),
    Route("POST", routes.POOLING, pooling.create, pooling_request.prompt, _POOL),
    Route(
        "POST",
        routes.TRANSCRIPTIONS,
        transcription.transcribe,
        transcription.prompt,
        _SPEECH,
    ),
    Route(
        "POST",
        routes.TRANSLATIONS,
        transcription.translate,
        transcription.prompt,
        _SPEECH,
    ),
    Route("GET", routes.REALTIME, transcription.converse, _no_prompt, ("realtime",)),
    Route("GET", "/v1/models", introspection.models),
    Route("GET", "/health", introspection.health),
    Route("GET", "/ping", introspection.health),
    Route("POST", "/ping", introspection.health),
    Route("GET", "/version", introspection.version),
    Route("GET", "/load", introspection.load),
    Route("GET", "/metrics", sleep.metrics),
    Route("POST", "/sleep", sleep.sleep, requires=_DEVELOPMENT),
    Route("POST", "/wake_up", sleep.wake_up, requires=_DEVELOPMENT),
    Route("GET", "/is_sleeping", sleep.is_sleeping, requires=_DEVELOPMENT),
    Route("POST", "/v1/load_lora_adapter", adapters.load, kinds=_GENERATE, requires=_ADAPTERS),
    Route("POST", "/v1/unload_lora_adapter", adapters.unload, kinds=_GENERATE, requires=_ADAPTERS),
    Route("POST", "/reset_prefix_cache", caches.reset_prefixes, requires=_DEVELOPMENT),
    Route("POST", "/reset_mm_cache", caches.reset_multimodal, requires=_DEVELOPMENT),
    Route("POST", "/reset_encoder_cache", caches.reset_encoder, requires=_DEVELOPMENT),
    Route("GET", "/openapi.json", _openapi),
)
"""All routes of the simulator."""

_STORED = re.compile(rf"^({routes.RESPONSES}/)[^/]+(/cancel)?$")
_BY_PATH: dict[str, dict[str, Route]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route


def resolve(method: str, path: str, settings: SimulatorSettings) -> Route | Answer:
    """Returns the route of a request to a simulator, or the error if there is none."""
    methods = _BY_PATH.get(_STORED.sub(r"\1{response_id}\2", path), {})
    if not any(route.served(settings) for route in methods.values()):
        return detail(404)
    return methods.get(method) or method_not_allowed(", ".join(sorted(methods)))
