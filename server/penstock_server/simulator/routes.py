"""Which path and method is answered by whom."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock_server.simulator import chat, introspection
from penstock_server.simulator.answers import Answer, Json
from penstock_server.simulator.errors import detail, method_not_allowed
from penstock_server.simulator.requests import Request
from penstock_server.simulator.state import State

Handler = Callable[[Request, State], Awaitable[Answer]]
"""Answers a request, or raises an ApiError."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method."""

    method: str
    path: str
    handler: Handler
    prompt: Callable[[Request], str] | None = None
    """For an operation of the model: the words of the request that may ask for a fault."""


async def _openapi(request: Request, state: State) -> Answer:
    """GET /openapi.json: the paths that are served."""
    paths: dict[str, dict[str, Json]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = {"responses": {"200": {}}}
    info = {"title": "Penstock simulator", "version": state.settings.version}
    return Answer.of_json({"openapi": "3.1.0", "info": info, "paths": paths})


ROUTES = (
    Route("POST", "/v1/chat/completions", chat.create, chat.prompt),
    Route("GET", "/v1/models", introspection.models),
    Route("GET", "/health", introspection.health),
    Route("GET", "/ping", introspection.health),
    Route("POST", "/ping", introspection.health),
    Route("GET", "/version", introspection.version),
    Route("GET", "/load", introspection.load),
    Route("GET", "/openapi.json", _openapi),
)
"""Everything the simulator serves."""

_BY_PATH: dict[str, dict[str, Route]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route


def resolve(method: str, path: str) -> Route | Answer:
    """The route of a request, or the answer that there is none."""
    methods = _BY_PATH.get(path)
    if methods is None:
        return detail(404)
    return methods.get(method) or method_not_allowed(", ".join(sorted(methods)))
