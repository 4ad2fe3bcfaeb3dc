"""Reports of vLLM about the sleep of its engine."""

import pytest
from upstream.wire import http

from penstock_server.fleet import State
from penstock_server.upstream import (
    CHAT_COMPLETION,
    Call,
    Kind,
    Sleep,
    UpstreamConfig,
    UpstreamFailure,
    sleep_in,
)

from .engine import engine, said
from .watched import watched

HELLO = {"model": "a", "messages": [{"role": "user", "content": "Say hello."}]}
OTHERS = """# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a"} 0.0
vllm:engine_sleep_state_of_another{sleep_state="awake"} 0.0
"""


def metrics(*states: str, engine: int = 0) -> str:
    """Returns the metrics of an engine for which some states are 1."""
    lines = "".join(
        f'vllm:engine_sleep_state{{engine="{engine}",model_name="a}}\\"",sleep_state="{state}"}} '
        f"{float(state in states)}\n"
        for state in ("awake", "weights_offloaded", "discard_all")
    )
    return f"{OTHERS}# TYPE vllm:engine_sleep_state gauge\n{lines}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (metrics("awake"), Sleep.AWAKE),
        (metrics("weights_offloaded"), Sleep.ASLEEP),
        (metrics(), Sleep.ASLEEP),
        (metrics("discard_all"), Sleep.DISCARDED),
        (metrics("awake") + metrics("weights_offloaded", engine=1), Sleep.ASLEEP),
        (metrics("weights_offloaded") + metrics("discard_all", engine=1), Sleep.DISCARDED),
        (OTHERS, None),
        ("", None),
        ("<html>", None),
        ("vllm:engine_sleep_state{sleep_state=", None),
        ('vllm:engine_sleep_state{sleep_state="awake"} much', None),
        ("vllm:engine_sleep_state 1", None),
    ],
)
def test_metrics(text: str, found: Sleep | None) -> None:
    assert sleep_in(text) is found


@pytest.mark.parametrize(
    "answer",
    [said({"is_sleeping": "yes"}), said([]), said({}, "500 Broken"), http(b"no JSON")],
    ids=["another type", "a list", "an error", "text"],
)
async def test_an_unusable_report_changes_nothing(answer: bytes) -> None:
    async with engine() as upstream:
        upstream.answers["/openapi.json"] = said({"paths": {"/is_sleeping": {}}})
        upstream.answers["/is_sleeping"] = said({"is_sleeping": True})
        async with watched(UpstreamConfig(upstream.url)) as running:
            await running.until(lambda: running.states == [State.SLEEPING])
            upstream.answers["/is_sleeping"] = answer
            before = upstream.asked.count("/is_sleeping")
            await running.until(lambda: upstream.asked.count("/is_sleeping") > before + 2)
            assert running.states == [State.SLEEPING]


async def test_a_server_that_returns_is_awake_unless_it_reports_otherwise() -> None:
    async with engine() as upstream:
        upstream.answers["/is_sleeping"] = said({"is_sleeping": True})
        async with watched(UpstreamConfig(upstream.url)) as running:
            await running.until(lambda: running.states == [State.SLEEPING])
            upstream.answers["/health"] = said({}, "503 Busy")
            await running.until(lambda: running.states == [State.DOWN])
            upstream.answers["/health"] = http(b"")
            await running.until(lambda: running.states == [State.SLEEPING])
            upstream.answers["/health"] = said({}, "503 Busy")
            await running.until(lambda: running.states == [State.DOWN])
            del upstream.answers["/is_sleeping"]
            upstream.answers["/health"] = http(b"")
            await running.until(lambda: running.states == [State.READY])


async def test_a_paused_engine_is_not_woken() -> None:
    async with engine() as upstream:
        upstream.answers["/is_sleeping"] = said({"is_sleeping": True})
        upstream.answers["/metrics"] = http(metrics("awake").encode())
        config = UpstreamConfig(upstream.url, wake_sleeping=True)
        async with watched(config) as running:
            await running.until(lambda: running.states == [State.SLEEPING])
            with pytest.raises(UpstreamFailure, match="its scheduler is paused") as caught:
                await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id", "a"))
        assert caught.value.kind is Kind.ASLEEP
        assert "/wake_up" not in upstream.asked
