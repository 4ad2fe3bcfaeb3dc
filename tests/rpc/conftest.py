"""A channel without the client's retries: what happened once is seen once."""

from collections.abc import AsyncIterator

import pytest
from grpc import aio

from penstock_server.app import Service

from .calls import plain_channel


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[aio.Channel]:
    async with plain_channel(service) as opened:
        yield opened
