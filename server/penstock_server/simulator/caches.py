"""Resets of caches: routes of vLLM's development mode. Only the cache of prefixes is simulated."""

from penstock_server.simulator.http.answers import Answer
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.state import State


async def reset_prefixes(request: Request, state: State) -> Answer:
    """Answers POST /reset_prefix_cache."""
    # vLLM keeps the blocks of running requests.
    success = not state.activity.active
    if success:
        state.empty_cache()
    return Answer.of_json({"success": success}) if state.dialect.reports_resets else _done()


async def reset_multimodal(request: Request, state: State) -> Answer:
    """Answers POST /reset_mm_cache."""
    return _done()


async def reset_encoder(request: Request, state: State) -> Answer:
    """Answers POST /reset_encoder_cache."""
    return _done() if state.dialect.resets_encoder else detail(404)


def _done() -> Answer:
    return Answer.of_bytes(b"", None)
