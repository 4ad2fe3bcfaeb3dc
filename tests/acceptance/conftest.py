"""The upstream that a case requires, the service in front of it, and stubs of that service.

A case names its upstream by the marker `upstream("reason")` of its function, class or module; the
default is `chat`. The option `--upstream` selects simulated or real upstreams.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import expected_failures
import pytest
from conftest import Serve, unlimited
from expected_failures import dialect_of
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from routers.losses import mark_losses
from routers.programs import ROUTERS
from servers import VllmServers, other_version

from penstock.channel import open_async_channel
from penstock_server.simulator.dialects.versions import NEWEST

from .chats import Chats
from .dialects import DIALECTS, is_repeated, mark_impossible
from .routed import RoutedUpstreams
from .upstreams import KINDS, Kind, Upstream, real, simulated

HERE = Path(__file__).parent
CASE_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Target:
    """A service and its upstream, for one case.

    Attributes:
        kind: the kind of upstream.
        upstream: the upstream itself.
        address: the address of the service.
        channel: a channel to the service.
    """

    kind: Kind
    upstream: Upstream
    address: str
    channel: aio.Channel


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "upstream(kind): the kind of upstream of the case")
    config.addinivalue_line("markers", "flags(*options): options of the case's own vLLM server")
    config.pluginmanager.register(expected_failures)
    program = _router(config)
    if program and ROUTERS[program].starts and _is_simulated(config):
        raise pytest.UsageError(f"{program} starts its own vLLMs: --upstream=vllm is required")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignores tests that require a real vLLM or a websocket if there is none.

    No router is configured for websockets.
    """
    name = collection_path.name
    only_real = name.startswith("test_live_") and _is_simulated(config)
    direct = name.startswith(("test_live_", "test_realtime")) and _router(config)
    return True if only_real or direct else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each case in each dialect if upstreams are simulated."""
    if _is_simulated(metafunc.config) and "target" in metafunc.fixturenames:
        metafunc.parametrize("dialect", (NEWEST,) if _router(metafunc.config) else DIALECTS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if HERE in item.path.parents]
    for item in own:
        # The limit excludes fixtures: servers start slowly.
        item.add_marker(pytest.mark.timeout(CASE_LIMIT_S, func_only=True))
        mark_losses(item, _router(config))
        mark_impossible(item, _version(item), simulated=_is_simulated(config))
    left_out = [
        item for item in own if is_repeated(item, dialect_of(item)) or _needs_more_servers(item)
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if not _is_simulated(config):
        _sort_by_server(items)


def _sort_by_server(items: list[pytest.Item]) -> None:
    """Puts cases of the same server one after the other, after those of none."""
    places = {server: place for place, server in enumerate(dict.fromkeys(map(_server, items)), 1)}
    items.sort(key=lambda item: places[_server(item)] if _server(item) else 0)


@pytest.fixture(scope="session")
def vllm(request: pytest.FixtureRequest) -> Iterator[VllmServers | None]:
    """Servers that cases start; None if upstreams are simulated."""
    if _is_simulated(request.config) or _router(request.config):
        yield None
        return
    with VllmServers() as servers:
        yield servers


@pytest.fixture
def engines(request: pytest.FixtureRequest, vllm: VllmServers | None) -> VllmServers | None:
    """The vLLM server of the case runs; None if upstreams are simulated.

    The server of later cases starts meanwhile: a start takes as long as the cases of a server.
    """
    if vllm:
        with unlimited(request.config):
            vllm.run_only(_server(request.node), following=_following(request.node))
    return vllm


@pytest.fixture(scope="session")
def routed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoutedUpstreams | None]:
    """The routers in front of the upstreams; None if there are none."""
    if not (program := _router(request.config)):
        yield None
        return
    simulated = _is_simulated(request.config)
    with RoutedUpstreams(program, tmp_path_factory.mktemp(program), simulated=simulated) as running:
        yield running


@pytest.fixture
def serve(request: pytest.FixtureRequest, serve: Serve) -> Serve:
    """Starts services with the options that the router requires, if there is one."""
    if not (program := _router(request.config)):
        return serve
    # Not every router reports which names belong to the same model.
    return partial(serve, default_model=_kind(request.node).model, **ROUTERS[program].settings)


@pytest.fixture
def dialect() -> str:
    """The version of vLLM that a simulated upstream imitates."""
    return NEWEST


@pytest.fixture
async def target(
    request: pytest.FixtureRequest,
    engines: VllmServers | None,
    routed: RoutedUpstreams | None,
    serve: Serve,
    dialect: str,
) -> AsyncIterator[Target]:
    """A service in front of the upstream that the case requires."""
    kind = _kind(request.node)
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(_upstream(kind, engines, routed, dialect))
        service = await serve(
            upstream=(upstream.url,),
            upstream_api_key=kind.api_key,
            probe_interval=1.0,
        )
        address = f"127.0.0.1:{service.port}"
        channel = await stack.enter_async_context(open_async_channel(address))
        await serving(channel)
        yield Target(kind, upstream, address, channel)


@pytest.fixture
def chats(target: Target) -> Chats:
    """Chats with the model of the upstream."""
    return Chats(target.channel)


async def serving(channel: aio.Channel) -> None:
    """Waits until the service knows its upstream."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(CASE_LIMIT_S):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
    watch.cancel()


def _upstream(
    kind: Kind, engines: VllmServers | None, routed: RoutedUpstreams | None, dialect: str
) -> AbstractAsyncContextManager[Upstream]:
    if routed:
        return routed.upstream(kind)
    return real(kind, engines) if engines else simulated(kind, dialect)


def _is_simulated(config: pytest.Config) -> bool:
    return bool(config.getoption("--upstream") == "simulator")


def _router(config: pytest.Config) -> str:
    return str(config.getoption("--router"))


def _version(item: pytest.Item) -> str:
    """Returns the version of vLLM that a case runs against, real or simulated."""
    if _is_simulated(item.config):
        return dialect_of(item)
    program = _router(item.config)
    started = ROUTERS[program].starts if program else ""
    return started or other_version() or NEWEST


def _needs_more_servers(item: pytest.Item) -> bool:
    """Returns whether a case requires real servers other than two for chats behind a router."""
    real = not _is_simulated(item.config) and _router(item.config)
    return bool(real and _kind(item) is not KINDS["chat"])


def _server(item: pytest.Item) -> str:
    """Returns the name of the real server of a case; empty if it starts its own."""
    names = item.fixturenames if isinstance(item, pytest.Function) else ()
    return _kind(item).server if "engines" in names else ""


def _following(case: pytest.Item) -> str | None:
    """Returns the server that cases require after those of this case's server."""
    servers = list(dict.fromkeys(filter(None, map(_server, case.session.items))))
    later = servers[servers.index(_server(case)) + 1 :]
    return later[0] if later else None


def _kind(case: pytest.Item) -> Kind:
    marker = case.get_closest_marker("upstream")
    return KINDS[marker.args[0] if marker else "chat"]
