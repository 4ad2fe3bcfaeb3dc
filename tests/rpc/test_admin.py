"""AdminService: its reports about upstreams, and the addresses that serve it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.v1 import admin_pb2, model_pb2
from penstock.v1.admin_pb2 import ListUpstreamsRequest, ListUpstreamsResponse, Replica
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.rpc.server import AdminServer, CannotListen
from penstock_server.rpc.services import CombinedAdminServicer
from penstock_server.rpc.services.combined_admin import combined
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Serve, chat, create, ended, plain_channel, stream
from .every_rpc import Upstream, failing, running
from .test_reflection import ask

READY, DOWN, EJECTED = (
    admin_pb2.REPLICA_STATE_READY,
    admin_pb2.REPLICA_STATE_DOWN,
    admin_pb2.REPLICA_STATE_EJECTED,
)


@asynccontextmanager
async def admin_channel(service: Service) -> AsyncIterator[aio.Channel]:
    async with aio.insecure_channel(f"127.0.0.1:{service.admin.port}") as channel:
        yield channel


async def listed(channel: aio.Channel) -> ListUpstreamsResponse:
    answer: ListUpstreamsResponse = await AdminServiceStub(channel).ListUpstreams(
        ListUpstreamsRequest()
    )
    return answer


async def once(
    channel: aio.Channel, condition: Callable[[ListUpstreamsResponse], bool]
) -> ListUpstreamsResponse:
    """Returns the list as soon as a condition holds."""
    async with asyncio.timeout(60):
        while not condition(answer := await listed(channel)):
            pass
    return answer


def name(url: str) -> str:
    return url.removeprefix("http://")


def all_ready(answer: ListUpstreamsResponse) -> bool:
    return all(one.state == READY for one in answer.replicas)


async def test_workers_that_do_not_answer(tmp_path: Path) -> None:
    servicer = CombinedAdminServicer([f"unix:{tmp_path}/{number}" for number in range(2)])
    server = AdminServer(
        FREE_PORT, servicer, max_message_bytes=4096, max_request_entries=10, reflection=False
    )
    server.bind()
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            with pytest.raises(aio.AioRpcError) as raised:
                await listed(channel)
    finally:
        await server.stop()
    refusal = ended(raised.value)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "UPSTREAM_UNAVAILABLE",
    )
    assert refusal.message == "none of the 2 worker processes answered"
    assert refusal.request_id == refusal.trailers["x-request-id"] != ""
    assert int(refusal.pushback or 0) > 0
    assert refusal.retry_s


def test_the_certificate_of_several_workers() -> None:
    """The one that expires first, and a problem of any of them."""
    views = [ListUpstreamsResponse(certificate_problem=problem) for problem in ("", "expired")]
    assert not combined(views).HasField("certificate_expire_time")
    for view, seconds in zip(views, (20, 10), strict=True):
        view.certificate_expire_time.FromSeconds(seconds)
    found = combined(views)
    assert found.certificate_expire_time.ToSeconds() == 10
    assert found.certificate_problem == "expired"


async def test_a_healthy_upstream(serve: Serve) -> None:
    settings = SimulatorSettings(listen=FREE_PORT, models=("b", "a"), dialect="0.14.1")
    before = int(time())
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT, slow_start=0)
        async with admin_channel(service) as admin, plain_channel(service) as channel:
            [known] = (await once(admin, all_ready)).replicas
            assert not known.HasField("latency")
            assert (known.requests, known.errors, known.outstanding) == (0, 0, 0)
            await ChatCompletionServiceStub(channel).CreateChatCompletion(chat_of("a"))
            simulator.faults = "silent"
            waiting = ChatCompletionServiceStub(channel).CreateChatCompletion(chat_of("a"))
            await simulator.wait_active(1)
            answer = await listed(admin)
            waiting.cancel()
        [known] = answer.replicas
        latency_s = known.latency.ToMicroseconds() / 1e6
        assert 0 < latency_s < 5
        known.ClearField("latency")
        assert model_pb2.CAPABILITY_CHAT in known.capabilities
        assert model_pb2.CAPABILITY_EMBEDDING not in known.capabilities
        known.ClearField("capabilities")
        where = name(simulator.url)
    assert known == Replica(
        upstream=where,
        address=where,
        state=READY,
        models=["a", "b"],
        outstanding=1,
        requests=2,
        version="0.14.1",
        weight=1.0,
    )
    assert answer.server_version == "0.1.0"
    assert answer.configuration_generation == 1
    assert before <= answer.configuration_time.seconds <= time()


def chat_of(model: str) -> Any:
    request = chat()
    request.model = model
    return request


async def test_upstreams_in_different_states(serve: Serve) -> None:
    well = SimulatorSettings(listen=FREE_PORT, models=("m",))
    async with Simulator(well) as one, Simulator(well) as other:
        urls = sorted((one.url, other.url), key=name)
        service = await serve(upstream=tuple(reversed(urls)), admin_listen=FREE_PORT, slow_start=0)
        async with admin_channel(service) as admin:
            answer = await once(admin, all_ready)
            assert [known.upstream for known in answer.replicas] == [*map(name, urls)]
            other.healthy = False
            answer = await once(admin, lambda found: not all_ready(found))
        states = {known.upstream: known.state for known in answer.replicas}
        assert states == {name(one.url): READY, name(other.url): DOWN}
        assert all(list(known.models) == ["m"] for known in answer.replicas)


async def test_failed_calls(serve: Serve) -> None:
    async with running(Upstream(failing("503 x", code=503))) as upstream:
        service = await serve(
            upstream=(upstream.url,), admin_listen=FREE_PORT, upstream_api_key="sk-secret"
        )
        async with admin_channel(service) as admin, plain_channel(service) as channel:
            await create(channel, chat())
            answer = await listed(admin)
    [known] = answer.replicas
    assert known.requests == known.errors == known.consecutive_failures == upstream.requests >= 1
    assert known.last_error
    assert b"sk-secret" not in answer.SerializeToString()


async def test_it_is_not_on_the_public_port(service: Service) -> None:
    async with plain_channel(service) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await listed(channel)
        services = await ask(channel, "v1", list_services="")
    refusal = ended(raised.value)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "UNSUPPORTED_OPERATION",
    )
    assert "AdminService" not in str(services.list_services_response)


async def test_services_on_the_admin_port(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=("http://127.0.0.1:1",), admin_listen=FREE_PORT)
    async with admin_channel(service) as channel:
        for one in ("", "penstock.v1.AdminService"):
            answer = await HealthStub(channel).Check(HealthCheckRequest(service=one))
            assert answer.status == HealthCheckResponse.SERVING
        found = (await ask(channel, "v1", list_services="")).list_services_response.service
        assert {one.name for one in found} == {
            "penstock.v1.AdminService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        refused = await create(channel, chat())
        assert refused.reason == "UNSUPPORTED_OPERATION"
        assert "AdminService" in refused.message


async def test_without_reflection(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT, reflection=False)
    async with admin_channel(service) as channel:
        with pytest.raises(aio.AioRpcError):
            await ask(channel, "v1", list_services="")


async def test_it_answers_while_the_service_drains(serve: Serve, simulator: Simulator) -> None:
    simulator.faults = "silent"
    service = await serve(
        upstream=(simulator.url,), admin_listen=FREE_PORT, drain_delay=0.2, drain_timeout=30
    )
    async with admin_channel(service) as admin, plain_channel(service) as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
        await simulator.wait_active(1)
        # A call that arrives before the service drains is answered.
        simulator.faults = ""
        draining = asyncio.create_task(service.drain())
        async with asyncio.timeout(60):
            while (await stream(channel, chat())).code is grpc.StatusCode.OK:
                pass
        [known] = (await listed(admin)).replicas
        assert known.outstanding == 1
        call.cancel()
        await draining
        with pytest.raises(aio.AioRpcError):
            await listed(admin)


async def test_a_taken_port(serve: Serve, simulator: Simulator) -> None:
    first = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT)
    taken = f"127.0.0.1:{first.admin.port}"
    with pytest.raises(CannotListen, match=taken):
        await serve(upstream=(simulator.url,), admin_listen=taken)


async def test_a_socket(serve: Serve, simulator: Simulator, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/admin"
    service = await serve(upstream=(simulator.url,), admin_listen=address)
    assert (service.admin.address, service.admin.port) == (address, 0)
    async with aio.insecure_channel(address) as channel:
        assert (await listed(channel)).replicas


async def test_off(service: Service) -> None:
    assert (service.admin.address, service.admin.port) == ("", 0)


async def test_it_counts_reloads(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT)
    async with admin_channel(service) as channel:
        first = await listed(channel)
        assert configured(first)[0] == 1
        await service.reload(service.settings)
        assert configured(await listed(channel)) == configured(first)
        await service.reload(replace(service.settings, idle_timeout=1.0))
        second = await listed(channel)
    assert configured(second)[0] == 2
    assert configured(second)[1] > configured(first)[1]


def configured(answer: ListUpstreamsResponse) -> tuple[int, int]:
    return answer.configuration_generation, answer.configuration_time.ToNanoseconds()
