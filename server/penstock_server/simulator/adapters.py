"""LoRA adapters: routes that vLLM has with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1."""

from typing import Any

import orjson

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import Issue, refusal
from penstock_server.simulator.state import State

_INPUT = "InvalidUserInput"


async def load(request: Request, state: State) -> Answer:
    """Answers POST /v1/load_lora_adapter."""
    name, path = _texts(request, "lora_name", "lora_path")
    if not name or not path:
        raise ApiError("Both 'lora_name' and 'lora_path' must be provided.", kind=_INPUT)
    if name in state.settings.models:
        message = f"The lora adapter '{name}' conflicts with a served base model."
        raise ApiError(message, kind=_INPUT)
    if name in state.adapters:
        message = f"The lora adapter '{name}' has already been loaded."
        more = " If you want to load the adapter in place, set 'load_inplace' to True."
        raise ApiError(message + more, kind=_INPUT)
    state.adapters[name] = path
    return _done(f"Success: LoRA adapter '{name}' added successfully.")


async def unload(request: Request, state: State) -> Answer:
    """Answers POST /v1/unload_lora_adapter."""
    [name] = _texts(request, "lora_name")
    if name not in state.adapters:
        raise ApiError(f"The lora adapter '{name}' cannot be found.", status=404)
    del state.adapters[name]
    return _done(f"Success: LoRA adapter '{name}' removed successfully.")


def _texts(request: Request, *names: str) -> list[str]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = {}
    values: list[Any] = [body.get(name) if isinstance(body, dict) else None for name in names]
    issues = [
        _issue(name, value)
        for name, value in zip(names, values, strict=True)
        if not isinstance(value, str)
    ]
    if issues:
        raise refusal(issues)
    return values


def _issue(name: str, value: Json) -> Issue:
    if value is None:
        return Issue("missing", f"body.{name}", "Field required", value)
    return Issue("string_type", f"body.{name}", "Input should be a valid string", value)


def _done(text: str) -> Answer:
    return Answer.of_bytes(text.encode(), None)
