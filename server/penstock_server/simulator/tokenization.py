"""POST /tokenize and /detokenize."""

from penstock_server.simulator.chat import checks as chat_checks
from penstock_server.simulator.faults.table import without_directives
from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import detail, unknown_model
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    array,
    boolean,
    checked,
    integer,
    json_object,
    refusal,
    string,
)
from penstock_server.simulator.prompts.context import tokens_of
from penstock_server.simulator.prompts.conversation import conversation, message_text, render
from penstock_server.simulator.prompts.tokens import spelled
from penstock_server.simulator.state import State

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "prompt", "chat_template"), string),
    **dict.fromkeys(("add_special_tokens", "return_token_strs"), boolean),
    **dict.fromkeys(("add_generation_prompt", "continue_final_message"), boolean),
    **dict.fromkeys(("messages", "tools"), array),
}


async def tokenize(request: Request, state: State) -> Answer:
    """Returns the tokens of a text or of a conversation."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    values = checked(body, _KINDS)
    _check_model(values, state)
    text = _text(values, body)
    tokens = tokens_of(text)
    state.spoken.remember(text, tokens)
    wanted = values.get("return_token_strs", False)
    return Answer.of_json(
        {
            "count": len(tokens),
            "max_model_len": state.settings.max_model_len,
            "tokens": [token.id for token in tokens],
            "token_strs": [spelled(token) for token in tokens] if wanted else None,
        }
    )


async def detokenize(request: Request, state: State) -> Answer:
    """Returns the text of tokens, without unknown ids."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    if "tokens" not in body:
        raise refusal([Issue("missing", "body.tokens", "Field required", body)])
    values = checked(body, {"model": string, "tokens": _ids})
    message = "Input should be greater than or equal to 0"
    negative = [
        Issue("greater_than_equal", f"body.tokens.{position}", message, one, {"ge": 0})
        for position, one in enumerate(values["tokens"])
        if one < 0
    ]
    if negative:
        raise refusal(negative)
    _check_model(values, state)
    return Answer.of_json({"prompt": state.spoken.text(values["tokens"])})


def prompt(request: Request) -> str:
    """Returns the text, which may contain fault directives."""
    try:
        body = request.json
        return str(body.get("prompt") or message_text(body["messages"][-1]))
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""


def _text(values: dict[str, Json], body: dict[str, Json]) -> str:
    if "prompt" in values:
        return without_directives(values["prompt"])
    if "messages" not in body:
        places = ("body.prompt", "body.messages")
        raise refusal([Issue("missing", place, "Field required", body) for place in places])
    chat_checks.check_messages(values, body)
    chat_checks.check_combinations(values)
    chat_checks.check_untrusted(values)
    return render(conversation(values), values, thinking=False)


def _ids(value: Json) -> list[int]:
    return [integer(one) for one in array(value)]


def _check_model(values: dict[str, Json], state: State) -> None:
    if values.get("model") and values["model"] not in state.settings.models:
        raise unknown_model(values["model"], state.settings.models)
