"""The headers of requests to an upstream."""

from penstock_server.upstream.call import Call
from penstock_server.upstream.headers import Headers


def built(call: Call, accept: str, api_key: str = "") -> dict[str, str]:
    headers = Headers(api_key).build(call, accept)
    assert headers.pop("x-request-id").startswith("id-1-")
    return headers


def test_unknown_values_are_omitted() -> None:
    assert built(Call("id-1"), "application/json") == {
        "user-agent": "penstock",
        "accept": "application/json",
        "accept-encoding": "identity",
    }


def test_all() -> None:
    call = Call("id-1", "model", "00-trace", "vendor=1", "session", -3, 0, "batch", "team-a")
    assert built(call, "text/event-stream", "secret") == {
        "user-agent": "penstock",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "authorization": "Bearer secret",
        "traceparent": "00-trace",
        "tracestate": "vendor=1",
        "x-session-id": "session",
        "x-vllm-priority": "-3",
        "x-data-parallel-rank": "0",
        "x-gateway-inference-objective": "batch",
        "x-gateway-inference-fairness-id": "team-a",
    }


def test_a_configured_header_replaces_ours() -> None:
    configured = {"User-Agent": "of-the-house", "X-Team": "a"}
    headers = Headers("", configured).build(Call("id-1"), "application/json")
    assert (headers["user-agent"], headers["x-team"]) == ("of-the-house", "a")
    assert len(headers) == 5


def test_the_caller_s_objective_replaces_a_configured_one() -> None:
    headers = Headers("", {"X-Gateway-Inference-Objective": "usual"})
    of_the_caller = headers.build(Call("id-1", objective="batch"), "application/json")
    assert of_the_caller["x-gateway-inference-objective"] == "batch"
    others = headers.build(Call("id-1"), "application/json")
    assert others["x-gateway-inference-objective"] == "usual"


def test_each_request_of_a_call_has_a_unique_id() -> None:
    call, headers = Call("id-1"), Headers()
    ids = {headers.build(call, "application/json")["x-request-id"] for _ in range(100)}
    assert len(ids) == 100
