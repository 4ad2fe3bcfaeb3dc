"""Any request that a caller can make, valid or not."""

from collections.abc import AsyncIterator

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from grpc import StatusCode as Code
from hypothesis import given
from hypothesis import strategies as st
from rpc.calls import Serve
from rpc.every_rpc import EVERY_RPC, Called, names

from .answers import ordinary
from .conversation import Conversation, conversing, message_type
from .messages import messages
from .profile import examples
from .streams import real_streams

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
pytestmark = pytest.mark.timeout(0)


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, **rpc.settings) as running:
        await _find_answer(rpc, running)
        yield running


async def _find_answer(rpc: Called, running: Conversation) -> None:
    """Makes the upstream send the first captured answer that fits the usual request."""
    for answer in real_streams(rpc) if rpc.streams else ordinary(rpc):
        running.upstream.respond_with(answer.wire)
        if (await running.call(rpc, usual(rpc))).code is Code.OK:
            return
    raise AssertionError("no captured answer fits")


def usual(rpc: Called) -> list[bytes]:
    """Returns the messages of a usual call."""
    kind = message_type(rpc, "input")
    return [text_format.Parse(text, kind()).SerializeToString() for text in rpc.requests]


def bytes_of(message: Message) -> bytes:
    """Returns the serialized message."""
    return message.SerializeToString()


@st.composite
def requests(draw: st.DrawFn, rpc: Called) -> list[bytes]:
    """Generates messages of a call: any, or a usual one with additions."""
    kind = messages(message_type(rpc, "input")).map(bytes_of)
    made = [draw(kind) for _ in rpc.requests]
    if draw(st.booleans()):
        # Two serialized messages in sequence are the two messages merged.
        made = [one + another for one, another in zip(usual(rpc), made, strict=True)]
    if rpc.uploads:
        made += draw(st.lists(kind, max_size=2))
    return made


@every_rpc
@examples(20)
@given(data=st.data())
async def test_any_message(rpc: Called, conversation: Conversation, data: st.DataObject) -> None:
    result = await conversation.call(rpc, data.draw(requests(rpc)))
    assert result.reason != "GATEWAY_ERROR"
    if result.code is Code.INVALID_ARGUMENT:
        assert result.fields or "decoded" in result.message


@every_rpc
@examples(15)
@given(data=st.data())
async def test_any_bytes(rpc: Called, conversation: Conversation, data: st.DataObject) -> None:
    sent = data.draw(requests(rpc))
    whole = bytearray(sent[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    result = await conversation.call(rpc, [bytes(whole), *sent[1:]])
    assert result.reason != "GATEWAY_ERROR"


_KEYS = (
    "x-request-id",
    "x-llm-model",
    "x-session-id",
    "x-vllm-priority",
    "x-data-parallel-rank",
    "x-gateway-inference-objective",
    "traceparent",
    "tracestate",
    "authorization",
    "user-agent",
    "x-made-up",
)
_VALUES = st.one_of(
    st.sampled_from(["", "1", "m", "-9" * 9, "9" * 19, "a" * 2000, "²"]).filter(str.isascii),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


@every_rpc
@examples(10)
@given(metadata=st.lists(st.tuples(st.sampled_from(_KEYS), _VALUES), max_size=4))
async def test_any_metadata(
    rpc: Called, conversation: Conversation, metadata: list[tuple[str, str]]
) -> None:
    result = await conversation.call(rpc, usual(rpc), metadata)
    assert result.code in (Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND)
