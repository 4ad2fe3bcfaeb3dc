"""Common fixtures: a simulator, a service in front of it, and a channel to the service."""

import asyncio
import faulthandler
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from grpc import aio
from skipping import PythonLoop, UvLoop, skip

from penstock.channel import open_async_channel
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.telemetry.events import BY_OUTCOME, EVENTS

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
FREE_PORT = "127.0.0.1:0"

Serve = Callable[..., Awaitable[Service]]
__all__ = ["FREE_PORT", "Serve", "skip", "unlimited"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that select what the acceptance suite runs against."""
    parser.addoption(
        "--upstream",
        choices=("simulator", "vllm"),
        default="simulator",
        help="upstream of the service in tests/acceptance",
    )
    parser.addoption(
        "--router",
        default="",
        help="program of tests/routers between the two; none by default",
    )


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Runs tests on the event loop of the service, or on Python's own where that is in use."""
    loops: dict[str, LoopFactory] = {
        "uvloop": UvLoop,
        "asyncio": PythonLoop,
    }
    match item.path.parent.name:
        case "upstream":
            return loops  # which differ most in the events of connections
        case "cli" | "configuration":
            # As in the process that watches workers. These start processes: uvloop runs Python
            # between fork and exec, where another thread's lock may never be released.
            del loops["uvloop"]
        case _:
            del loops["asyncio"]
    return loops


def pytest_collection() -> None:
    """Suspends the garbage collection during the collection of tests, which leaves no garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Excludes the tests, a large part of all objects, from every garbage collection."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Limits the time of a teardown: after a failure, pytest removes the time limit of the test."""
    if isinstance(node, pytest.Item):
        _limit_time(node.config)


@contextmanager
def unlimited(config: pytest.Config) -> Iterator[None]:
    """Suspends the time limit of fixtures, for work that ends by itself however long it takes."""
    faulthandler.cancel_dump_traceback_later()
    yield
    _limit_time(config)


def _limit_time(config: pytest.Config) -> None:
    limit = float(config.getini("faulthandler_timeout"))
    # The run's standard error: that of the test is captured and would be lost if the process exits.
    stderr = config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(limit, exit=True, file=stderr)


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Restores the log level, because pytest keeps every line that a test logs."""
    logger = logging.getLogger("penstock")
    before = logger.level
    yield
    logger.setLevel(before)


class _Events(logging.Handler):
    """Compares what is logged with the list of events."""

    def __init__(self) -> None:
        super().__init__()
        self.unlisted: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "penstock.client":
            return  # the debug log of the Python client
        event = EVENTS.get(record.msg)
        fields: set[str] = set(getattr(record, "fields", {}))
        known = event and event.level in (BY_OUTCOME, record.levelname.lower())
        if not event or not known or not (event.others or fields <= set(event.fields)):
            self.unlisted.append(f"{record.levelname} {record.msg} {fields}")


@pytest.fixture(autouse=True)
def listed_events() -> Iterator[None]:
    """Requires that the list of events contains all that a test logs."""
    handler, logger = _Events(), logging.getLogger("penstock")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    assert not handler.unlisted


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulator on a free port."""
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as running:
        yield running


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts services: `await serve(upstream=(url,), idle_timeout=0.2)`."""
    async with AsyncExitStack() as running:

        async def start(**settings: Any) -> Service:
            defaults: dict[str, Any] = {
                "listen": FREE_PORT,
                "admin_listen": "",
                "metrics_listen": "",
                "probe_interval": 0.05,
                "probe_timeout": 60,  # on a busy machine, a healthy upstream may answer late
            }
            service = Service(Settings(**(defaults | settings)))
            return await running.enter_async_context(service)

        yield start


@pytest.fixture
async def service(simulator: Simulator, serve: Serve) -> Service:
    """The service in front of the simulator."""
    return await serve(upstream=(simulator.url,))


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[aio.Channel]:
    """A channel to the service."""
    async with open_async_channel(f"127.0.0.1:{service.port}") as opened:
        yield opened
