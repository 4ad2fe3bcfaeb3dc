"""Any stream that an upstream can send."""

from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode as Code
from hypothesis import given
from hypothesis import strategies as st
from rpc.calls import Serve
from rpc.every_rpc import EVERY_RPC, Called, names

from .conversation import Conversation, conversing
from .profile import examples
from .streams import Written, complete, real_streams, spoiled
from .test_requests import usual

pytestmark = pytest.mark.timeout(0)
STREAMING = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
every_stream = pytest.mark.parametrize("rpc", STREAMING, ids=names(STREAMING))
_CUTS = st.lists(st.integers(0, 5000), max_size=4).map(tuple)


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, **rpc.settings) as running:
        yield running


@pytest.fixture
def real(rpc: Called) -> list[Written]:
    return real_streams(rpc)


@every_stream
@examples(50)
@given(data=st.data(), cuts=_CUTS)
async def test_ok_means_complete(
    rpc: Called,
    conversation: Conversation,
    real: list[Written],
    data: st.DataObject,
    cuts: tuple[int, ...],
) -> None:
    written = data.draw(spoiled(real))
    conversation.upstream.respond_with(written.wire, cuts)
    result = await conversation.call(rpc, usual(rpc))
    assert result.reason != "GATEWAY_ERROR"
    if result.code is Code.OK:
        assert complete(rpc, written.body)
