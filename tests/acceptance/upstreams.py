"""Upstreams of the service: servers of one kind of model, simulated or real."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import httpx
from servers import API_KEY, VllmServers

from penstock_server.simulator import Simulator, SimulatorSettings

_PATIENCE_S = 60.0
_POLL_S = 0.02
_PREFIX = re.compile("^(vllm:|ray_vllm_)")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of upstream.

    Attributes:
        server: the real server, by its name in `tests/vllm/servers.py`.
        model: the name of the model.
        simulated: the settings of a simulator of this kind.
        api_key: the key that the upstream requires.
    """

    server: str
    model: str
    simulated: SimulatorSettings
    api_key: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """Every name of the model."""
        return self.simulated.models


def _pooling(model: str, kind: str, **settings: Any) -> SimulatorSettings:
    return SimulatorSettings(models=(model,), kind=kind, max_model_len=256, **settings)


KINDS: Mapping[str, Kind] = {
    "chat": Kind("chat", "tiny-chat", SimulatorSettings()),
    # Answers like a real model at a high temperature.
    "random": Kind("chat", "tiny-chat", SimulatorSettings(fallback="random")),
    # Slow enough that callers can leave during a long answer, as with any real model.
    "slow": Kind(
        "keyed",
        "tiny-chat",
        SimulatorSettings(
            api_key=API_KEY,
            max_model_len=16384,
            time_to_first_token=0.05,
            inter_token_latency=0.05,
        ),
        api_key=API_KEY,
    ),
    "reason": Kind(
        "reason", "tiny-reason", SimulatorSettings(models=("tiny-reason",), reasoning=True)
    ),
    "embed": Kind("embed", "tiny-embed", _pooling("tiny-embed", "embed")),
    "embed-mrl": Kind(
        "embed-mrl", "tiny-embed-mrl", _pooling("tiny-embed-mrl", "embed", matryoshka=True)
    ),
    "token-embed": Kind(
        "token-embed",
        "tiny-token-embed",
        _pooling("tiny-token-embed", "embed", pooling_task="token_embed"),
    ),
    "rerank": Kind("rerank", "tiny-rerank", _pooling("tiny-rerank", "rerank")),
    "classify": Kind("classify", "tiny-classify", _pooling("tiny-classify", "classify")),
    "whisper": Kind(
        "whisper",
        "tiny-whisper",
        SimulatorSettings(models=("tiny-whisper",), kind="whisper", max_model_len=448),
    ),
    "realtime": Kind(
        "realtime",
        "tiny-realtime",
        SimulatorSettings(models=("tiny-realtime",), kind="realtime", max_model_len=16384),
    ),
    "keyed": Kind("keyed", "tiny-chat", SimulatorSettings(api_key=API_KEY), api_key=API_KEY),
}
"""Every kind that a case may name in its marker `upstream`."""


class Upstream(Protocol):
    """A running upstream."""

    @property
    def url(self) -> str:
        """The base URL."""

    async def wait_running(self) -> None:
        """Returns once it generates."""

    async def wait_stopped(self, tokens: int) -> None:
        """Returns once it has stopped generating, before it has generated this many tokens."""


@asynccontextmanager
async def simulated(kind: Kind, dialect: str) -> AsyncIterator[Upstream]:
    """Yields a simulator of a kind that imitates a version of vLLM."""
    settings = replace(kind.simulated, listen="127.0.0.1:0", dialect=dialect)
    async with Simulator(settings) as simulator:
        yield _Simulated(simulator, _here)


def simulated_by(simulator: Simulator, run: "Run") -> Upstream:
    """Returns a running simulator, which may belong to another event loop."""
    return _Simulated(simulator, run)


@asynccontextmanager
async def real(kind: Kind, servers: VllmServers) -> AsyncIterator[Upstream]:
    """Yields the running vLLM server of a kind."""
    async with real_at(servers.url(kind.server)) as upstream:
        yield upstream


@asynccontextmanager
async def real_at(url: str) -> AsyncIterator[Upstream]:
    """Yields the running vLLM server at a URL."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as metrics:
        yield _Real(url, metrics)


Run = Callable[[Coroutine[Any, Any, None]], Awaitable[None]]


async def _here(work: Coroutine[Any, Any, None]) -> None:
    await work


class _Simulated:
    def __init__(self, simulator: Simulator, run: Run) -> None:
        self._simulator = simulator
        self._run = run
        self._aborted = simulator.aborted

    @property
    def url(self) -> str:
        return self._simulator.url

    async def wait_running(self) -> None:
        await self._run(self._simulator.wait_active(1))

    async def wait_stopped(self, tokens: int) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await self._run(self._simulator.wait_active(0))
        assert self._simulator.aborted == self._aborted + 1


class _Real:
    def __init__(self, url: str, metrics: httpx.AsyncClient) -> None:
        self.url = url
        self._metrics = metrics
        self._generated = 0.0

    async def wait_running(self) -> None:
        self._generated = (await self._read())["generation_tokens_total"]
        await self._wait(lambda read: read["num_requests_running"] > 0)

    async def wait_stopped(self, tokens: int) -> None:
        read = await self._wait(
            lambda read: read["num_requests_running"] == read["num_requests_waiting"] == 0
        )
        assert read["generation_tokens_total"] - self._generated < tokens

    async def _wait(self, holds: Callable[[Mapping[str, float]], bool]) -> Mapping[str, float]:
        # Another process can only be polled.
        async with asyncio.timeout(_PATIENCE_S):
            while not holds(read := await self._read()):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        return read

    async def _read(self) -> Mapping[str, float]:
        """Returns the engine's metrics by name, summed over their labels."""
        # Ray names a counter when it is increased first.
        read = defaultdict[str, float](float)
        for line in (await self._metrics.get("/metrics")).text.splitlines():
            name, _, labelled = line.partition("{")
            if labelled:
                read[_PREFIX.sub("", name)] += float(labelled.rpartition(" ")[2])
        return read
