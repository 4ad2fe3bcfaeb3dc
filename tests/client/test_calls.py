"""Calls of a blocking client: metadata, statuses, streams that end too early."""

import pickle
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from penstock import (
    CallError,
    IncompleteStreamError,
    InvalidRequestError,
    ResourceExhaustedError,
    UnauthenticatedError,
    errors,
)
from penstock.v1.chat_completion_pb2 import (
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock.v1.common_pb2 import FINISH_REASON_STOP, Usage
from penstock.v1.completion_pb2 import CompletionChoiceDelta, StreamCompletionResponse
from penstock.v1.model_pb2 import ListModelsResponse, Model

from .fake import FakeService, details

CREATE = "ChatCompletionService.CreateChatCompletion"
STREAM = "ChatCompletionService.StreamChatCompletion"
LIST = "ModelService.ListModels"
DONE = CreateChatCompletionResponse(id="1")


@pytest.fixture
def fake() -> FakeService:
    return FakeService()


def test_metadata(fake: FakeService) -> None:
    client = fake.client(api_key="secret", metadata={"X-Tenant": "a", "x-both": "client"})
    call = fake.begin(
        lambda: client.chat.create("Hi", metadata=[("X-One", "1")], request_id="mine")
    )
    metadata, request, rpc = fake.take(CREATE)
    metadata.pop("grpc.metadata_added_by_runtime")
    assert metadata == {
        "authorization": "Bearer secret",
        "x-tenant": "a",
        "x-both": "client",
        "x-one": "1",
        "x-request-id": "mine",
    }
    assert request.messages[0].content[0].text == "Hi"
    rpc.terminate(DONE, (("x-request-id", "mine"),), grpc.StatusCode.OK, "")
    assert call.result(60).request_id == "mine"


@pytest.mark.parametrize(
    ("of_client", "of_call"),
    [
        ({}, {}),
        ({}, {"request_id": "mine"}),
        ({}, {"metadata": {"X-Request-Id": "mine"}}),
        ({"metadata": {"X-Request-Id": b"mine"}}, {}),
        ({"metadata": {"x-request-id": "other"}}, {"request_id": "mine"}),
    ],
)
def test_every_call_has_a_request_id(
    fake: FakeService, of_client: dict[str, Any], of_call: dict[str, Any]
) -> None:
    """It is known however the call ends."""
    client = fake.client(**of_client)
    call = fake.begin(lambda: client.chat.create("Hi", **of_call))
    metadata, _, rpc = fake.take(CREATE)
    rpc.terminate(None, (), grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    with pytest.raises(CallError) as caught:
        call.result(60)
    sent = metadata["x-request-id"]
    assert caught.value.request_id == sent
    given = of_client or of_call
    assert (caught.value.request_id == "mine") if given else len(sent) == 32
    stream = client.chat.stream("Hi", **of_call)
    metadata, _, rpc = fake.take(STREAM, "unary_stream")
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "")
    with pytest.raises(CallError) as caught:
        stream.final()
    assert caught.value.request_id == stream.request_id == stream.snapshot.request_id
    assert given or metadata["x-request-id"] == stream.request_id != sent


def test_the_request_id_of_an_answer_without_metadata(fake: FakeService) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi", request_id="mine"))
    _, _, rpc = fake.take(CREATE)
    rpc.terminate(DONE, (), grpc.StatusCode.OK, "")
    assert call.result(60).request_id == "mine"


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
def test_every_status_has_its_error(fake: FakeService, code: grpc.StatusCode) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    rpc.terminate(None, (("x-request-id", "abc"),), code, "what happened")
    with pytest.raises(CallError) as caught:
        call.result(60)
    error = caught.value
    assert type(error) is errors.BY_CODE.get(code, CallError)
    assert isinstance(error.__cause__, grpc.RpcError)
    assert (error.code, error.reason, error.request_id) == (code, "", "abc")
    assert str(error) == f"{code.name}: what happened"


def test_every_error_class_is_in_the_table() -> None:
    named = [one for one in vars(errors).values() if isinstance(one, type)]
    tree = [one for one in named if issubclass(one, errors.PenstockError)]
    assert errors.__doc__
    for one in tree:
        assert one.__name__ in errors.__doc__
    for code, kind in errors.BY_CODE.items():
        assert any(
            kind.__name__ in line and code.name in line for line in errors.__doc__.splitlines()
        )


def test_details(fake: FakeService) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    facts = {
        "upstreamStatus": "400",
        "upstreamType": "BadRequestError",
        "upstreamParam": "n",
    }
    info = error_details_pb2.ErrorInfo(
        reason="UPSTREAM_REJECTED",
        domain="penstock",
        metadata=facts | {"upstreamCode": "400"},
    )
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="sampling.n", description="too many")
    bad.field_violations.add(field="model", description="what?")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    found = (
        info,
        bad,
        retry,
        error_details_pb2.RequestInfo(request_id="abc"),
        error_details_pb2.ResourceInfo(resource_type="model", resource_name="m"),
    )
    code = grpc.StatusCode.INVALID_ARGUMENT
    rpc.terminate(None, details(code, *found), code, "no")
    with pytest.raises(InvalidRequestError) as caught:
        call.result(60)
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == "INVALID_ARGUMENT UPSTREAM_REJECTED: no (at sampling.n, model)"
    assert error.violations[0] == errors.Violation("sampling.n", "too many")
    assert (error.retry_delay, error.request_id, error.resource) == (1.5, "abc", "m")
    assert error.upstream == errors.Upstream(400, "BadRequestError", "n", "400")
    assert error.metadata["upstreamParam"] == "n"


def test_the_upstream_of_a_call(fake: FakeService) -> None:
    way = (("x-penstock-upstream", "gpu-1"), ("x-penstock-attempts", "2"))
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    rpc.terminate(DONE, way, grpc.StatusCode.OK, "")
    assert (call.result(60).upstream, call.result(5).attempts) == ("gpu-1", 2)
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    rpc.terminate(None, way, grpc.StatusCode.UNAVAILABLE, "")
    with pytest.raises(CallError) as caught:
        call.result(60)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.upstream, error.attempts) == (errors.Upstream(name="gpu-1"), 2)


def test_the_upstream_of_a_stream(fake: FakeService) -> None:
    stream = fake.client().chat.stream("Hi")
    _, _, rpc = fake.take(STREAM, "unary_stream")
    rpc.send_initial_metadata((("x-request-id", "abc"),))
    rpc.send_response(message(finish=True, usage=True))
    next(stream)
    assert (stream.snapshot.upstream, stream.snapshot.attempts) == ("", 0)
    rpc.terminate(
        (("x-penstock-upstream", "gpu-1"), ("x-penstock-attempts", "1")), grpc.StatusCode.OK, ""
    )
    answer = stream.final()
    assert (answer.request_id, answer.upstream, answer.attempts) == ("abc", "gpu-1", 1)


def test_an_exhausted_quota(fake: FakeService) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    quota = error_details_pb2.QuotaFailure()
    quota.violations.add(subject="caller:batch", description="60 calls per minute")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(3)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    rpc.terminate(None, details(code, quota, retry), code, "no")
    with pytest.raises(ResourceExhaustedError) as caught:
        call.result(60)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.quota_violations == (errors.QuotaViolation("caller:batch", "60 calls per minute"),)
    assert (error.retry_delay, error.violations) == (3, ())


@pytest.mark.parametrize("reason", ["INVALID_CREDENTIALS", "UPSTREAM_AUTH_FAILED"])
def test_advice_on_credentials(fake: FakeService, reason: str) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    code = grpc.StatusCode.UNAUTHENTICATED
    rpc.terminate(None, details(code, error_details_pb2.ErrorInfo(reason=reason)), code, "no")
    with pytest.raises(UnauthenticatedError) as caught:
        call.result(60)
    own = reason == "INVALID_CREDENTIALS"
    for way in ("--api-key", "PENSTOCK_API_KEY", "--tls-cert", "PENSTOCK_TLS_CERT"):
        assert (way in str(caught.value)) == own


def test_no_details(fake: FakeService) -> None:
    call = fake.begin(lambda: fake.client().chat.create("Hi"))
    _, _, rpc = fake.take(CREATE)
    rpc.terminate(None, (), grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")
    with pytest.raises(ResourceExhaustedError) as caught:
        call.result(60)
    error = caught.value
    assert (error.retry_delay, error.violations, error.metadata) == (None, (), {})
    assert error.quota_violations == ()
    assert error.upstream == errors.Upstream()


def message(
    finish: bool = False, usage: bool = False, index: int = 0
) -> StreamChatCompletionResponse:
    made = StreamChatCompletionResponse(usage=Usage(total_tokens=2) if usage else None)
    delta = made.choices.add(index=index).delta
    delta.content = "a"
    if finish:
        made.choices[0].finish_reason = FINISH_REASON_STOP
    return made


@pytest.mark.parametrize(
    ("messages", "n", "missing"),
    [
        ([], 1, "choice 0 has no finish_reason"),
        ([message()], 1, "choice 0 has no finish_reason"),
        ([message(usage=True)], 1, "choice 0 has no finish_reason"),
        ([message(finish=True)], 1, "usage did not come last"),
        ([message(usage=True), message(finish=True)], 1, "usage did not come last"),
        ([message(finish=True, usage=True)], 3, "choice 1, 2 has no finish_reason"),
        ([message(finish=True, index=1, usage=True)], 2, "choice 0 has no finish_reason"),
    ],
)
def test_a_stream_that_ends_too_early(
    fake: FakeService, messages: list[StreamChatCompletionResponse], n: int, missing: str
) -> None:
    stream = fake.client().chat.stream("Hi", n=n)
    _, _, rpc = fake.take(STREAM, "unary_stream")
    rpc.send_initial_metadata((("x-request-id", "abc"),))
    for one in messages:
        rpc.send_response(one)
    rpc.terminate((), grpc.StatusCode.OK, "")
    for _ in range(2):
        with pytest.raises(IncompleteStreamError) as caught:
            stream.final()
    assert str(caught.value) == f"the stream ended with OK, but {missing}"
    assert caught.value.partial.proto == stream.snapshot.proto
    assert caught.value.request_id == caught.value.partial.request_id == stream.request_id
    assert (stream.request_id == "abc") == bool(messages)


def test_every_prompt_has_its_choices(fake: FakeService) -> None:
    stream = fake.client().completions.stream(["a", "b"], n=2)
    _, _, rpc = fake.take("CompletionService.StreamCompletion", "unary_stream")
    rpc.send_initial_metadata(())
    for index in (0, 2, 3):
        piece = CompletionChoiceDelta(index=index, finish_reason=FINISH_REASON_STOP)
        rpc.send_response(StreamCompletionResponse(choices=[piece], usage=Usage()))
    rpc.terminate((), grpc.StatusCode.OK, "")
    with pytest.raises(IncompleteStreamError, match="choice 1 has no finish_reason"):
        stream.final()


def test_leaving_a_stream_cancels_it(fake: FakeService) -> None:
    with fake.client().chat.stream("Hi") as stream:
        _, _, rpc = fake.take(STREAM, "unary_stream")
        rpc.send_initial_metadata(())
        rpc.send_response(message())
        assert next(stream).text == "a"
    rpc.cancelled()


def test_pages_of_models(fake: FakeService) -> None:
    call = fake.begin(lambda: fake.client().models.list())
    for token, following, model in (("", "2", "a"), ("2", "", "b")):
        _, request, rpc = fake.take(LIST)
        assert request.page_token == token
        page = ListModelsResponse(
            models=[Model(id=model)], next_page_token=following, unreachable=["x:1"]
        )
        rpc.terminate(page, (), grpc.StatusCode.OK, "")
    models = call.result(60)
    assert [model.id for model in models] == ["a", "b"]
    assert models.unreachable == ["x:1"]
    assert (models[0].max_model_len, models[0].capabilities, len(models[:1])) == (None, [], 1)
