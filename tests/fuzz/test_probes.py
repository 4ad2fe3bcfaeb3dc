"""Any answer that an upstream can give to a probe."""

import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest
from fleet.engine import MISSING, Engine, engine
from hypothesis import given
from hypothesis import strategies as st
from upstream.wire import http

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock_server.convert import model
from penstock_server.convert.errors import MalformedAnswer
from penstock_server.fleet import Fleet, State
from penstock_server.fleet.probe import probe
from penstock_server.rpc.services import AdminServicer
from penstock_server.upstream.call import Call
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure

from .jsons import JSON_TEXTS, changed
from .profile import examples

pytestmark = pytest.mark.timeout(0)

ORDINARY: dict[str, Any] = {
    "/v1/models": {
        "object": "list",
        "data": [
            {
                "id": "org/base",
                "object": "model",
                "created": 1790000000,
                "owned_by": "vllm",
                "root": "org/base",
                "parent": None,
                "max_model_len": 512,
                "permission": [{"id": "modelperm-1", "allow_sampling": True}],
            },
            {"id": "adapter", "root": "/adapters/a", "parent": "org/base"},
        ],
    },
    "/openapi.json": {"openapi": "3.1.0", "paths": {"/v1/chat/completions": {"post": {}}}},
    "/version": {"version": "0.32.0"},
}
STATUSES = ("200 OK", "204 No Content", "302 Found", "401 No", "404 Not Found", "503 Busy")


@st.composite
def probe_answers(draw: st.DrawFn, path: str) -> bytes:
    """Generates an answer to a probe: valid, nearly valid, or anything."""
    how = draw(st.integers(0, 5))
    if how == 0:
        return draw(st.sampled_from([MISSING, b"\0", http(b"", status="500 x")]))
    if how == 1:
        text = draw(JSON_TEXTS)
    elif how == 2:
        text = json.dumps(ORDINARY[path])
    else:
        text = json.dumps(draw(changed(ORDINARY[path])))
    status = draw(st.sampled_from(STATUSES)) if draw(st.integers(0, 9)) == 0 else STATUSES[0]
    return http(text.encode("utf-8", "surrogatepass"), status=status)


@pytest.fixture
async def upstream() -> AsyncIterator[Engine]:
    async with engine() as running:
        yield running


@examples(150)
@given(data=st.data())
async def test_any_answer_to_a_probe(upstream: Engine, data: st.DataObject) -> None:
    upstream.answers = {path: data.draw(probe_answers(path)) for path in ORDINARY}
    upstream.answers["/health"] = http(b"")
    fleet = Fleet([UpstreamConfig(upstream.url)])
    try:
        for _ in range(2):
            await probe(fleet.replicas[0], 5)
        await shown(fleet)
    finally:
        fleet.close()


async def shown(fleet: Fleet) -> None:
    """Requests all known facts, as operators and callers can."""
    listed = await AdminServicer(fleet).ListUpstreams(ListUpstreamsRequest(), Mock())
    assert type(listed).FromString(listed.SerializeToString()) == listed
    [state] = fleet.snapshot()
    assert (state.state is State.DOWN) is (state.last_error != "")
    assert bool(state.models) is (fleet.healthy() is True)
    try:
        listing = await fleet.list_models(Call("id"))
        for entry, paths in listing.entries:
            model.model(entry, paths).SerializeToString()
    except (UpstreamFailure, MalformedAnswer):
        pass
