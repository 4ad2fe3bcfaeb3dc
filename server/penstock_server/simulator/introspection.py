"""Information about the server: models, health, version and load."""

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.state import State, short_hash


async def models(request: Request, state: State) -> Answer:
    """Answers GET /v1/models."""
    data = [_model(name, state) for name in state.settings.models]
    data += [_adapter(name, path, state) for name, path in state.adapters.items()]
    return Answer.of_json({"object": "list", "data": data})


async def health(request: Request, state: State) -> Answer:
    """Answers GET /health and /ping with an empty body and 200 or 503."""
    return Answer.of_bytes(b"", None, 200 if state.ready else 503)


async def version(request: Request, state: State) -> Answer:
    """Answers GET /version."""
    return Answer.of_json({"version": state.settings.dialect})


async def load(request: Request, state: State) -> Answer:
    """Answers GET /load with the number of running generations."""
    return Answer.of_json({"server_load": state.activity.active})


def _adapter(name: str, path: str, state: State) -> dict[str, Json]:
    own: dict[str, Json] = {"root": path, "parent": state.settings.models[0], "max_model_len": None}
    return _model(name, state) | own


def _model(name: str, state: State) -> dict[str, Json]:
    return {
        "id": name,
        "object": "model",
        "created": int(state.started),
        "owned_by": "vllm",
        "root": f"/models/{state.settings.models[0]}",
        "parent": None,
        "max_model_len": state.settings.max_model_len,
        "permission": [_permission(name, state)],
    }


def _permission(name: str, state: State) -> Json:
    return {
        "id": f"modelperm-{short_hash(name)}",
        "object": "model_permission",
        "created": int(state.started),
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
