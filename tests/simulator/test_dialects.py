"""The simulator's dialects of older vLLMs."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.dialects.changes import CHANGES
from penstock_server.simulator.dialects.versions import version

from .calls import Stream, answer, chat, client, stream, user

HELLO = user("Say hello.")
THOUGHT = user("What is 2+2?", reasoning_effort="low")
BAD = user("Say hello.", temperature=-1)
KEY = "secret"


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> SimulatorSettings:
    dialect = request.node.callspec.params["dialect"]
    return SimulatorSettings(listen="127.0.0.1:0", dialect=dialect)


@pytest.fixture
async def embedder(settings: SimulatorSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an embedding model in the same dialect."""
    embed = SimulatorSettings(listen="127.0.0.1:0", dialect=settings.dialect, kind="embed")
    async with Simulator(embed) as running, client(running.url) as opened:
        yield opened


@pytest.mark.parametrize("dialect", ["0.10", "0.14.1", "0.32.0"])
async def test_version(http: httpx.AsyncClient, dialect: str) -> None:
    assert (await http.get("/version")).json() == {"version": dialect}
    fingerprint = (await chat(http, HELLO)).json()["system_fingerprint"]
    # Older ones send the key alone.
    assert (fingerprint or "").startswith(f"vllm-{dialect}-") is (dialect == "0.32.0")


@pytest.mark.parametrize("wrong", ["", "newest", "0", "0.9.2", "0.10.x", "v0.14", 0.14])
def test_no_version(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        version(wrong)


def test_the_latest_change_is_undone_first() -> None:
    versions = [change.before for change in CHANGES]
    assert versions == sorted(versions, reverse=True)
    assert all(change.edit_request or change.edit_answer for change in CHANGES)


@pytest.mark.parametrize(
    ("dialect", "flat", "param"),
    [("0.10.0", True, None), ("0.10.1", False, None), ("0.14.1", False, "temperature")],
)
async def test_errors(http: httpx.AsyncClient, dialect: str, flat: bool, param: str | None) -> None:
    response = await chat(http, BAD)
    body = response.json()
    error = body if flat else body["error"]
    assert response.status_code == error["code"] == 400
    assert error["param"] == param
    assert error.get("object") == ("error" if flat else None)


@pytest.mark.parametrize(("dialect", "flat"), [("0.10.0", True), ("0.32.0", False)])
async def test_error_events(http: httpx.AsyncClient, dialect: str, flat: bool) -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    parts = await stream(http, {**HELLO, "response_format": format_})
    assert parts.done
    (event,) = parts.events
    assert event.keys() == {"error"}
    assert event["error"].get("object") == ("error" if flat else None)


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        ("0.11.0", {"reasoning_content"}),
        ("0.15.0", {"reasoning", "reasoning_content"}),
        ("0.16.0", {"reasoning"}),
    ],
)
async def test_reasoning(http: httpx.AsyncClient, dialect: str, names: set[str]) -> None:
    message = (await answer(http, THOUGHT))["message"]
    assert {name for name in message if name.startswith("reasoning")} == names
    assert len({message[name] for name in names}) == 1
    parts = await stream(http, THOUGHT)
    assert {name for delta in parts.deltas() for name in delta if "reasoning" in name} == names


@pytest.mark.parametrize(("dialect", "status"), [("0.15.0", 200), ("0.16.0", 404)])
async def test_wrong_task(
    http: httpx.AsyncClient, embedder: httpx.AsyncClient, dialect: str, status: int
) -> None:
    for response in (
        await http.post("/v1/embeddings", json={"input": "x"}),
        await http.post("/v1/rerank", json={"query": "x", "documents": ["x"]}),
        await chat(embedder, HELLO),
        await embedder.get("/v1/responses/resp_none"),
    ):
        assert response.status_code == status
        if status == 200:
            assert response.json()["error"]["code"] == 400
            assert "The model does not support " in response.json()["error"]["message"]
    assert (await http.post("/nowhere")).status_code == 404


@pytest.mark.parametrize(("dialect", "usage"), [("0.17.0", True), ("0.18.0", False)])
async def test_stream_options(http: httpx.AsyncClient, dialect: str, usage: bool) -> None:
    def has_usage(parts: Stream) -> bool:
        return any("usage" in event for event in parts.events)

    assert has_usage(await stream(http, {**HELLO, "stream_options": {}})) is usage
    assert not has_usage(await stream(http, HELLO))
    refused = {**HELLO, "stream_options": {"include_usage": False}}
    assert not has_usage(await stream(http, refused))


@pytest.mark.parametrize(("dialect", "known"), [("0.27.0", False), ("0.28.0", True)])
async def test_usage(http: httpx.AsyncClient, dialect: str, known: bool) -> None:
    usage = (await chat(http, THOUGHT)).json()["usage"]
    assert ("completion_tokens_details" in usage) is known
    assert ("created_cache_tokens" in usage["prompt_tokens_details"]) is known
    parts = await stream(http, {**THOUGHT, "stream_options": {"include_usage": True}})
    assert ("completion_tokens_details" in parts.events[-1]["usage"]) is known


@pytest.mark.parametrize(("dialect", "known"), [("0.12.0", False), ("0.13.0", True)])
async def test_usage_of_rerank(embedder: httpx.AsyncClient, dialect: str, known: bool) -> None:
    body = {"query": "mill", "documents": ["mill"]}
    usage = (await embedder.post("/rerank", json=body)).json()["usage"]
    assert ("prompt_tokens" in usage, usage["total_tokens"] > 0) == (known, True)


@pytest.mark.parametrize(("dialect", "prefix"), [("0.19.0", "rerank-"), ("0.20.0", "score-")])
async def test_id_of_rerank(embedder: httpx.AsyncClient, dialect: str, prefix: str) -> None:
    body = {"query": "mill", "documents": ["mill"]}
    assert (await embedder.post("/rerank", json=body)).json()["id"].startswith(prefix)


@pytest.mark.parametrize(("dialect", "named"), [("0.20.2", False), ("0.21.0", True)])
async def test_location_of_a_wrong_value(
    http: httpx.AsyncClient, dialect: str, named: bool
) -> None:
    error = (await chat(http, {**HELLO, "reasoning_effort": "enormous"})).json()["error"]
    assert error["param"] == ("body.reasoning_effort" if named else None)
    location = "'body.reasoning_effort'" if named else "('body', 'reasoning_effort')"
    assert f"'loc': {location}" in error["message"]


@pytest.mark.parametrize(("dialect", "empty"), [("0.16.0", True), ("0.17.0", False)])
async def test_dead_engine(
    http: httpx.AsyncClient, simulator: Simulator, dialect: str, empty: bool
) -> None:
    simulator.engine_dead = True
    for response in (await chat(http, HELLO), (await stream(http, HELLO)).response):
        assert response.status_code == 500
        assert (response.content == b"") is empty
    assert (await http.get("/health")).status_code == 503


@pytest.mark.parametrize(("dialect", "guarded"), [("0.19.1", False), ("0.20.0", True)])
async def test_key(dialect: str, guarded: bool) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", dialect=dialect, kind="rerank", api_key=KEY)
    body = {"query": "mill", "documents": ["mill"]}
    async with Simulator(settings) as running, client(running.url) as http:
        refused = await http.post("/v1/rerank", json=body)
        assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
        other = await http.post("/v2/rerank", json=body)
        assert other.status_code == (401 if guarded else 200)


@pytest.mark.parametrize(("dialect", "heeded"), [("0.10.0", False), ("0.32.0", True)])
async def test_unknown_fields_are_ignored(
    http: httpx.AsyncClient, simulator: Simulator, dialect: str, heeded: bool
) -> None:
    body = {**HELLO, "structured_outputs": {"choice": ["red"]}, "return_token_ids": True}
    choice = await answer(http, body)
    assert (choice["message"]["content"] == "red") is heeded
    assert ("token_ids" in choice) is heeded
    assert json.loads(simulator.requests[-1].body) == body


@pytest.mark.parametrize(("dialect", "status"), [("0.11.0", 400), ("0.11.1", 200)])
async def test_vectors_as_bytes(embedder: httpx.AsyncClient, dialect: str, status: int) -> None:
    body = {"input": "x", "encoding_format": "bytes"}
    assert (await embedder.post("/v1/embeddings", json=body)).status_code == status
