"""A channel without retries, so that tests see each failure."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import aio

from penstock_server.app import Service

from .calls import plain_channel
from .keyed import CallersFile


@pytest.fixture
def callers_file(tmp_path: Path) -> CallersFile:
    def write(content: str) -> str:
        path = tmp_path / "callers.toml"
        path.write_text(content)
        return str(path)

    return write


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[aio.Channel]:
    async with plain_channel(service) as opened:
        yield opened
