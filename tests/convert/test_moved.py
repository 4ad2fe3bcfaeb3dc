"""A key with a new field also stays in free JSON for the release that adds the field."""

import pytest
from documents import value_of

from penstock.v1 import common_pb2
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock_server import routes
from penstock_server.convert import extra, fields
from penstock_server.convert.errors import InvalidRequest
from penstock_server.convert.moved import moving, settled

BROUGHT = {"total_tokens": "0.2"}
FOLLOWING = ("0.3.0", "0.10", "1.0.0")


@pytest.mark.parametrize("release", ["0.1.0", "0.2.0", "0.2.7"])
def test_keys_are_in_both_until_the_next_minor_release(release: str) -> None:
    assert settled(BROUGHT, release) == frozenset()
    assert moving(BROUGHT, release) == {"total_tokens"}


@pytest.mark.parametrize("release", FOLLOWING)
def test_keys_are_in_the_field_alone_afterwards(release: str) -> None:
    assert settled(BROUGHT, release) == {"total_tokens"}
    assert moving(BROUGHT, release) == frozenset()


@pytest.mark.parametrize(("release", "kept"), [("0.2.0", {"total_tokens": 3}), ("0.3.0", None)])
def test_a_key_of_an_answer(release: str, kept: object) -> None:
    usage = common_pb2.Usage(total_tokens=3)
    extra.keep(usage, {"total_tokens": 3}, settled(BROUGHT, release))
    assert (value_of(usage.extra) if usage.HasField("extra") else None) == kept


def body_of(request: CreateChatCompletionRequest) -> dict[str, object]:
    body: dict[str, object] = {"user": request.user} if request.user else {}
    fields.merge_extra(routes.CHAT_COMPLETIONS, body, request.extra_body)
    return body


def test_a_key_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    request = CreateChatCompletionRequest()
    request.extra_body.json = '{"user": "a"}'
    with pytest.raises(InvalidRequest):
        body_of(request)
    monkeypatch.setattr(fields, "_MOVING", moving({"user": "0.2"}, "0.2.0"))
    assert body_of(request) == {"user": "a"}


def test_a_key_in_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    request = CreateChatCompletionRequest(user="b")
    request.extra_body.json = '{"user": "a"}'
    monkeypatch.setattr(fields, "_MOVING", moving({"user": "0.2"}, "0.2.0"))
    with pytest.raises(InvalidRequest) as refused:
        body_of(request)
    assert refused.value.conflicting
