"""POST /v1/completions."""

from collections.abc import Sequence

from penstock_server.simulator.completion.documents import whole
from penstock_server.simulator.completion.request import Completion, prepare
from penstock_server.simulator.completion.stream import events
from penstock_server.simulator.generation.generation import Generation
from penstock_server.simulator.http.answers import Answer, Document, Pause, Pieces
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import json_object
from penstock_server.simulator.state import State


async def create(request: Request, state: State) -> Answer:
    """Continues prompts, unary or as a stream."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    completion = prepare(request, body, state)
    if completion.flag("stream"):
        return Answer.of_events(events(completion))
    return Answer(_whole(completion, completion.generate()))


def prompt(request: Request) -> str:
    """Returns the text of the first prompt; empty if the request has none."""
    try:
        asked = request.json["prompt"]
        first = asked if isinstance(asked, str) else asked[0]
        return first if isinstance(first, str) else ""
    except (ValueError, TypeError, LookupError):
        return ""


async def _whole(completion: Completion, generations: Sequence[Generation]) -> Pieces:
    between = max(len(one.steps) for one in generations) - 1
    latency = completion.settings.inter_token_latency * max(between, 0)
    yield Pause(completion.settings.time_to_first_token + latency)
    yield Document(whole(completion, generations))
