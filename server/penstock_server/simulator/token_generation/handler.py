"""POST /inference/v1/generate."""

from penstock_server.simulator.generation.generation import Generation
from penstock_server.simulator.http.answers import DONE, Answer, Document, Pause, Pieces
from penstock_server.simulator.http.errors import ApiError, detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import json_object
from penstock_server.simulator.state import State
from penstock_server.simulator.token_generation.documents import event, usage_event, whole
from penstock_server.simulator.token_generation.request import TokenGeneration, prepare

_DISABLED = (
    "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them."
)


async def create(request: Request, state: State) -> Answer:
    """Continues a prompt of token ids, unary or as a stream."""
    if not state.settings.scale_out:
        raise ApiError(_DISABLED, status=403, kind="PermissionDeniedError")
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    asked = prepare(request, body, state)
    if asked.flag("stream"):
        return Answer.of_events(_events(asked))
    return Answer(_whole(asked, asked.generate()))


def prompt(request: Request) -> str:
    """Returns no text: token ids contain no fault directives."""
    return ""


async def _whole(asked: TokenGeneration, generation: Generation) -> Pieces:
    between = asked.settings.inter_token_latency * (len(generation.steps) - 1)
    yield Pause(asked.settings.time_to_first_token + between)
    yield Document(whole(asked, generation))


async def _events(asked: TokenGeneration) -> Pieces:
    """Yields all events up to [DONE]; an error of the engine becomes an event."""
    try:
        generation = asked.generate()
    except ApiError as error:
        yield error.event()
    else:
        yield Pause(asked.settings.time_to_first_token)
        for position in range(len(generation.steps)):
            if position:
                yield Pause(asked.settings.inter_token_latency)
            for index in range(asked.choices):
                yield Document(event(asked, index, generation, position))
        if asked.include_usage:
            yield Document(usage_event(asked, generation))
    yield DONE
