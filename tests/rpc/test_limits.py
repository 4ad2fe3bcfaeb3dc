"""Limits of callers, and their replacement."""

from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.configuration import read_callers
from penstock_server.rpc.middleware import SharedLedger
from penstock_server.rpc.middleware.ledger import CALLS, RUNNING, TOKENS
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, both, chat, create, plain_channel, stream, until
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running
from .keyed import LIMITED, OTHER, SECRET, CallersFile, Clock, at_the_clock, bearer

QUIET = {"probe_interval": 3600}

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


@every_rpc
async def test_every_rpc_over_its_quota(rpc: Called, callers_file: CallersFile) -> None:
    clock = Clock()
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        settings: dict[str, Any] = {
            "upstream": (upstream.url,),
            "callers_file": callers_file(LIMITED),
        }
        async with (
            at_the_clock(clock, **settings, **rpc.settings) as service,
            plain_channel(service) as channel,
        ):
            reasons = [
                (await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))).reason
                for _ in range(2)
            ]
            before = upstream.requests
            result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
            assert upstream.requests == before
            clock.now += 30
            again = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
            other = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(OTHER))
    assert reasons == ["UPSTREAM_INTERNAL"] * 2
    assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (result.retry_s, result.trailers["retry-after"], result.pushback) == (30, "30", None)
    assert result.quotas == [("caller:batch", "2 calls per minute, 0 left")]
    assert result.metadata == {"limit": "calls_per_minute", "left": "0"}
    assert (again.reason, other.reason) == ("UPSTREAM_INTERNAL", "UPSTREAM_INTERNAL")


async def test_callers_are_replaced(simulator: Simulator, callers_file: CallersFile) -> None:
    clock = Clock()
    settings: dict[str, Any] = {"upstream": (simulator.url,), "callers_file": callers_file(LIMITED)}
    async with at_the_clock(clock, **settings) as service, plain_channel(service) as channel:
        assert service.authentication

        async def ending(secret: str) -> str:
            result = await stream(channel, chat(), metadata=bearer(secret))
            return result.reason or result.code.name

        assert [await ending(SECRET) for _ in range(3)] == ["OK", "OK", "RATE_LIMITED"]
        fewer = LIMITED.partition('[[caller]]\nname = "other"')[0]
        service.authentication.replace(read_callers(callers_file(fewer)))
        assert await ending(OTHER) == "INVALID_CREDENTIALS"
        assert await ending(SECRET) == "RATE_LIMITED"
        more = fewer.replace("= 2", "= 3").replace(SECRET, "sk-new")
        service.authentication.replace(read_callers(callers_file(more)))
        assert await ending(SECRET) == "INVALID_CREDENTIALS"
        # The minute is still used up: 3 calls instead of 2 take the same time.
        assert await ending("sk-new") == "RATE_LIMITED"
        clock.now += 20
        assert [await ending("sk-new") for _ in range(2)] == ["OK", "RATE_LIMITED"]


PLACES = f"""
[[caller]]
name = "batch"
keys = ["{SECRET}"]
concurrent_calls = 2
"""


async def test_calls_at_once(simulator: Simulator, serve: Serve, callers_file: CallersFile) -> None:
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(PLACES))
    async with plain_channel(service) as channel:
        stub, request = ChatCompletionServiceStub(channel), chat(fault="stall after=1")
        running = [stub.StreamChatCompletion(request, metadata=bearer(SECRET)) for _ in range(2)]
        for call in running:
            await call.read()
        result = await both(channel, chat(), metadata=bearer(SECRET))
        assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert result.quotas == [("caller:batch", "2 concurrent calls, 0 left")]
        assert (result.retry_s, result.metadata["limit"]) == (1, "concurrent_calls")
        running[0].cancel()
        assert service.authentication
        entry = service.authentication._ledger.entries(["batch"])[0]
        await until(lambda: entry[RUNNING] == 1)
        # Calls that fail leave their place, too.
        failing = await create(channel, chat(fault="status code=500"), metadata=bearer(SECRET))
        assert failing.reason == "UPSTREAM_INTERNAL"
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
        running[1].cancel()


TOKENS_LIMITED = f"""
[[caller]]
name = "batch"
keys = ["{SECRET}"]
tokens_per_minute = 60
"""


@pytest.mark.parametrize("streams", [False, True])
async def test_a_debt_of_tokens(
    streams: bool, simulator: Simulator, callers_file: CallersFile
) -> None:
    clock, path = Clock(), callers_file(TOKENS_LIMITED)
    async with (
        at_the_clock(clock, upstream=(simulator.url,), callers_file=path) as service,
        plain_channel(service) as channel,
    ):
        used = 0
        while used <= 60:
            used += await tokens_of_a_call(channel, streams=streams)
        for _ in range(2):
            result = await both(channel, chat(), metadata=bearer(SECRET))
            assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
            assert result.quotas == [("caller:batch", f"60 tokens per minute, {60 - used} left")]
            assert result.metadata == {"limit": "tokens_per_minute", "left": str(60 - used)}
            # One token is paid per second.
            assert result.retry_s == pytest.approx(used - 60)
        clock.now += used - 61
        assert (await create(channel, chat(), metadata=bearer(SECRET))).reason == "RATE_LIMITED"
        clock.now += 1
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK


async def tokens_of_a_call(channel: aio.Channel, *, streams: bool) -> int:
    stub, metadata = ChatCompletionServiceStub(channel), bearer(SECRET)
    if not streams:
        answer = await stub.CreateChatCompletion(chat(), metadata=metadata)
        return answer.usage.prompt_tokens + answer.usage.completion_tokens
    pieces = [piece async for piece in stub.StreamChatCompletion(chat(), metadata=metadata)]
    usage = next(piece.usage for piece in pieces if piece.HasField("usage"))
    return usage.prompt_tokens + usage.completion_tokens


async def test_a_cancelled_stream_costs_its_messages(
    simulator: Simulator, callers_file: CallersFile
) -> None:
    path = callers_file(TOKENS_LIMITED)
    async with (
        at_the_clock(Clock(), upstream=(simulator.url,), callers_file=path) as service,
        plain_channel(service) as channel,
    ):
        assert service.authentication
        entry = service.authentication._ledger.entries(["batch"])[0]
        request = chat(fault="stall after=3")
        running = ChatCompletionServiceStub(channel).StreamChatCompletion(
            request, metadata=bearer(SECRET)
        )
        for _ in range(3):
            await running.read()
        running.cancel()
        await until(lambda: entry[RUNNING] == 0)
        assert entry[TOKENS] - 1000 >= 3


async def test_what_a_limit_refuses_does_not_count(
    simulator: Simulator, callers_file: CallersFile
) -> None:
    path = callers_file(f"{PLACES}calls_per_minute = 3\n")
    async with (
        at_the_clock(Clock(), upstream=(simulator.url,), callers_file=path) as service,
        plain_channel(service) as channel,
    ):
        stub, request = ChatCompletionServiceStub(channel), chat(fault="stall after=1")
        running = [stub.StreamChatCompletion(request, metadata=bearer(SECRET)) for _ in range(2)]
        for call in running:
            await call.read()
        for _ in range(5):
            result = await create(channel, chat(), metadata=bearer(SECRET))
            assert result.metadata["limit"] == "concurrent_calls"
        assert service.authentication
        entry = service.authentication._ledger.entries(["batch"])[0]
        for call in running:
            call.cancel()
        await until(lambda: entry[RUNNING] == 0)
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
        result = await create(channel, chat(), metadata=bearer(SECRET))
        assert result.metadata["limit"] == "calls_per_minute"


def test_entries_of_several_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "limits")
    first, second = (SharedLedger(path, number, 2) for number in range(2))
    [one, other], [other_seen] = first.entries(["a", "b"]), second.entries(["b"])
    one[TOKENS], other[CALLS], other[first.own] = 7, 8, 1
    other_seen[second.own] = 2
    assert list(other) == list(other_seen) == [8, 0, 1, 2]
    # A caller that is added later, by another process.
    [added] = second.entries(["c"])
    added[CALLS] = 9
    assert [list(entry) for entry in first.entries(["c", "a"])] == [[9, 0, 0, 0], [0, 7, 0, 0]]
    successor = SharedLedger(path, 0, 2)
    assert list(successor.entries(["b"])[0]) == [8, 0, 0, 2]


def test_a_process_that_is_stopped_does_not_stop_others(tmp_path: Path) -> None:
    stopped, other = (SharedLedger(str(tmp_path / "limits"), number, 2) for number in range(2))
    with stopped.alone, other.alone:
        [entry] = other.entries(["a"])
    assert list(entry) == [0, 0, 0, 0]


def test_a_quota() -> None:
    quota, now = Quota(60), 0.0
    assert [quota.take(now) for _ in range(60)] == [0.0] * 60
    for _ in range(1000):
        wait = quota.take(now)
        assert 0 < wait <= 1.002
        now += wait
        assert quota.take(now) == 0
    assert quota.take(now + 0.25) == pytest.approx(0.75)
    # It does not grow beyond the calls of one minute.
    assert [quota.take(now + 3600) > 0 for _ in range(61)] == [False] * 60 + [True]


def test_a_quota_is_kept_to_the_nanosecond() -> None:
    quota = Quota(7)
    assert [quota.take(0.0) for _ in range(7)] == [0.0] * 7
    reported = int(quota.take(0.0) * 1e9) / 1e9
    assert quota.take(reported - 0.1) > 0
    assert quota.take(reported) == 0
