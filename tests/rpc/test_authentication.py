"""Authentication: keys and the models that they may use."""

import logging
from typing import Any

import pytest
from conftest import FREE_PORT
from fleet.engine import engine, said
from grpc import StatusCode as Code
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.v1.model_pb2 import GetModelRequest, ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, Ended, Serve, chat, create, ended, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running
from .keyed import (
    DIGEST,
    KEYS,
    LIMITED,
    OTHER,
    SECRET,
    CallersFile,
    Clock,
    at_the_clock,
    bearer,
    calls_heard,
)
from .test_health import SERVING, Watcher

QUIET = {"probe_interval": 3600}

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
WITH_MODEL = tuple(rpc for rpc in EVERY_RPC if "ListModels" not in rpc.name)


CREDENTIALS = {
    "no key": ((), "no credentials"),
    "wrong key": (bearer("sk-wrong"), "unknown"),
    "a digest": (bearer(DIGEST), "unknown"),
    "empty": ((("authorization", ""),), "no credentials"),
    "no scheme": ((("authorization", SECRET),), "malformed"),
    "another scheme": ((("authorization", f"Basic {SECRET}"),), "malformed"),
    "no secret": ((("authorization", "Bearer "),), "malformed"),
    "in two": (bearer(SECRET) * 2, "more than one"),
    "two keys": (bearer(SECRET) + bearer(OTHER), "more than one"),
    "two in one": ((("authorization", f"Bearer {SECRET}, Bearer {OTHER}"),), "unknown"),
    "too many": (bearer(SECRET + "x"), "unknown"),
    "6 KiB": (bearer("x" * 6 * 1024), "unknown"),
}


@pytest.mark.parametrize(("metadata", "problem"), CREDENTIALS.values(), ids=CREDENTIALS)
async def test_bad_credentials(
    metadata: Any, problem: str, serve: Serve, callers_file: CallersFile
) -> None:
    async with running(Upstream(failing("500 x"))) as upstream:
        service = await serve(upstream=(upstream.url,), callers_file=callers_file(KEYS), **QUIET)
        async with plain_channel(service) as channel:
            unary = await create(channel, chat(), metadata=metadata)
            streamed = await stream(channel, chat(), metadata=metadata)
    for result in (unary, streamed):
        assert (result.code, result.reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
        assert problem in result.message
        assert (result.retry_s, result.pushback, result.metadata) == (None, None, {})
        assert SECRET not in str(result)
    assert upstream.requests == 0


@every_rpc
async def test_every_rpc_requires_a_key(
    rpc: Called, serve: Serve, callers_file: CallersFile
) -> None:
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        settings = {"upstream": (upstream.url,), "callers_file": callers_file(KEYS)}
        service = await serve(**settings, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            for metadata in ((), bearer("sk-wrong"), bearer(SECRET) * 2):
                result = await rpc.run(service, channel, timeout=BOUND_S, metadata=metadata)
                assert (result.code, result.reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
                assert result.request_id
            assert upstream.requests == 0
            result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
    assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_INTERNAL")
    assert upstream.requests > 0


@pytest.mark.parametrize("rpc", WITH_MODEL, ids=names(WITH_MODEL))
async def test_every_rpc_of_a_forbidden_model(
    rpc: Called, serve: Serve, callers_file: CallersFile
) -> None:
    rpc = naming_a_model(rpc)
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        settings = {"upstream": (upstream.url,), "callers_file": callers_file(KEYS)}
        service = await serve(**settings, **QUIET, **rpc.settings)
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(OTHER))
            assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "MODEL_FORBIDDEN")
            assert result.metadata == {"model": "m"}
            assert (result.retry_s, result.pushback) == (None, None)
            assert upstream.requests == 0
            result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
    assert result.reason == "UPSTREAM_INTERNAL"


def naming_a_model(rpc: Called) -> Called:
    if 'model: "m"' in rpc.requests[0]:
        return rpc
    return Called(rpc.name, (f'model: "m" {rpc.requests[0]}',), rpc.event, rpc.settings)


@pytest.mark.parametrize(
    ("model", "forbidden"),
    [
        ("tiny-chat", False),
        ("lab/anything/at-all", False),
        ("lab", True),
        ("tiny-chat2", True),
        ("Tiny-chat", True),
        ("tiny-chat\n", True),
        ("x\nlab/y", True),
    ],
)
async def test_patterns(
    model: str, forbidden: bool, serve: Serve, callers_file: CallersFile
) -> None:
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        service = await serve(upstream=(upstream.url,), callers_file=callers_file(KEYS), **QUIET)
        async with plain_channel(service) as channel:
            request = chat()
            request.model = model
            result = await create(channel, request, metadata=bearer(OTHER))
    assert result.reason == ("MODEL_FORBIDDEN" if forbidden else "UPSTREAM_INTERNAL")


NO_METHOD = f"""
[[caller]]
name = "team-a"
keys = ["{SECRET}"]
methods = ["penstock.v1.NoService/*", "penstock.v1.*/No"]
"""
METHODS = f"""
[[caller]]
name = "team-a"
keys = ["{SECRET}", "{OTHER}"]
methods = ["penstock.v1.ChatCompletionService/*", "penstock.v1.ModelService/GetModel"]
"""


@every_rpc
async def test_every_rpc_that_the_caller_may_not_call(
    rpc: Called, serve: Serve, callers_file: CallersFile
) -> None:
    allowed = METHODS.replace("ModelService/GetModel", rpc.name)
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        settings = {"upstream": (upstream.url,), **QUIET, **rpc.settings}
        refusing = await serve(callers_file=callers_file(NO_METHOD), **settings)
        async with plain_channel(refusing) as channel:
            result = await rpc.run(refusing, channel, timeout=BOUND_S, metadata=bearer(SECRET))
        assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "METHOD_FORBIDDEN")
        assert result.metadata["method"] == f"penstock.v1.{rpc.name}"
        assert upstream.requests == 0
        service = await serve(callers_file=callers_file(allowed), **settings)
        async with plain_channel(service) as channel:
            # Both keys are the caller's.
            for secret in (SECRET, OTHER):
                result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(secret))
                assert result.reason == "UPSTREAM_INTERNAL"


async def test_the_names_of_other_models_are_hidden(
    serve: Serve, callers_file: CallersFile
) -> None:
    models = ("secret-project", "lab/one")
    async with Simulator(SimulatorSettings(listen=FREE_PORT, models=models)) as simulator:
        service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
        async with plain_channel(service) as channel:
            await Watcher(channel).until(SERVING)
            request = chat()
            request.model = "lab/two"
            for call in (create, stream):
                result = await call(channel, request, metadata=bearer(OTHER))
                assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
                assert result.message.endswith("served are: lab/one")
                assert "secret" not in str(result)


async def test_the_parent_of_an_adapter_is_hidden(serve: Serve, callers_file: CallersFile) -> None:
    async with engine() as upstream:
        listed = [{"id": "secret-project"}, {"id": "lab/one", "parent": "secret-project"}]
        upstream.answers["/v1/models"] = said({"data": listed})
        service = await serve(upstream=(upstream.url,), callers_file=callers_file(KEYS))
        async with plain_channel(service) as channel:
            stub, wanted = ModelServiceStub(channel), GetModelRequest(model="lab/one")
            for secret, parent in ((SECRET, "secret-project"), (OTHER, "")):
                listing = await stub.ListModels(ListModelsRequest(), metadata=bearer(secret))
                answer = await stub.GetModel(wanted, metadata=bearer(secret))
                assert listing.models[0] == answer.model
                assert answer.model.parent == parent
        await service.stop(0)


async def test_a_request_without_a_model(serve: Serve, callers_file: CallersFile) -> None:
    async with (
        Simulator(SimulatorSettings(listen=FREE_PORT, models=("secret-project",))) as secret,
        Simulator(SimulatorSettings(listen=FREE_PORT, models=("tiny-chat",))) as open_to_it,
    ):
        alone = await serve(upstream=(secret.url,), callers_file=callers_file(KEYS))
        async with plain_channel(alone) as channel:
            await ModelServiceStub(channel).ListModels(ListModelsRequest(), metadata=bearer(SECRET))
            for call in (create, stream):
                result = await call(channel, chat(), metadata=bearer(OTHER))
                assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "MODEL_FORBIDDEN")
                assert "secret-project" not in str(result)
            assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
        both = await serve(upstream=(secret.url, open_to_it.url), callers_file=callers_file(KEYS))
        async with plain_channel(both) as channel:
            heard = len(calls_heard(secret))
            for _ in range(5):
                assert (await stream(channel, chat(), metadata=bearer(OTHER))).code is Code.OK
            assert len(calls_heard(secret)) == heard


async def test_a_request_without_a_model_while_none_is_known(
    serve: Serve, callers_file: CallersFile
) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, models=("tiny-chat",))) as simulator:
        for _ in range(10):
            # The upstream is asked for its models before the first call is refused.
            service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
            async with plain_channel(service) as channel:
                assert (await stream(channel, chat(), metadata=bearer(OTHER))).code is Code.OK
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
    async with plain_channel(service) as channel:
        result = await create(channel, chat(), metadata=bearer(OTHER))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")


async def test_the_models_of_a_key(serve: Serve, callers_file: CallersFile) -> None:
    models = ("tiny-chat", "lab/one", "secret-project")
    async with Simulator(SimulatorSettings(listen=FREE_PORT, models=models)) as simulator:
        service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
        async with plain_channel(service) as channel:
            stub = ModelServiceStub(channel)
            for secret, listed in ((SECRET, models), (OTHER, models[:2])):
                answer = await stub.ListModels(ListModelsRequest(), metadata=bearer(secret))
                assert {model.id for model in answer.models} == set(listed)
            found = await stub.GetModel(GetModelRequest(model="lab/one"), metadata=bearer(OTHER))
            assert found.model.id == "lab/one"
            for name in ("secret-project", "not-there"):
                result = await get_model(stub, name, OTHER)
                assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "MODEL_FORBIDDEN")
            result = await get_model(stub, "lab/not-there", OTHER)
            assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
            assert "secret-project" not in str(result)


async def test_a_model_by_another_name(serve: Serve, callers_file: CallersFile) -> None:
    models = ("secret-project", "tiny-chat")
    async with Simulator(SimulatorSettings(listen=FREE_PORT, models=models)) as simulator:
        aliases = {"lab/fast": "secret-project"}
        settings: dict[str, Any] = {"upstream": (simulator.url,), "aliases": aliases}
        service = await serve(**settings, callers_file=callers_file(KEYS), default_model="lab/fast")
        async with plain_channel(service) as channel:
            stub = ModelServiceStub(channel)
            await stub.ListModels(ListModelsRequest(), metadata=bearer(OTHER))
            for name in ("lab/fast", ""):
                request = chat()
                request.model = name
                assert (await stream(channel, request, metadata=bearer(OTHER))).code is Code.OK
                found = await stub.GetModel(GetModelRequest(model=name), metadata=bearer(OTHER))
                assert found.model.id == "secret-project"


async def get_model(stub: Any, name: str, secret: str) -> Ended:
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.GetModel(GetModelRequest(model=name), metadata=bearer(secret))
    return ended(caught.value)


async def test_health_and_reflection_stay_open(
    serve: Serve, simulator: Simulator, callers_file: CallersFile
) -> None:
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
    async with plain_channel(service) as channel:
        await HealthStub(channel).Check(HealthCheckRequest())
        reflection: Any = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        )
        assert await reflection(iter([b"\x3a\x00"])).read()


async def test_unknown_methods(
    serve: Serve, simulator: Simulator, callers_file: CallersFile
) -> None:
    restricted = KEYS + 'methods = ["penstock.v1.ModelService/*"]'
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(restricted))
    async with plain_channel(service) as channel:
        unknown: Any = channel.unary_unary("/penstock.v1.ImageService/CreateImage")
        for metadata, reason in (
            ((), "INVALID_CREDENTIALS"),
            (bearer(SECRET), "UNSUPPORTED_OPERATION"),
            (bearer(OTHER), "METHOD_FORBIDDEN"),
        ):
            with pytest.raises(aio.AioRpcError) as caught:
                await unknown(b"", metadata=metadata)
            assert ended(caught.value).reason == reason


async def test_an_authorization_of_64_kib_is_refused(
    serve: Serve, simulator: Simulator, callers_file: CallersFile
) -> None:
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
    async with plain_channel(service) as channel:
        result = await create(channel, chat(), metadata=bearer("x" * 65536))
        # gRPC's own limit for metadata.
        assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "")
        await HealthStub(channel).Check(HealthCheckRequest())
    assert not calls_heard(simulator)


async def test_the_log_names_the_caller_and_no_secret(
    simulator: Simulator, callers_file: CallersFile, caplog: pytest.LogCaptureFixture
) -> None:
    # Only our records: printing a record that grpc logs about a server being freed crashes.
    caplog.set_level(logging.DEBUG, logger="penstock")
    settings: dict[str, Any] = {"upstream": (simulator.url,), "callers_file": callers_file(LIMITED)}
    async with at_the_clock(Clock(), **settings) as service, plain_channel(service) as channel:
        for secret in (SECRET, SECRET, SECRET, OTHER, "sk-wrong"):
            await stream(channel, chat(), metadata=bearer(secret))
        said = [
            (fields.get("caller"), fields["code"])
            for record in caplog.records
            if (fields := vars(record).get("fields", {})) and record.getMessage() == "rpc"
        ]
    assert said == [
        ("batch", "OK"),
        ("batch", "OK"),
        ("batch", "RESOURCE_EXHAUSTED"),
        ("other", "OK"),
        (None, "UNAUTHENTICATED"),
    ]
    # Python 3.12 and later add the name of the task to a record: "Task-7" contains "sk-".
    logged = str([vars(record) | {"taskName": None} for record in caplog.records])
    assert "sk-" not in logged
