"""The debug log of calls."""

import logging
import re

import pytest

from penstock import AsyncClient, Client, NotFoundError

KEY = "sk-secret"


async def test_calls_and_streams(target: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "penstock.client")
    with Client(target, api_key=KEY) as client:
        client.chat.create("Say hello.", request_id="one", timeout=60)
        client.chat.stream("Say hello.", request_id="one", timeout=60).final()
    blocking = [*caplog.messages]
    async with AsyncClient(target, api_key=KEY) as awaited:
        await awaited.chat.create("Say hello.", request_id="one", timeout=60)
        await awaited.chat.stream("Say hello.", request_id="one", timeout=60).final()
    name = "CreateChatCompletionRequest"
    sent = f"{name}: call with timeout 60, metadata authorization: (hidden), x-request-id: one"
    received = f"{name}: received metadata x-request-id: one"
    ended = f"{name}: OK, trailers x-request-id: one, x-penstock-upstream: UPSTREAM, "
    ended += "x-penstock-attempts: 1"
    expected = [sent, ended, sent, received, ended]
    assert [*map(steady, blocking)] == expected
    assert [*map(steady, caplog.messages)] == expected * 2


def steady(message: str) -> str:
    """Returns a message without what differs between runs."""
    return re.sub(r" after [\d.]+ s|127\.0\.0\.1:\d+", lambda one: NAMED[one[0][0]], message)


NAMED = {" ": "", "1": "UPSTREAM"}


async def test_failures(target: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "penstock.client")
    with Client(target) as client:
        with pytest.raises(NotFoundError):
            client.chat.create("Say hello.", model="nobody")
        with pytest.raises(NotFoundError):
            client.chat.stream("Say hello.", model="nobody").final()
    async with AsyncClient(target) as awaited:
        with pytest.raises(NotFoundError):
            await awaited.chat.create("Say hello.", model="nobody")
        with pytest.raises(NotFoundError):
            await awaited.chat.stream("Say hello.", model="nobody").final()
    assert caplog.text.count("CreateChatCompletionRequest: NOT_FOUND (no upstream serves") == 4


@pytest.mark.parametrize("name", ["x-api-key", "cookie", "proxy-authorization", "x-team-token"])
def test_credentials_in_other_metadata(
    target: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG, "penstock.client")
    with Client(target, metadata={name: KEY, "x-team": "search"}) as client:
        client.chat.create("Say hello.")
    assert f"{name}: (hidden), x-team: search" in caplog.text
    assert KEY not in caplog.text
