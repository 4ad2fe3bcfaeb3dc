"""Any stream that an upstream can send."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import StatusCode as Code
from hypothesis import given
from hypothesis import strategies as st
from rpc.calls import Serve
from rpc.every_rpc import EVERY_RPC, Called, names

from .conversation import Conversation, conversing, message_type
from .profile import examples
from .streams import complete, harmless, real_streams, spoiled
from .test_requests import usual

pytestmark = pytest.mark.timeout(0)
STREAMING = tuple(rpc for rpc in EVERY_RPC if rpc.streams)
every_stream = pytest.mark.parametrize("rpc", STREAMING, ids=names(STREAMING))
_CUTS = st.lists(st.integers(0, 5000), max_size=4).map(tuple)


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, **rpc.settings) as running:
        yield running


@every_stream
@examples(25)
@given(data=st.data(), cuts=_CUTS)
async def test_how_it_is_written_does_not_matter(
    rpc: Called, conversation: Conversation, data: st.DataObject, cuts: tuple[int, ...]
) -> None:
    plain, written = data.draw(harmless(real_streams(rpc)))
    conversation.upstream.tell(plain.wire)
    assert (await conversation.call(rpc, usual(rpc))).code is Code.OK
    expected = said(rpc, conversation.received)
    conversation.upstream.tell(written.wire, cuts)
    assert (await conversation.call(rpc, usual(rpc))).code is Code.OK
    assert said(rpc, conversation.received) == expected


def said(rpc: Called, received: list[bytes]) -> Any:
    """What a stream told; texts are joined, since many that wait are told in one message."""
    kind = message_type(rpc, "output")
    choices = [
        choice for one in received for choice in getattr(kind.FromString(one), "choices", ())
    ]
    if not choices:
        return len(received)
    return "".join(getattr(choice, "text", "") or choice.delta.content for choice in choices)


@every_stream
@examples(100)
@given(data=st.data(), cuts=_CUTS)
async def test_ok_means_complete(
    rpc: Called, conversation: Conversation, data: st.DataObject, cuts: tuple[int, ...]
) -> None:
    written = data.draw(spoiled(real_streams(rpc)))
    conversation.upstream.tell(written.wire, cuts)
    result = await conversation.call(rpc, usual(rpc))
    assert result.reason != "GATEWAY_ERROR"
    if result.code is Code.OK:
        assert complete(rpc, written.body)
