"""The upstream that a case asks for, the service in front of it, and stubs to that.

A case names its upstream by the marker `upstream("reason")`, in a function, class or module;
without one it gets `chat`. Whether the upstream is simulated or real is the option `--upstream`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Serve
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from servers import VllmServers

from penstock.channel import open_async_channel
from penstock_server.simulator.dialects.versions import NEWEST

from .chats import Chats
from .dialects import DIALECTS, possible
from .upstreams import KINDS, Kind, Upstream, real, simulated

HERE = Path(__file__).parent
CASE_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Target:
    """What a case runs against.

    Attributes:
        kind: the kind of upstream.
        upstream: the upstream itself.
        channel: to the service in front of it.
    """

    kind: Kind
    upstream: Upstream
    channel: aio.Channel


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "upstream(kind): the kind of upstream of the case")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what only a real vLLM can answer, where there is none."""
    only_real = collection_path.name.startswith("test_live_")
    return True if only_real and config.getoption("--upstream") == "simulator" else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each case in each dialect, where the upstream is simulated."""
    simulated = metafunc.config.getoption("--upstream") == "simulator"
    if simulated and "target" in metafunc.fixturenames:
        metafunc.parametrize("dialect", DIALECTS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if HERE in item.path.parents]
    for item in own:
        # The time that servers take to start does not count.
        item.add_marker(pytest.mark.timeout(CASE_LIMIT_S, func_only=True))
    impossible = [item for item in own if not possible(item)]
    config.hook.pytest_deselected(items=impossible)
    items[:] = [item for item in items if item not in impossible]


@pytest.fixture(scope="session")
def vllm(request: pytest.FixtureRequest) -> Iterator[VllmServers | None]:
    """Every vLLM server that the collected cases need; None where upstreams are simulated."""
    if request.config.getoption("--upstream") == "simulator":
        yield None
        return
    cases = [item for item in request.session.items if HERE in item.path.parents]
    needed = dict.fromkeys(_kind(case).server for case in cases)
    with VllmServers(needed) as running:
        yield running


@pytest.fixture
def dialect() -> str:
    """The version of vLLM that a simulated upstream speaks like."""
    return NEWEST


@pytest.fixture
async def target(
    request: pytest.FixtureRequest, vllm: VllmServers | None, serve: Serve, dialect: str
) -> AsyncIterator[Target]:
    """A service in front of the upstream that the case asks for."""
    kind = _kind(request.node)
    async with AsyncExitStack() as stack:
        start = real(kind, vllm) if vllm else simulated(kind, dialect)
        upstream = await stack.enter_async_context(start)
        service = await serve(
            upstream=(upstream.url,), upstream_api_key=kind.api_key, probe_interval=1.0
        )
        opened = open_async_channel(f"127.0.0.1:{service.port}")
        channel = await stack.enter_async_context(opened)
        await serving(channel)
        yield Target(kind, upstream, channel)


@pytest.fixture
def chats(target: Target) -> Chats:
    """Chats with the model."""
    return Chats(target.channel)


async def serving(channel: aio.Channel) -> None:
    """Waits until the service knows its upstream."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(CASE_LIMIT_S):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
    watch.cancel()


def _kind(case: pytest.Item) -> Kind:
    marker = case.get_closest_marker("upstream")
    return KINDS[marker.args[0] if marker else "chat"]
