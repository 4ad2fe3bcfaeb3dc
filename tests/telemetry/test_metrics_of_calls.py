"""Metrics after calls of every kind."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode as Code
from rpc.calls import BOUND_S, chat, create, stream, until
from rpc.every_rpc import EVERY_RPC, methods_served
from rpc.keyed import KEYS, SECRET, bearer
from skipping import LIMIT_S, Skipping

from penstock_server.rpc.middleware import metrics
from penstock_server.simulator import Simulator
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.distribution import Histogram

from .conftest import Observe
from .scrape import Scrape

SERVICE = "penstock.v1.ChatCompletionService"
UNARY = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "CreateChatCompletion"}
STREAM = {
    "grpc_type": "server_stream",
    "grpc_service": SERVICE,
    "grpc_method": "StreamChatCompletion",
}
OTHER = {"grpc_type": "bidi_stream", "grpc_service": "other", "grpc_method": "other"}
CHAT = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "vllm",
    "gen_ai_request_model": "tiny-chat",
    "gen_ai_response_model": "tiny-chat",
}
CODES = 17


async def test_every_method_and_code_is_exported_before_there_is_a_call(observe: Observe) -> None:
    found = await (await observe()).scrape()
    for method in methods_served():
        service, _, name = method.partition("/")
        labels = {"grpc_service": f"penstock.v1.{service}", "grpc_method": name}
        codes = found.of("grpc_server_handled_total", **labels)
        assert len({sample.labels["grpc_code"] for sample in codes}) == CODES
        for metric in (
            "grpc_server_started_total",
            "grpc_server_msg_received_total",
            "grpc_server_msg_sent_total",
            "grpc_server_handling_seconds_count",
            "penstock_received_bytes_total",
        ):
            assert [sample.value for sample in found.of(metric, **labels)] == [0], metric
    assert not found.value("grpc_server_handled_total")


async def test_values_do_not_accumulate_until_a_scrape(
    observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_COUNTED_AT_ONCE", 2)
    counted: list[str] = []
    monkeypatch.setattr(Histogram, "count", lambda self: counted.append(self._metric.name))
    observed = await observe()
    for _ in range(2):
        assert not counted
        await observed.chats.CreateChatCompletion(chat())
    await until(lambda: bool(counted))
    assert {names.HANDLING_SECONDS.name, names.TOKEN_USAGE.name} <= set(counted)


def counts(found: Scrape, **method: str) -> tuple[float, ...]:
    names = ("started_total", "msg_received_total", "msg_sent_total", "handling_seconds_count")
    return tuple(found.value(f"grpc_server_{name}", **method) for name in names)


def codes(found: Scrape, **method: str) -> Any:
    return found.by("grpc_code", "grpc_server_handled_total", **method)


async def test_calls_that_succeed(observe: Observe) -> None:
    observed, request = await observe(), chat()
    answer = await observed.chats.CreateChatCompletion(request)
    pieces = [piece async for piece in observed.chats.StreamChatCompletion(request)]
    found = await observed.scrape()
    assert counts(found, **UNARY) == (1, 1, 1, 1)
    assert counts(found, **STREAM) == (1, 1, len(pieces), 1)
    assert codes(found, **UNARY) == codes(found, **STREAM) == {"OK": 1}
    for labels, sent in ((UNARY, [answer]), (STREAM, pieces)):
        received = found.value("penstock_received_bytes_total", **labels)
        assert received == request.ByteSize()
        assert found.value("penstock_sent_bytes_total", **labels) == sum(
            message.ByteSize() for message in sent
        )
        assert found.value("penstock_overhead_seconds_count", **labels) == 1
        total = found.value("grpc_server_handling_seconds_sum", **labels)
        assert 0 < found.value("penstock_overhead_seconds_sum", **labels) < total
    for name in ("refused_total", "failed_total", "cancelled_total"):
        assert not found.value(f"penstock_calls_{name}")
    assert not found.value("penstock_deadlines_missed_total")


@pytest.mark.parametrize("fault", ["slow-headers", "slow-first-event"])
async def test_the_wait_for_an_upstream_is_not_overhead(observe: Observe, fault: str) -> None:
    observed = await observe()
    request = chat(fault=f"{fault} seconds=0.3")
    assert [piece async for piece in observed.chats.StreamChatCompletion(request)]
    if fault == "slow-headers":
        await observed.chats.CreateChatCompletion(request)
    found = await observed.scrape()
    for labels in (UNARY, STREAM) if fault == "slow-headers" else (STREAM,):
        total = found.value("grpc_server_handling_seconds_sum", **labels)
        assert total - found.value("penstock_overhead_seconds_sum", **labels) >= 0.3


async def test_tokens_and_times_of_a_generation(observe: Observe) -> None:
    observed = await observe()
    answer = await observed.chats.CreateChatCompletion(chat())
    pieces = [piece async for piece in observed.chats.StreamChatCompletion(chat())]
    usages = (answer.usage, pieces[-1].usage)
    found = await observed.scrape()
    tokens = "gen_ai_client_token_usage"
    for kind, expected in (
        ("input", sum(usage.prompt_tokens for usage in usages)),
        ("output", sum(usage.completion_tokens for usage in usages)),
    ):
        assert expected
        assert found.value(f"{tokens}_sum", gen_ai_token_type=kind, **CHAT) == expected
        assert found.value(f"{tokens}_count", gen_ai_token_type=kind, **CHAT) == 2
    server = "gen_ai_server"
    assert found.value(f"{server}_request_duration_seconds_count", error_type="", **CHAT) == 2
    assert found.value(f"{server}_time_to_first_token_seconds_count", **CHAT) == 1
    assert found.value(f"{server}_time_per_output_token_seconds_count", **CHAT) == 1
    first = found.value(f"{server}_time_to_first_token_seconds_sum", **CHAT)
    each = found.value(f"{server}_time_per_output_token_seconds_sum", **CHAT)
    total = found.value("grpc_server_handling_seconds_sum", **STREAM)
    rest = usages[1].completion_tokens - 1
    assert first + each * rest == pytest.approx(total, abs=1e-6)


async def test_tokens_by_the_new_conventions(observe: Observe) -> None:
    observed = await observe(genai_conventions="0.1.0")
    usage = (await observed.chats.CreateChatCompletion(chat())).usage
    found = await observed.scrape()
    for kind, expected in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
        inference = "gen_ai_client_inference"
        assert found.value(f"{inference}_usage_{kind}_tokens_total", **CHAT) == expected
        assert found.value(f"{inference}_operation_{kind}_tokens_sum", **CHAT) == expected
        assert found.value(f"{inference}_operation_{kind}_tokens_count", **CHAT) == 1
    assert not found.of("gen_ai_client_token_usage_count")


@pytest.mark.parametrize("method", ["CreateChatCompletion", "StreamChatCompletion"])
async def test_calls_that_fail_upstream(
    observe: Observe, simulator: Simulator, method: str
) -> None:
    observed = await observe(max_attempts=1)
    run: Any = create if method.startswith("Create") else stream
    upstream = simulator.url.removeprefix("http://")
    error = {"upstream": upstream, "reason": "UPSTREAM_INTERNAL"}
    [before] = (await observed.scrape()).of("penstock_calls_failed_total", **error)
    assert before.value == 0
    assert (await run(observed.channel, chat(fault="status code=500"))).code is Code.INTERNAL
    found = await observed.scrape()
    labels = UNARY if method.startswith("Create") else STREAM
    assert codes(found, **labels) == {"Internal": 1}
    assert counts(found, **labels) == (1, 1, 0, 1)
    failed = found.by("reason", "penstock_calls_failed_total", upstream=upstream)
    assert failed == {"UPSTREAM_INTERNAL": 1}
    duration = "gen_ai_server_request_duration_seconds_count"
    assert found.by("error_type", duration, **CHAT) == {"INTERNAL": 1}
    assert not found.value("penstock_calls_refused_total")
    assert not found.of("penstock_overhead_seconds_count", **labels)[0].value


async def test_calls_that_are_refused(observe: Observe, tmp_path: Path) -> None:
    keys = tmp_path / "callers.toml"
    keys.write_text(KEYS)
    observed = await observe(callers_file=str(keys))
    await create(observed.channel, chat())
    await create(observed.channel, chat(), metadata=bearer("unknown"))
    request = chat()
    request.sampling.temperature = -1
    request.messages[0].ClearField("role")
    await create(observed.channel, request, metadata=bearer(SECRET))
    found = await observed.scrape()
    reasons = found.by("reason", "penstock_calls_refused_total")
    assert reasons == {"INVALID_CREDENTIALS": 2, "INVALID_REQUEST": 1}
    assert codes(found, **UNARY) == {"Unauthenticated": 2, "InvalidArgument": 1}
    assert counts(found, **UNARY)[:2] == (3, 1)
    expected = {"OVERLOADED", "RATE_LIMITED", "DRAINING", "MODEL_FORBIDDEN"}
    exported = {sample.labels["reason"] for sample in found.of("penstock_calls_refused_total")}
    assert expected <= exported


async def test_calls_beyond_the_limit_are_refused(observe: Observe, simulator: Simulator) -> None:
    observed = await observe(max_concurrent_calls=1)
    held = observed.chats.CreateChatCompletion(chat(fault="silent"))
    async with asyncio.timeout(BOUND_S):
        await simulator.wait_active(1)
        await create(observed.channel, chat())
        found = await observed.scrape_now()
        held.cancel()
    assert found.by("limit", "penstock_calls_refused_total") == {"max_concurrent_calls": 1}
    assert found.value("penstock_calls_refused_total", reason="OVERLOADED") == 1
    assert found.value("penstock_calls_in_flight") == 1
    place = simulator.url.removeprefix("http://")
    assert found.value("penstock_upstream_outstanding", upstream=place) == 1
    assert found.value("penstock_upstream_connections", upstream=place) >= 1
    after = await observed.scrape()
    assert not after.value("penstock_upstream_outstanding")
    assert codes(after, **UNARY) == {"Unavailable": 1, "Canceled": 1}


@pytest.mark.parametrize(
    ("method", "fault", "stage"),
    [
        ("CreateChatCompletion", "silent", "headers"),
        ("StreamChatCompletion", "stall after=2", "stream"),
    ],
)
async def test_calls_that_are_cancelled(
    observe: Observe, simulator: Simulator, method: str, fault: str, stage: str
) -> None:
    observed = await observe()
    call = getattr(observed.chats, method)(chat(fault=fault))
    async with asyncio.timeout(BOUND_S):
        await simulator.wait_active(1)
        if stage == "stream":
            await call.read()
        call.cancel()
        found = await observed.scrape()
    labels = UNARY if method.startswith("Create") else STREAM
    assert codes(found, **labels) == {"Canceled": 1}
    assert found.by("stage", "penstock_calls_cancelled_total") == {stage: 1}
    assert not found.value("penstock_deadlines_missed_total")
    assert not found.value("penstock_calls_failed_total")


async def test_calls_whose_deadline_passes(
    observe: Observe, simulator: Simulator, skip: Skipping
) -> None:
    observed = await observe(default_deadline=LIMIT_S)
    call = asyncio.create_task(create(observed.channel, chat(fault="silent")))
    async with asyncio.timeout(BOUND_S):
        await simulator.wait_active(1)
        await skip()
        assert (await call).code is Code.DEADLINE_EXCEEDED
    found = await observed.scrape()
    assert found.by("stage", "penstock_deadlines_missed_total") == {"headers": 1}
    assert codes(found, **UNARY) == {"DeadlineExceeded": 1}
    assert not found.value("penstock_calls_cancelled_total")


async def test_calls_of_unknown_methods(observe: Observe) -> None:
    observed = await observe()
    call: Any = observed.channel.unary_unary("/penstock.v1.Other/Method")
    assert await call(b"").code() is Code.UNIMPLEMENTED
    found = await observed.scrape()
    assert codes(found, **OTHER) == {"Unimplemented": 1}


async def test_messages_of_an_upload(observe: Observe) -> None:
    observed = await observe()
    [rpc] = [one for one in EVERY_RPC if one.name.endswith("/UploadTranscribe")]
    await rpc.run(observed.service, observed.channel)
    labels = {"grpc_type": "client_stream", "grpc_method": "UploadTranscribe"}
    assert counts(await observed.scrape(), **labels) == (1, len(rpc.requests), 0, 1)


async def test_calls_and_tokens_by_caller_if_requested(observe: Observe, tmp_path: Path) -> None:
    keys = tmp_path / "callers.toml"
    keys.write_text(KEYS)
    for by_caller in (False, True):
        observed = await observe(callers_file=str(keys), metrics_by_caller=by_caller)
        metadata = bearer(SECRET)
        usage = (await observed.chats.CreateChatCompletion(chat(), metadata=metadata)).usage
        found = await observed.scrape()
        calls = found.by("grpc_code", "penstock_caller_calls_total", caller="team-a")
        assert calls == ({"OK": 1} if by_caller else {})
        tokens = found.by("gen_ai_token_type", "penstock_caller_tokens_total", caller="team-a")
        expected = {"input": usage.prompt_tokens, "output": usage.completion_tokens}
        assert tokens == (expected if by_caller else {})
        assert ("team-a" in found.text) is ("penstock_caller" in found.text) is by_caller


async def test_unknown_names_create_no_series(observe: Observe) -> None:
    observed = await observe()
    await create(observed.channel, named("none"))
    method: Any = observed.channel.unary_unary("/penstock.v1.None/None")
    await method(b"").code()
    before = {(one.name, tuple(one.labels.items())) for one in (await observed.scrape()).samples}
    count, at_once = 1_000, 200
    logging.getLogger("penstock").setLevel("ERROR")  # a line for each would take longer
    for start in range(0, count, at_once):
        numbers = range(start, start + at_once)
        calls = [
            invented(observed, number, "model" if number % 2 else "method") for number in numbers
        ]
        assert set(await asyncio.gather(*calls)) <= {Code.NOT_FOUND, Code.UNIMPLEMENTED}
    found = await observed.scrape()
    after = {(one.name, tuple(one.labels.items())) for one in found.samples}
    assert after == before
    assert found.value("grpc_server_handled_total") == count + 2
    duration = "gen_ai_server_request_duration_seconds_count"
    assert found.value(duration, gen_ai_request_model="other") == count / 2 + 1


def named(model: str) -> Any:
    request = chat()
    request.model = model
    return request


async def invented(observed: Any, number: int, what: str) -> Code:
    """Makes a call with a request id and a model or a method that no other call has."""
    metadata = (("x-request-id", f"id-{number}"),)
    if what == "model":
        call = observed.chats.CreateChatCompletion(named(f"model-{number}"), metadata=metadata)
    else:
        method = observed.channel.unary_unary(f"/penstock.v1.Service{number}/Method{number}")
        call = method(b"", metadata=metadata)
    code: Code = await call.code()
    return code


@pytest.mark.parametrize("flags", ["01", "00"])
async def test_exemplars_name_the_trace_of_a_call_that_is_sampled(
    observe: Observe, flags: str
) -> None:
    observed, trace = await observe(), "0af7651916cd43dd8448eb211c80319c"
    metadata = (("traceparent", f"00-{trace}-b7ad6b7169203331-{flags}"),)
    stream = observed.chats.StreamChatCompletion(chat(), metadata=metadata)
    assert [piece async for piece in stream]
    found = await observed.scrape()
    for metric in (
        "grpc_server_handling_seconds_bucket",
        "gen_ai_server_request_duration_seconds_bucket",
        "gen_ai_server_time_to_first_token_seconds_bucket",
    ):
        exemplars = [one.exemplar.labels for one in found.of(metric) if one.exemplar]
        assert exemplars == ([{"trace_id": trace}] if flags == "01" else [])
