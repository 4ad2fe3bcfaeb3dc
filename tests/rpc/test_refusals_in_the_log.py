"""Refused calls of unauthenticated callers do not fill the log."""

import asyncio
import logging

import pytest
from grpc import StatusCode as Code

from penstock_server.rpc.middleware import request_log
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, create, plain_channel, until
from .keyed import CallersFile

CALLS = 300
KEYS = f"""
[[caller]]
name = "team"
keys_sha256 = ["{"0" * 64}"]
"""


async def test_refused_credentials_are_counted(
    simulator: Simulator,
    serve: Serve,
    callers_file: CallersFile,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "_SUMMARY_S", 0.2)
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(KEYS))
    with caplog.at_level(logging.INFO, "penstock.rpc"):
        async with plain_channel(service) as channel:
            results = await asyncio.gather(*(create(channel, chat()) for _ in range(CALLS)))

        def counted() -> int:
            left_out = [r for r in caplog.records if r.msg == "refused calls not logged"]
            return sum(r.__dict__["fields"]["INVALID_CREDENTIALS"] for r in left_out)

        def lines() -> int:
            return sum(record.msg == "rpc" for record in caplog.records)

        await until(lambda: lines() + counted() == CALLS, BOUND_S)
    assert {result.code for result in results} == {Code.UNAUTHENTICATED}
    assert lines() < CALLS
