"""Sleep of the engine: routes of vLLM's development mode, and the metric that reports it.

Generations that run when the engine falls asleep continue, as with `mode=wait` of vLLM.
"""

import asyncio
import re
from urllib.parse import parse_qs

from penstock_server.simulator.http.answers import Answer, Pieces
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import Issue, refusal
from penstock_server.simulator.state import State

_LEVEL = "query.level"
_DEEPEST = 2
_METRIC = "vllm:engine_sleep_state"


async def sleep(request: Request, state: State) -> Answer:
    """Answers POST /sleep."""
    level = _level(parse_qs(request.query).get("level", ["1"])[0])
    state.engine.sleep(level)
    return state.dialect.sleep_answer({"status": "sleeping", "level": level})


async def wake_up(request: Request, state: State) -> Answer:
    """Answers POST /wake_up."""
    state.engine.wake_up()
    return state.dialect.sleep_answer({"status": "awake", "tags": None})


async def is_sleeping(request: Request, state: State) -> Answer:
    """Answers GET /is_sleeping."""
    return Answer.of_json({"is_sleeping": state.engine.asleep})


async def metrics(request: Request, state: State) -> Answer:
    """Answers GET /metrics with the metrics of the engine's sleep, if the version has them."""
    level = state.engine.level
    found = {
        "awake": level is None,
        "weights_offloaded": level == 1,
        "discard_all": level == _DEEPEST,
    }
    model = state.settings.models[0]
    lines = [
        f'{_METRIC}{{engine="0",model_name="{model}",sleep_state="{name}"}} {float(value)}\n'
        for name, value in found.items()
    ]
    text = f"# TYPE {_METRIC} gauge\n{''.join(lines)}" if state.dialect.measures_sleep else ""
    return Answer.of_bytes(text.encode(), "text/plain; version=0.0.4; charset=utf-8")


def hold(answer: Answer, state: State) -> None:
    """Lets an answer of the engine wait until the engine is awake."""
    answer.filters.append(lambda pieces: _held(pieces, state.engine.awake))


async def _held(pieces: Pieces, awake: asyncio.Event) -> Pieces:
    await awake.wait()
    async for piece in pieces:
        yield piece


def _level(given: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", given):
        words = "Input should be a valid integer, unable to parse string as an integer"
        raise refusal([Issue("int_parsing", _LEVEL, words, given)])
    for wrong, kind, words, limit in (
        (int(given) < 0, "greater_than_equal", "greater than or equal to", {"ge": 0}),
        (int(given) > _DEEPEST, "less_than_equal", "less than or equal to", {"le": _DEEPEST}),
    ):
        if wrong:
            words = f"Input should be {words} {next(iter(limit.values()))}"
            raise refusal([Issue(kind, _LEVEL, words, given, limit)])
    return int(given)
