"""Sleep of the simulated engine; the expected answers are those of a vLLM 0.32 on a CPU."""

import asyncio
import re

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import chat, stream, user

HELLO = user("Say hello.")
LEVELS = {
    "less_than_equal": (
        "7",
        "1 validation error:\n  {'type': 'less_than_equal', 'loc': 'query.level', 'msg': "
        "'Input should be less than or equal to 2', 'input': '7', 'ctx': {'le': 2}}",
    ),
    "greater_than_equal": (
        "-1",
        "1 validation error:\n  {'type': 'greater_than_equal', 'loc': 'query.level', 'msg': "
        "'Input should be greater than or equal to 0', 'input': '-1', 'ctx': {'ge': 0}}",
    ),
    "int_parsing": (
        "x",
        "1 validation error:\n  {'type': 'int_parsing', 'loc': 'query.level', 'msg': 'Input should "
        "be a valid integer, unable to parse string as an integer', 'input': 'x'}",
    ),
}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> SimulatorSettings:
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    dialect = given.get("dialect", "0.32.0")
    return SimulatorSettings(listen="127.0.0.1:0", development_mode=True, dialect=dialect)


async def states(http: httpx.AsyncClient) -> dict[str, float]:
    text = (await http.get("/metrics")).text
    pattern = r'^vllm:engine_sleep_state{.*sleep_state="(\w+)"} (.*)$'
    return {name: float(value) for name, value in re.findall(pattern, text, re.MULTILINE)}


@pytest.mark.parametrize(
    ("level", "reported"), [(0, ()), (1, ("weights_offloaded",)), (2, ("discard_all",))]
)
async def test_sleep_and_wake(http: httpx.AsyncClient, level: int, reported: tuple[str]) -> None:
    answer = await http.post(f"/sleep?level={level}")
    assert answer.json() == {"status": "sleeping", "level": level}
    assert (await http.get("/is_sleeping")).json() == {"is_sleeping": True}
    assert {name for name, value in (await states(http)).items() if value} == {*reported}
    assert (await http.post("/wake_up")).json() == {"status": "awake", "tags": None}
    assert (await http.get("/is_sleeping")).json() == {"is_sleeping": False}
    assert await states(http) == {"awake": 1, "weights_offloaded": 0, "discard_all": 0}


@pytest.mark.parametrize(("level", "message"), LEVELS.values(), ids=LEVELS)
async def test_levels(http: httpx.AsyncClient, level: str, message: str) -> None:
    answer = await http.post(f"/sleep?level={level}")
    error = {"message": message, "type": "Bad Request", "param": "query.level", "code": 400}
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert (await http.get("/is_sleeping")).json() == {"is_sleeping": False}


@pytest.mark.parametrize("streamed", [True, False])
async def test_generations_wait(
    simulator: Simulator, http: httpx.AsyncClient, streamed: bool
) -> None:
    await http.post("/sleep")
    call = asyncio.create_task((stream if streamed else chat)(http, HELLO))
    await simulator.wait_active(1)
    # The HTTP server answers these itself.
    assert (await http.post("/tokenize", json={"prompt": "Hello"})).status_code == 200
    assert (await http.get("/v1/models")).status_code == 200
    assert not call.done()
    await http.post("/wake_up")
    await call


@pytest.mark.parametrize(("dialect", "measured"), [("0.11.0", False), ("0.31.0", True)])
async def test_older_versions(http: httpx.AsyncClient, dialect: str, measured: bool) -> None:
    for path in ("/sleep", "/wake_up"):
        answer = await http.post(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert bool(await states(http)) is measured


async def test_only_development_mode_has_the_routes() -> None:
    async with (
        Simulator(SimulatorSettings(listen="127.0.0.1:0")) as simulator,
        httpx.AsyncClient(base_url=simulator.url, verify=False) as http,
    ):
        for method, path in (("POST", "/sleep"), ("POST", "/wake_up"), ("GET", "/is_sleeping")):
            assert (await http.request(method, path)).status_code == 404
            assert path not in (await http.get("/openapi.json")).json()["paths"]
