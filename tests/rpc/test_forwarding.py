"""Forwarding of callers' credentials to the upstream."""

import asyncio

import pytest
from conftest import FREE_PORT
from grpc import StatusCode as Code

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, Serve, chat, create, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running
from .keyed import (
    KEYS,
    OTHER,
    SECRET,
    CallersFile,
    bearer,
    calls_heard,
)
from .test_health import SERVING, Watcher

QUIET = {"probe_interval": 3600}

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


class Heard(Upstream):
    """An upstream that records the headers of its requests in lower case."""

    def __init__(self, *answer: bytes) -> None:
        super().__init__(*answer)
        self.heads: list[str] = []

    async def _receive(self, head: bytes, reader: asyncio.StreamReader) -> None:
        self.heads.append(head.decode())
        await super()._receive(head, reader)


@every_rpc
async def test_every_rpc_forwards_credentials(rpc: Called, serve: Serve) -> None:
    for number, code in ((401, Code.UNAUTHENTICATED), (403, Code.PERMISSION_DENIED)):
        upstream = Heard(failing(f"{number} x", message=f"bad {SECRET}"))
        async with running(upstream):
            service = await serve(
                upstream=(upstream.url,),
                upstream_api_key="own-key",
                forward_authorization=True,
                **QUIET,
                **rpc.settings,
            )
            async with plain_channel(service) as channel:
                for metadata in (bearer(SECRET), ()):
                    result = await rpc.run(service, channel, timeout=BOUND_S, metadata=metadata)
                    assert (result.code, result.reason) == (code, "UPSTREAM_AUTH_FAILED")
                    assert result.metadata["upstreamStatus"] == str(number)
                    assert (result.retry_s, result.pushback) == (None, None)
                    assert SECRET not in str(result)
        with_key, without = upstream.heads
        assert f"authorization: bearer {SECRET}\r\n" in with_key
        assert "authorization" not in without
        assert "own-key" not in with_key + without


async def test_forwarded_credentials_are_redacted_in_errors(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, api_key=SECRET)) as simulator:
        service = await serve(upstream=(simulator.url,), forward_authorization=True)
        async with plain_channel(service) as channel:
            assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
            for code in (400, 401, 500):
                simulator.faults = f"status;code={code};message=not-with-{SECRET}"
                result = await create(channel, chat(), metadata=bearer(SECRET))
                assert result.metadata["upstreamStatus"] == str(code)
                assert SECRET not in str(result)
                assert code == 401 or "not-with-(hidden)" in result.message
            scheme = (("authorization", "Basic dXNlcjpwYXNz"),)
            await create(channel, chat(), metadata=scheme)
        assert calls_heard(simulator) == [f"Bearer {SECRET}"] * 4 + [scheme[0][1]]


async def test_an_upstream_that_lists_models_only_for_callers_serves(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, api_key=SECRET)) as simulator:
        service = await serve(upstream=(simulator.url,), forward_authorization=True)
        async with plain_channel(service) as channel:
            await Watcher(channel).until(SERVING)


async def test_two_credentials_are_not_forwarded(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), forward_authorization=True)
    async with plain_channel(service) as channel:
        result = await create(channel, chat(), metadata=bearer(SECRET) + bearer(OTHER))
    assert (result.code, result.reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert not calls_heard(simulator)


async def test_keys_are_not_forwarded(
    serve: Serve, simulator: Simulator, callers_file: CallersFile
) -> None:
    service = await serve(
        upstream=(simulator.url,), callers_file=callers_file(KEYS), upstream_api_key="own-key"
    )
    async with plain_channel(service) as channel:
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
    assert calls_heard(simulator) == ["Bearer own-key"]
