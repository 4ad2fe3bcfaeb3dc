"""The metrics of several processes, and of those that have died."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openly
from rpc.calls import chat

from penstock_server.telemetry.metrics import MetricsServer, WorkerMetrics
from penstock_server.telemetry.metrics.distribution import Histogram
from penstock_server.telemetry.metrics.names import TOKEN_USAGE

from .conftest import Observe, Observed
from .scrape import Scrape

STARTED, LEAST = "grpc_server_started_total", "penstock_configuration_generation"
Start = Callable[[int], Awaitable[Observed]]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> WorkerMetrics:
    """Workers that may take long to answer."""
    monkeypatch.setattr("penstock_server.telemetry.metrics.workers._ANSWER_LIMIT_S", 60.0)
    return WorkerMetrics()


@pytest.fixture
def start(observe: Observe, workers: WorkerMetrics, tmp_path: Path) -> Start:
    """Starts a service in place of the worker of a number."""
    started: list[Observed] = []

    async def begin(number: int) -> Observed:
        address = f"unix:{tmp_path}/{len(started)}"
        started.append(await observe(metrics_listen=address))
        workers.replace(number, address)
        return started[-1]

    return begin


async def combined(workers: WorkerMetrics) -> Scrape:
    registry = await workers.current()
    assert generate_latest(registry)
    written: bytes = openly(registry)  # type: ignore[no-untyped-call]
    return Scrape(written.decode())


async def call(observed: Observed, times: int) -> Any:
    return [await observed.chats.CreateChatCompletion(chat()) for _ in range(times)]


async def test_counts_and_buckets_add_up(start: Start, workers: WorkerMetrics) -> None:
    first, second = await start(0), await start(1)
    usage = (await call(first, 2))[0].usage
    await call(second, 3)
    found = await combined(workers)
    assert found.value(STARTED) == 5
    assert found.by("grpc_code", "grpc_server_handled_total") == {"OK": 5}
    usages = {"gen_ai_token_type": "input"}
    assert found.value("gen_ai_client_token_usage_sum", **usages) == 5 * usage.prompt_tokens
    assert found.value("gen_ai_client_token_usage_bucket", le="+Inf", **usages) == 5
    [states] = [found.by("state", "penstock_upstream_state")]
    assert sum(states.values()) == 2
    assert found.value("penstock_build_info") == 1
    assert found.value("penstock_workers") == 2
    alone = (await first.service._observers.current_metrics()).get_sample_value("process_max_fds")
    assert found.value("process_max_fds") == alone


async def test_the_oldest_configuration_counts(start: Start, workers: WorkerMetrics) -> None:
    first, _ = await start(0), await start(1)
    first.service._configuration.generation = 7
    assert (await combined(workers)).value(LEAST) == 1


async def test_scraped_values_outlive_their_worker(start: Start, workers: WorkerMetrics) -> None:
    first, second = await start(0), await start(1)
    await call(first, 2)
    await call(second, 3)
    before = await combined(workers)
    await first.service.metrics.stop()
    dead = await combined(workers)
    assert (dead.value(STARTED), dead.value("penstock_workers")) == (5, 1)
    assert sum(dead.by("state", "penstock_upstream_state").values()) == 1
    third = await start(0)
    replaced = await combined(workers)
    assert (replaced.value(STARTED), replaced.value("penstock_workers")) == (5, 2)
    await call(third, 4)
    for _ in range(2):
        after = await combined(workers)
        assert after.value(STARTED) == 9
        buckets = after.of("grpc_server_handling_seconds_bucket", le="+Inf")
        assert sum(bucket.value for bucket in buckets) == 9
    for sample in before.samples:
        if sample.name.endswith(("_total", "_count", "_sum", "_bucket")):
            assert after.value(sample.name, **sample.labels) >= sample.value, sample


async def test_a_worker_that_does_not_answer(
    start: Start, workers: WorkerMetrics, tmp_path: Path
) -> None:
    await call(await start(0), 2)
    workers.replace(1, f"unix:{tmp_path}/nobody")
    found = await combined(workers)
    assert (found.value(STARTED), found.value("penstock_workers")) == (2, 1)


async def test_a_worker_that_misses_a_scrape_has_not_restarted(
    start: Start, workers: WorkerMetrics
) -> None:
    only = await start(0)
    started = (await combined(workers)).value("process_start_time_seconds")
    await only.service.metrics.stop()
    missed = await combined(workers)
    assert missed.value("process_start_time_seconds") == started > 0
    assert missed.value("process_open_fds") == 0


async def test_no_worker_answers(workers: WorkerMetrics) -> None:
    assert (await combined(workers)).value("penstock_workers") == 0


async def test_the_latest_exemplar_is_kept(workers: WorkerMetrics, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        for number in range(2):
            registry = CollectorRegistry(auto_describe=True)
            labels = ("chat", "vllm", "m", "m", "input")
            values = Histogram(TOKEN_USAGE, registry).of(*labels)
            values.observe(5)
            values.exemplify(5, f"{number}")

            async def current(registry: CollectorRegistry = registry) -> CollectorRegistry:
                return registry

            server = MetricsServer(f"unix:{tmp_path}/{number}", current)
            await server.start()
            running.push_async_callback(server.stop)
            workers.replace(number, server.address)
        found = await combined(workers)
    [bucket] = found.of("gen_ai_client_token_usage_bucket", le="16.0")
    assert bucket.value == 2
    assert bucket.exemplar
    assert bucket.exemplar.labels == {"trace_id": "1"}
