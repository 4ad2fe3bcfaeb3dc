"""A bug in the mapping of failures to statuses ends the call with INTERNAL, like other bugs."""

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode as Code

from penstock_server.rpc.status import encoding, failures

from .calls import BOUND_S, Serve, plain_channel
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running

BROKEN = ((failures, "field_path"), (failures, "_metadata"), (encoding, "_retry_metadata"))


def failing_once(real: Callable[..., Any]) -> Callable[..., Any]:
    bugs = [KeyError("/v1/broken")]

    def broken(*arguments: Any) -> Any:
        if bugs:
            raise bugs.pop()
        return real(*arguments)

    return broken


@pytest.mark.parametrize(("module", "name"), BROKEN, ids=[name for _, name in BROKEN])
@pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
async def test_the_call_ends_in_internal_with_details(
    rpc: Called,
    module: Any,
    name: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(Upstream(failing("400 x", code=400, param="model"))) as upstream:
        service = await serve(upstream=(upstream.url,), debug_info=True, **rpc.settings)
        monkeypatch.setattr(module, name, failing_once(getattr(module, name)))
        async with plain_channel(service) as channel:
            result = await rpc.run(service, channel, timeout=BOUND_S)
    assert (result.code, result.reason) == (Code.INTERNAL, "GATEWAY_ERROR")
    assert result.debug == "KeyError: '/v1/broken'"
    assert result.trailers["x-request-id"] == result.request_id
    assert result.trailers.get("x-penstock-attempts") == result.metadata.get("attempts")
    ours = [line for line in caplog.records if line.name.startswith("penstock")]
    assert [line.message for line in ours if line.exc_info] == ["bug"]
