"""Only `make test-mesh` collects these: they need the Envoy and the Chromium that it installs."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import Serve
from tiers import unless_named

from mesh.gateway import Mesh, mesh

StartMesh = Callable[..., Awaitable[Mesh]]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leaves this folder out unless a command line names it."""
    return unless_named(Path(__file__).parent, config)


@pytest.fixture
async def start(serve: Serve, tmp_path: Path) -> Any:
    """Starts two Penstocks behind an Envoy; see `mesh`."""
    async with AsyncExitStack() as running:

        async def started(*upstreams: Any, **options: Any) -> Mesh:
            return await running.enter_async_context(mesh(serve, tmp_path, *upstreams, **options))

        yield started
