"""Errors in every shape that upstreams use, and the statuses they represent."""

import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import orjson
import pytest

from penstock_server.upstream.answer import document
from penstock_server.upstream.error_body import ErrorBody, find_error, find_refusal, status_of
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

# document, message, status that it represents in a 200
ERRORS: dict[str, tuple[dict[str, Any], str, int]] = {
    "nested": (
        {"error": {"message": "no such model", "type": "NotFoundError", "code": 404}},
        "no such model",
        404,
    ),
    "nested, code a word": (
        {"error": {"message": "too long", "code": "context_length_exceeded"}},
        "too long",
        400,
    ),
    "nested, code digits": ({"error": {"message": "busy", "code": "503"}}, "busy", 503),
    "nested, code many digits": ({"error": {"message": "x", "code": "9" * 5000}}, "x", 500),
    "nested, code other digits": ({"error": {"message": "x", "code": "٤٠٤"}}, "x", 500),
    "nested, message empty": ({"error": {"message": ""}}, "", 500),
    "nested, empty": ({"error": {}}, "", 500),
    "nested, nulls": ({"error": {"message": None, "type": None, "code": None}}, "", 500),
    "nested, type only": ({"error": {"message": "x", "type": "BadRequestError"}}, "x", 400),
    "nested, code absurd": ({"error": {"message": "x", "code": 200}}, "x", 500),
    "nested, code boolean": ({"error": {"message": "x", "code": True}}, "x", 500),
    "nested, code a list": ({"error": {"message": "x", "code": [1]}}, "x", 500),
    "nested next to choices": ({"choices": [], "error": {"message": "x", "code": 429}}, "x", 429),
    "string": ({"error": "Unauthorized"}, "Unauthorized", 401),
    "string, unknown": ({"error": "went wrong"}, "went wrong", 500),
    "string, empty": ({"error": ""}, "", 500),
    "flat": (
        {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400},
        "bad",
        400,
    ),
    "detail": ({"detail": "Not Found"}, "Not Found", 500),
    "detail list": (
        {"detail": [{"loc": ["body", "n"], "msg": "must be above 0"}, {"msg": "x"}, "y"]},
        "body.n: must be above 0; x; y",
        500,
    ),
}


@pytest.mark.parametrize(("shape", "message", "status"), ERRORS.values(), ids=ERRORS)
def test_error_shapes(shape: dict[str, Any], message: str, status: int) -> None:
    error = find_error(shape)
    assert error is not None
    assert (error.message, status_of(error)) == (message, status)
    assert error.bare == ("detail" in shape)


@pytest.mark.parametrize(("shape", "message", "status"), ERRORS.values(), ids=ERRORS)
def test_an_error_raises(shape: dict[str, Any], message: str, status: int) -> None:
    with pytest.raises(UpstreamFailure) as raised:
        document(orjson.dumps(shape), Stage.BODY)
    assert (raised.value.kind, raised.value.status) == (Kind.HTTP_ERROR, status)
    assert message in raised.value.message
    assert raised.value.message


REFUSALS = {
    "flat": {"message": "no such model", "code": 404},
    "flat, another dialect": {"message": "no such model", "status": 404},
    "nested": {"error": {"message": "no such model"}},
}


@pytest.mark.parametrize("shape", REFUSALS.values(), ids=REFUSALS)
def test_refusals(shape: dict[str, Any]) -> None:
    error = find_refusal(shape)
    assert (error.message, error.bare) == ("no such model", False)
    assert find_error(REFUSALS["flat"]) is None


def test_a_refusal_names_its_faulty_fields() -> None:
    error = find_refusal({"detail": [{"loc": ["body", "n", 0], "msg": "bad"}, {"msg": "x"}]})
    assert error.faults == (("body.n.0", "bad"),)


WRAPPED = {
    "with an id": (
        "Message: n must be (1), got 0. (Request ID: r), Internal exception: x.Error (Request ID: "
        "r), original exception: ",
        "n must be (1), got 0.",
    ),
    "without an id": ("Message: bad, Internal exception: x.Error", "bad"),
    "a dead replica": (
        "Message: Internal Server Error (Request ID: r), Internal exception: Internal Server Error "
        "(Request ID: r), original exception: The actor died unexpectedly before finishing this "
        "task.\n\tclass_name: x\n\tip: 10.0.0.7\nThe actor is dead because x",
        "The actor died unexpectedly before finishing this task.",
    ),
    "another beginning": ("Bad, Internal exception: x", "Bad, Internal exception: x"),
    "another end": ("Message: bad (Request ID: r)", "Message: bad (Request ID: r)"),
}


@pytest.mark.parametrize(("sent", "message"), WRAPPED.values(), ids=WRAPPED)
def test_exceptions_around_a_text_are_removed(sent: str, message: str) -> None:
    assert find_refusal({"error": {"message": sent}}).message == message


LOCATED = {
    "a field": ("('body', 'n')", "secret", "n"),
    "an item": ("('body', 'messages', 0, 'content')", "secret", "messages.0.content"),
    "a value of another type": ("('body', 'stop', 'list[str]')", ["secret"], "stop.list[str]"),
    "the body": ("('body',)", "secret", ""),
    "no place": ("body", "secret", ""),
}


@pytest.mark.parametrize(("place", "value", "param"), LOCATED.values(), ids=LOCATED)
def test_a_value_is_not_the_path_of_a_field(place: str, value: object, param: str) -> None:
    message = f"Invalid request format: Input is bad at 7 at {place}"
    assert find_refusal({"error": {"message": message, "param": value}}).param == param


@pytest.mark.parametrize("value", [["secret"], {"a": 1}, 7, True, None])
def test_a_path_is_a_text(value: object) -> None:
    assert find_refusal({"error": {"message": "bad", "param": value}}).param == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"error": None, "choices": [1]},
        {"error": False, "choices": [1]},
        {"choices": [{"message": {}}]},
        {"data": [], "detail": "high"},
        {"results": [], "detail": "high"},
        {"object": "list", "data": []},
    ],
)
def test_ordinary_answers(answer: dict[str, Any]) -> None:
    assert find_error(answer) is None
    assert document(orjson.dumps(answer), Stage.BODY) == answer


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b'{"a": NaN}', b"[1]", b"7"])
def test_an_answer_that_is_not_a_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as raised:
        document(body, Stage.BODY)
    assert raised.value.kind is Kind.MALFORMED


def test_codes_and_types_map_to_a_status() -> None:
    assert status_of(ErrorBody(code="rate_limit_exceeded")) == 429
    assert status_of(ErrorBody(code="model_not_found")) == 404
    assert status_of(ErrorBody(code="unheard_of", type="NotImplementedError")) == 501
    assert status_of(ErrorBody(code=503, type="BadRequestError")) == 503
    assert status_of(ErrorBody()) == 500


FAILURE = UpstreamFailure(
    Kind.HTTP_ERROR, "said", Stage.BODY, path="/x", status=404, error=ErrorBody("said", bare=True)
)


def facts(failure: UpstreamFailure) -> dict[str, Any]:
    return {fact.name: getattr(failure, fact.name) for fact in fields(failure)}


@pytest.mark.parametrize("name", facts(FAILURE))
def test_a_fact_is_set_once(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(FAILURE, name, getattr(FAILURE, name))


@pytest.mark.parametrize(
    "copied",
    [copy, deepcopy, replace, lambda failure: pickle.loads(pickle.dumps(failure))],
    ids=["copy", "deepcopy", "replace", "pickle"],
)
@pytest.mark.parametrize("failure", [FAILURE, replace(FAILURE)], ids=["made", "replaced"])
def test_a_copy_of_a_failure_is_equal(failure: UpstreamFailure, copied: Any) -> None:
    other = copied(failure)
    assert type(other) is UpstreamFailure
    assert (facts(other), str(other)) == (facts(failure), str(failure))
    assert {failure, other, failure} == {failure, other}
    assert len({failure, other}) == 2


async def test_a_failure_passes_through_context_managers() -> None:
    @asynccontextmanager
    async def open_one() -> AsyncIterator[None]:
        yield

    with pytest.raises(UpstreamFailure) as raised:
        async with open_one():
            raise replace(FAILURE, operation="chat completion") from FAILURE
    assert raised.value.__cause__ is FAILURE
    assert raised.value.operation == "chat completion"
