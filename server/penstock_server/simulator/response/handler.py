"""POST /v1/responses, and the operations on stored responses."""

import time
from urllib.parse import parse_qs

from penstock_server import routes
from penstock_server.simulator.faults import apply_faults, requested_faults
from penstock_server.simulator.http.answers import Answer, Document, Pause, Pieces
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import json_object
from penstock_server.simulator.prompts.conversation import message_text
from penstock_server.simulator.response import documents
from penstock_server.simulator.response.input import messages
from penstock_server.simulator.response.request import Asked, prepare
from penstock_server.simulator.response.stream import events, in_background
from penstock_server.simulator.state import State

_TRUE = ("1", "on", "t", "true", "y", "yes")


async def create(request: Request, state: State) -> Answer:
    """Responds, unary or as a stream."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    asked = prepare(request, body, state)
    background = asked.values.get("background")
    if asked.values.get("stream"):
        if not background:
            return Answer.of_events(events(asked))
        kept = in_background(asked, requested_faults(request, prompt, ""))
        return Answer.of_events(kept.stream())
    whole = _whole(asked)
    if background:
        asked.keep(whole, time.monotonic() + _duration(asked))
        return Answer.of_json({**whole, "status": "queued", "output": [], "usage": None})
    asked.keep(whole)
    return Answer(_after(_duration(asked), whole))


async def retrieve(request: Request, state: State) -> Answer:
    """Returns a stored response, or a stream of its events."""
    kept, query = state.responses.find(_named(request)), parse_qs(request.query)
    if query.get("stream", [""])[0].lower() not in _TRUE:
        return Answer.of_json(kept.document)
    answer = Answer.of_events(kept.stream(int(query.get("starting_after", ["-1"])[0])))
    apply_faults(answer, kept.faults)
    return answer


async def cancel(request: Request, state: State) -> Answer:
    """Cancels a background response."""
    return Answer.of_json(state.responses.cancel(_named(request)).document)


def prompt(request: Request) -> str:
    """Returns the text of the user's last message; empty if the request has none."""
    try:
        talk, _ = messages(request.json["input"])
        return message_text([said for said in talk if said["role"] == "user"][-1])
    except Exception:
        return ""


def _named(request: Request) -> str:
    return request.path.removeprefix(f"{routes.RESPONSES}/").removesuffix("/cancel")


def _whole(asked: Asked) -> dict[str, object]:
    generation = asked.chat.generate()
    status = documents.status_of(generation)
    return documents.response(asked, status, documents.output(asked, generation), generation)


def _duration(asked: Asked) -> float:
    settings = asked.chat.settings
    between = settings.inter_token_latency * (len(asked.chat.generate().steps) - 1)
    return settings.time_to_first_token + between


async def _after(seconds: float, whole: dict[str, object]) -> Pieces:
    yield Pause(seconds)
    yield Document(whole)
