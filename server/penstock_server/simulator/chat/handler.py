"""POST /v1/chat/completions."""

from penstock_server.simulator.chat.documents import completion
from penstock_server.simulator.chat.request import Chat, prepare
from penstock_server.simulator.chat.stream import events
from penstock_server.simulator.generation.generation import Generation
from penstock_server.simulator.http.answers import Answer, Document, Pause, Pieces
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import json_object
from penstock_server.simulator.prompts.conversation import message_text
from penstock_server.simulator.state import State


async def create(request: Request, state: State) -> Answer:
    """Answers a chat, unary or as a stream."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    chat = prepare(request, body, state)
    if chat.flag("stream"):
        return Answer.of_events(events(chat))
    return Answer(_whole(chat, chat.generate()))


def prompt(request: Request) -> str:
    """Returns the text of the user's last message; empty if the request has none."""
    try:
        said = [message for message in request.json["messages"] if message["role"] == "user"]
        return message_text(said[-1])
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""


async def _whole(chat: Chat, generation: Generation) -> Pieces:
    between = chat.settings.inter_token_latency * (len(generation.steps) - 1)
    yield Pause(chat.settings.time_to_first_token + between)
    yield Document(completion(chat, generation))
