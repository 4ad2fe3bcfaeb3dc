"""The headers of requests to an upstream."""

from penstock_server.upstream.call import Call
from penstock_server.upstream.headers import Headers


def test_what_is_not_known_is_left_out() -> None:
    assert Headers().build(Call("id-1"), "application/json") == {
        "user-agent": "penstock",
        "accept": "application/json",
        "accept-encoding": "identity",
        "x-request-id": "id-1",
    }


def test_all() -> None:
    call = Call("id-1", "model", "00-trace", "vendor=1", "session", -3, 0)
    assert Headers("secret").build(call, "text/event-stream") == {
        "user-agent": "penstock",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "authorization": "Bearer secret",
        "x-request-id": "id-1",
        "traceparent": "00-trace",
        "tracestate": "vendor=1",
        "x-session-id": "session",
        "x-vllm-priority": "-3",
        "x-data-parallel-rank": "0",
    }


def test_a_configured_name_takes_the_place_of_ours() -> None:
    configured = {"User-Agent": "of-the-house", "X-Team": "a"}
    built = Headers("", configured).build(Call("id-1"), "application/json")
    assert (built["user-agent"], built["x-team"]) == ("of-the-house", "a")
    assert len(built) == 5
