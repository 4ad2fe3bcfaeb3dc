"""Renaming of the model in requests and answers, if an upstream has another name for it."""

from dataclasses import replace

from penstock_server.fleet.routing import Target
from penstock_server.upstream import Body, Form, JsonObject


def with_served_name(target: Target, body: Body) -> Body:
    """Returns the request with the server's own name for the model."""
    if not target.served:
        return body
    if isinstance(body, Form):
        fields = tuple((name, value) for name, value in body.fields if name != "model")
        if ("model", target.served) in body.fields:
            return body
        return replace(body, fields=(("model", target.served), *fields))
    return body if body.get("model") == target.served else {**body, "model": target.served}


def with_public_name(target: Target, answer: JsonObject) -> JsonObject:
    """Writes the model's public name into an answer or an event; returns it."""
    if target.served != target.public:
        _rename(target, answer)
        _rename(target, answer.get("response"))
    return answer


def _rename(target: Target, document: object) -> None:
    if isinstance(document, dict) and "model" in document:
        document["model"] = target.public
