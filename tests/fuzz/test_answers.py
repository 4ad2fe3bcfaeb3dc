"""Any answer that an upstream can give to a unary request."""

import json
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode as Code
from hypothesis import given
from hypothesis import strategies as st
from rpc.calls import Serve
from rpc.every_rpc import EVERY_RPC, Called, names

from .answers import Answer, answers, paths_of
from .conversation import Conversation, conversing
from .profile import examples
from .streams import finished
from .test_requests import usual

pytestmark = pytest.mark.timeout(0)
# A stream request may get any answer, too; then there is no stream.
every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
_OURS = {*range(300, 400), 411, 431}
"""Statuses that mean that our request was wrong."""


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, max_attempts=1, **rpc.settings) as running:
        yield running


def has_its_choices(rpc: Called, answer: Answer) -> bool:
    """Returns whether an answer with choices has one finished choice, as usual requests need."""
    if not {"/v1/chat/completions", "/v1/completions"} & set(paths_of(rpc)):
        return True
    choices = json.loads(answer.body)["choices"]
    return bool(choices) and finished(choices)


@every_rpc
@examples(30)
@given(data=st.data())
async def test_any_answer(rpc: Called, conversation: Conversation, data: st.DataObject) -> None:
    answer = data.draw(answers(rpc))
    conversation.upstream.respond_with(answer.wire)
    result = await conversation.call(rpc, usual(rpc))
    if result.code is Code.OK:
        assert answer.status == 200
        assert not rpc.streams
        assert has_its_choices(rpc, answer)
    if result.reason == "GATEWAY_ERROR":
        assert int(result.metadata["upstreamStatus"]) in _OURS
