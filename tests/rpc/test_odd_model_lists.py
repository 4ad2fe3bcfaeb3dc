"""An odd entry in a model list does not affect other models, and is reported."""

import logging
from typing import Any

import pytest
from fleet.engine import Engine, said
from google.protobuf.json_format import MessageToDict
from grpc import aio

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.model_pb2 import GetModelRequest, ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub

from .calls import FREE_PORT, Serve, plain_channel, until
from .every_rpc import running

DEEP: Any = {}
for _ in range(200):
    DEEP = {"x": DEEP}

# An odd entry; the report about it; whether its model is listed.
ODD: dict[str, tuple[Any, str, bool]] = {
    "created with a fraction": (
        {"id": "odd", "created": 1700000000.5},
        "odd: created is 17000",
        True,
    ),
    "created as a text": ({"id": "odd", "created": "1700000000"}, "odd: created is '1700", True),
    "created in words": ({"id": "odd", "created": "yesterday"}, "odd: created is 'yest", True),
    "created as an object": ({"id": "odd", "created": {}}, "odd: created is an object", True),
    "created as a boolean": ({"id": "odd", "created": True}, "odd: created is True", True),
    "length as a text": ({"id": "odd", "max_model_len": "long"}, "odd: max_model_len is 'l", True),
    "owner as a list": ({"id": "odd", "owned_by": ["x"]}, "odd: owned_by is a list", True),
    "root as a number": ({"id": "odd", "root": 7}, "odd: root is 7", True),
    "parent as an object": ({"id": "odd", "parent": {}}, "odd: parent is an object", True),
    "no id": ({"name": "odd"}, "entry 1 was skipped: it has no id", False),
    "id as a number": ({"id": 7}, "entry 1 was skipped: it has no id", False),
    "id empty": ({"id": ""}, "entry 1 was skipped: it has no id", False),
    "no object": ("odd", "entry 1 was skipped: it has no id", False),
    "null": (None, "entry 1 was skipped: it has no id", False),
    "many oddities": ([{"id": "odd", "root": 7}] * 9, "; and 4 more", True),
}


@pytest.mark.parametrize(("entry", "description", "shown"), ODD.values(), ids=ODD)
async def test_an_odd_entry(
    entry: Any, description: str, shown: bool, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    entries = entry if isinstance(entry, list) else [entry]
    async with running(Engine()) as well, running(Engine()) as odd:
        odd.answers["/v1/models"] = said({"data": [{"id": "b"}, *entries]})
        with caplog.at_level(logging.WARNING, "penstock.fleet"):
            service = await serve(upstream=(well.url, odd.url), admin_listen=FREE_PORT)
            await until(lambda: all(one.models for one in service._fleet.snapshot()))
        async with plain_channel(service) as channel:
            stub = ModelServiceStub(channel)
            listed = await stub.ListModels(ListModelsRequest())
            assert (await stub.GetModel(GetModelRequest(model="a"))).model.id == "a"
        async with aio.insecure_channel(f"127.0.0.1:{service.admin.port}") as admin:
            known = await AdminServiceStub(admin).ListUpstreams(ListUpstreamsRequest())
    names = [model.id for model in listed.models]
    assert names == (["a", "b", "odd"] if shown else ["a", "b"])
    assert list(listed.unreachable) == []
    oddities = {one.upstream: one.model_list_oddities for one in known.replicas}
    name = odd.url.removeprefix("http://")
    assert description in oddities[name]
    assert oddities[well.url.removeprefix("http://")] == ""
    fields = {**_logged(caplog)}
    assert (fields["upstream"], fields["reason"]) == (name, oddities[name])


async def test_an_oddity_is_logged_once_until_it_is_fixed(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Engine()) as engine:
        engine.answers["/v1/models"] = said({"data": [{"id": "a"}, 7]})
        with caplog.at_level(logging.WARNING, "penstock.fleet"):
            service = await serve(upstream=(engine.url,))
            await until(lambda: engine.asked.count("/v1/models") > 3)
        _logged(caplog)
        [state] = service._fleet.snapshot()
        assert state.model_list_oddities
        engine.answers["/v1/models"] = said({"data": [{"id": "a"}]})
        await until(lambda: service._fleet.snapshot()[0].model_list_oddities == "")


async def test_an_entry_that_cannot_be_converted_is_omitted(serve: Serve) -> None:
    async with running(Engine()) as engine:
        listing = {"data": [{"id": "a"}, {"id": "b", "more": DEEP}]}
        engine.answers["/v1/models"] = said(listing)
        service = await serve(upstream=(engine.url,))
        async with plain_channel(service) as channel:
            listed = await ModelServiceStub(channel).ListModels(ListModelsRequest())
    assert "a" in [model["id"] for model in MessageToDict(listed)["models"]]


def _logged(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    [record] = [record for record in caplog.records if record.msg == "odd model list"]
    fields: dict[str, Any] = record.__dict__["fields"]
    return fields
