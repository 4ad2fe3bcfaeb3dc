"""The simulator has the fields of requests and answers that the conversions have."""

from collections.abc import Collection, Mapping
from typing import Any

import httpx
import pytest

from penstock_server import routes
from penstock_server.convert import chat, generation
from penstock_server.convert.fields import CONVERTED, HOMES
from penstock_server.simulator import SimulatorSettings

from .calls import user

_INPUT: Mapping[str, Any] = {"input": "x"}
BODIES: Mapping[str, Mapping[str, Any]] = {
    routes.CHAT_COMPLETIONS: user("x"),
    routes.COMPLETIONS: {"prompt": "x"},
    routes.GENERATE: {"token_ids": [1], "sampling_params": {"max_tokens": 1}},
    routes.RESPONSES: _INPUT,
    routes.EMBEDDINGS: _INPUT,
    routes.CLASSIFY: _INPUT,
    routes.POOLING: _INPUT,
    routes.TOKENIZE: {"prompt": "x"},
    routes.DETOKENIZE: {"tokens": [1]},
    routes.RERANK: {"query": "x", "documents": ["x"]},
    routes.SCORE: {"text_1": "x", "text_2": "x"},
}
WRONG: tuple[Any, ...] = ({"no": [{}]}, "no")
"""Values of which each field refuses at least one."""


# Fields that the simulator ignores, whatever their value.
_GENERATION = frozenset(
    {
        "ec_transfer_params",
        "logprob_token_ids",
        "repetition_detection",
        "return_weight_versions",
        "routed_experts_prompt_start",
        "session_id",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stream_interval",
        "thinking_token_budget",
        "truncation_side",
        "use_beam_search",
        "watermarking",
    }
)
_CACHE = frozenset({"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"})
_PAIRS = frozenset({"padding", "truncation_side"})
IGNORED: Mapping[str, Collection[str]] = {
    routes.CHAT_COMPLETIONS: _GENERATION | {"add_special_tokens", "documents"},
    routes.COMPLETIONS: _GENERATION,
    routes.RESPONSES: _CACHE
    | {
        "ec_transfer_params",
        "safety_identifier",
        "spaces_between_special_tokens",
        "watermarking",
    },
    routes.EMBEDDINGS: {"late_chunking_params"},
    routes.TOKENIZE: {"chat_template_kwargs", "media_io_kwargs", "mm_processor_kwargs"},
    routes.RERANK: _PAIRS | {"return_documents"},
    routes.SCORE: _PAIRS | {"data_1", "data_2", "documents", "items", "queries"},
}


FORMS = {routes.TRANSCRIPTIONS, routes.TRANSLATIONS}
"""Routes whose requests are forms."""


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(listen="127.0.0.1:0", kind="all")


@pytest.mark.parametrize("route", BODIES)
async def test_a_wrong_value_is_refused_or_ignored(route: str, http: httpx.AsyncClient) -> None:
    assert (await http.post(route, json=BODIES[route])).is_success
    unchecked = {key for key in HOMES[route] if not await _is_checked(http, route, key)}
    assert unchecked == set(IGNORED.get(route, ()))


def test_every_route_is_covered() -> None:
    same = {CONVERTED, routes.RERANK_UNVERSIONED}
    assert BODIES.keys() == HOMES.keys() - same - FORMS


async def _is_checked(http: httpx.AsyncClient, route: str, key: str) -> bool:
    bodies = [_with(route, key, value) for value in WRONG]
    answers = [await http.post(route, json=body) for body in bodies]
    return any(one.is_error for one in answers)


def _with(route: str, key: str, value: Any) -> Mapping[str, Any]:
    """Returns the request with a value, which may be one of its sampling parameters."""
    body = BODIES[route]
    if route == routes.GENERATE and _is_sampled(key):
        return {**body, "sampling_params": {**body["sampling_params"], key: value}}
    return {**body, key: value}


def _is_sampled(key: str) -> bool:
    own = ("detokenize", "prompt_logprob_start", "trace_decode_token_ids", "extra_args")
    home = HOMES[routes.GENERATE][key]
    inside = home.startswith(("sampling.", "logprobs.", "structured_outputs"))
    return (
        inside
        or home.endswith(("skip_reading_prefix_cache", "prompt_logprob_token_ids"))
        or (key in (*own, "stream_interval", "prompt_logprobs", "routed_experts_prompt_start"))
    )


@pytest.mark.parametrize(
    ("route", "keys"),
    [
        (routes.CHAT_COMPLETIONS, chat.ANSWER_KEYS),
        (routes.COMPLETIONS, generation.ANSWER_KEYS),
    ],
)
async def test_an_answer_has_every_key(
    route: str, keys: frozenset[str], http: httpx.AsyncClient
) -> None:
    whole = (await http.post(route, json=BODIES[route])).json()
    assert keys - whole.keys() == set()
    # vLLM before 0.33 does not report versions of its weights.
    assert generation.CHOICE_KEYS - whole["choices"][0].keys() == {"weight_versions"}
